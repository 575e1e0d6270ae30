// SPDX-License-Identifier: MIT
#include <sparq/format/csr.hpp>

#include "../support/catch.hpp"
#include "../support/masks.hpp"

using sparq::csr;
using sparq_test::mask_of;

namespace {

// channel 0: k 1 and 7; channel 1: nothing; channel 2: k 0, 3 and 4
csr::index<sparq::owned> csr_example() { return csr::from_mask(mask_of({".x.....x", "........", "x..xx..."})).value(); }

}  // namespace

TEST_CASE("csr: empty rows keep their place") {
  const auto index = csr_example();
  CHECK(index.row_offsets == std::vector<std::uint64_t>{0, 2, 2, 5});
  CHECK(index.columns == std::vector<sparq::index_t>{1, 7, 0, 3, 4});
  CHECK(sparq_test::visits_of(index) ==
        std::vector<sparq_test::slot_visit>{{0, 0, 1}, {1, 0, 7}, {2, 2, 0}, {3, 2, 3}, {4, 2, 4}});
}

TEST_CASE("csr: panels are 16 channels, the last one has the rest") {
  for (const std::size_t n : {0U, 1U, 15U, 16U, 17U, 32U, 33U}) {
    const auto index = csr::from_mask(sparq::mask({n, 2})).value();
    CAPTURE(n);
    CHECK(index.panels() == (n + 15) / 16);
    if (n == 0) continue;
    CHECK(index.panel(index.panels() - 1).first == (n - 1) / 16 * 16);
    CHECK(index.panel(index.panels() - 1).count == n - (n - 1) / 16 * 16);
  }
}

TEST_CASE("csr: a kept zero is a slot like any other: exactly the kept elements have slots") {
  sparq_test::random_source random;
  INFO(random.text());
  for (const double density : {0.0, 0.05, 0.5, 1.0}) {
    const sparq::mask keep = sparq_test::random_mask({37, 300}, density, random);
    const auto index = csr::from_mask(keep).value();
    CHECK(index.slots() == keep.kept());
    CHECK(sparq_test::picture_of(sparq_test::visited_mask(index)) == sparq_test::picture_of(keep));
  }
}

TEST_CASE("csr: the first wrong entry is named") {
  const auto says = [](auto change, const std::string& sentence) {
    auto index = csr_example();
    change(index);
    CHECK(index.validate().message() == sentence);
  };
  says([](auto& i) { i.row_offsets.pop_back(); }, "csr: row_offsets has 3 entries; 4 are needed");
  says([](auto& i) { i.row_offsets[0] = 1; }, "csr: row_offsets[0] is 1; it must be 0");
  says([](auto& i) { i.row_offsets[2] = 1; }, "csr: row_offsets[2] is 1; it must lie between 2 and 5");
  says([](auto& i) { i.row_offsets[1] = 6; }, "csr: row_offsets[1] is 6; it must lie between 0 and 5");
  says([](auto& i) { i.row_offsets[3] = 4; }, "csr: row_offsets[3] is 4; it must be 5, the end of the list");
  says([](auto& i) { i.columns[1] = 8; }, "csr: columns[1] is 8 in channel 0; it must be below 8");
  says([](auto& i) { i.columns[4] = 3; }, "csr: columns[4] is 3 in channel 2; it must be above 3, which it follows");
  says([](auto& i) { i.shape.n = static_cast<std::size_t>(-1); },
       "a matrix of 18446744073709551615 x 8 has an extent above 4294967295");
}
