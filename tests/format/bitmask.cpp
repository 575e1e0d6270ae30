// SPDX-License-Identifier: MIT
#include <sparq/format/bitmask.hpp>

#include "../support/catch.hpp"
#include "../support/masks.hpp"

using sparq::bitmask;
using sparq_test::mask_of;

namespace {

// channel 0: k 1 and 7; channel 1: nothing; channel 2: k 0, 3 and 4
bitmask::index<sparq::owned> bitmask_example() {
  return bitmask::from_mask(mask_of({".x.....x", "........", "x..xx..."})).value();
}

}  // namespace

TEST_CASE("bitmask: a bit for every weight, channels on words of their own") {
  const auto index = bitmask_example();
  CHECK(index.row_offsets == std::vector<std::uint64_t>{0, 2, 2, 5});
  CHECK(index.bits == std::vector<std::uint64_t>{0x82, 0, 0x19});
  CHECK(sparq_test::visits_of(index) ==
        std::vector<sparq_test::slot_visit>{{0, 0, 1}, {1, 0, 7}, {2, 2, 0}, {3, 2, 3}, {4, 2, 4}});
  CHECK(bitmask::from_mask(sparq::mask({2, 65})).value().words() == 2);
}

TEST_CASE("bitmask: exactly the kept elements have slots") {
  sparq_test::random_source random;
  INFO(random.text());
  for (const double density : {0.0, 0.05, 0.5, 1.0})
    for (const std::size_t k : {1U, 63U, 64U, 65U, 300U}) {
      const sparq::mask keep = sparq_test::random_mask({37, k}, density, random);
      const auto index = bitmask::from_mask(keep).value();
      CHECK(index.slots() == keep.kept());
      CHECK(index.validate().ok());
      CHECK(sparq_test::picture_of(sparq_test::visited_mask(index)) == sparq_test::picture_of(keep));
    }
}

TEST_CASE("bitmask: the first wrong entry is named") {
  const auto says = [](auto change, const std::string& sentence) {
    auto index = bitmask_example();
    change(index);
    CHECK(index.validate().message() == sentence);
  };
  says([](auto& i) { i.row_offsets.pop_back(); }, "bitmask: row_offsets has 3 entries; 4 are needed");
  says([](auto& i) { i.bits.pop_back(); }, "bitmask: bits has 2 entries; 3 are needed");
  says([](auto& i) { i.row_offsets[0] = 1; }, "bitmask: row_offsets[0] is 1; it must be 0");
  says([](auto& i) { i.row_offsets[2] = 3; }, "bitmask: row_offsets[2] is 3; channel 1 keeps 0 k's from 2 on");
  says([](auto& i) { i.bits[2] = 0x11; }, "bitmask: row_offsets[3] is 5; channel 2 keeps 2 k's from 2 on");
  says([](auto& i) { i.bits[2] = 0x109; }, "bitmask: channel 2 keeps a k beyond K = 8");
}
