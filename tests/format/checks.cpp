// SPDX-License-Identifier: MIT
#include <sparq/format/checks.hpp>

#include "../support/catch.hpp"

#include <vector>

namespace {

using offsets = std::vector<std::uint64_t>;
using list = std::vector<sparq::index_t>;

}  // namespace

TEST_CASE("checks: offsets rise from 0 to the end") {
  CHECK(sparq::check_offsets("a", offsets{0}, 0, 0).ok());
  CHECK(sparq::check_offsets("a", offsets{0, 0, 3, 3}, 3, 3).ok());
}

TEST_CASE("checks: the first wrong offset is named") {
  CHECK(sparq::check_offsets("csr: row_offsets", offsets{}, 0, 0).message() ==
        "csr: row_offsets has 0 entries; 1 are needed");
  CHECK(sparq::check_offsets("a", offsets{0, 1}, 2, 1).message() == "a has 2 entries; 3 are needed");
  CHECK(sparq::check_offsets("a", offsets{1, 1}, 1, 1).message() == "a[0] is 1; it must be 0");
  CHECK(sparq::check_offsets("a", offsets{0, 2, 1, 0}, 3, 2).message() == "a[2] is 1; it must lie between 2 and 2");
  CHECK(sparq::check_offsets("a", offsets{0, 9, 2}, 2, 2).message() == "a[1] is 9; it must lie between 0 and 2");
  CHECK(sparq::check_offsets("a", offsets{0, 1, 1}, 2, 2).message() == "a[2] is 1; it must be 2, the end of the list");
}

TEST_CASE("checks: lists ascend below their limit, each for itself") {
  CHECK(sparq::check_lists("a", list{}, offsets{0}, "channel", 0).ok());
  CHECK(sparq::check_lists("a", list{0, 4, 0, 1}, offsets{0, 2, 2, 4}, "channel", 5).ok());
}

TEST_CASE("checks: the first wrong entry of a list is named with its owner") {
  CHECK(sparq::check_lists("csr: columns", list{0, 4, 5, 9}, offsets{0, 2, 2, 4}, "channel", 5).message() ==
        "csr: columns[2] is 5 in channel 2; it must be below 5");
  CHECK(sparq::check_lists("a", list{1, 3, 3}, offsets{0, 1, 3}, "tile", 5).message() ==
        "a[2] is 3 in tile 1; it must be above 3, which it follows");
}
