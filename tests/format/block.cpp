// SPDX-License-Identifier: MIT
#include <sparq/format/block.hpp>

#include "../support/catch.hpp"
#include "../support/masks.hpp"

using sparq::block;
using sparq_test::mask_of;

namespace {

// K = 14 in blocks of 4: the last one has two k's; the second panel has one channel.
block<2, 4>::index<sparq::owned> block_example() {
  return block<2, 4>::from_mask(mask_of({"x..........x..",  //
                                         "..............",  //
                                         ".............x"}))
      .value();
}

}  // namespace

TEST_CASE("block: a block is stored whole when anything in it is kept") {
  const auto index = block_example();
  CHECK(index.panel_offsets == std::vector<std::uint64_t>{0, 2, 3});
  CHECK(index.block_columns == std::vector<sparq::index_t>{0, 2, 3});
  CHECK(sparq_test::picture_of(sparq_test::visited_mask(index)) == std::vector<std::string>{"xxxx....xxxx..",  //
                                                                                            "xxxx....xxxx..",
                                                                                            "............xx"});
}

TEST_CASE("block: slots run row by row inside a block; padding has slots that nobody visits") {
  const auto index = block_example();
  CHECK(index.slots() == 3 * 8);
  std::vector<sparq_test::slot_visit> visits;
  for (std::size_t b = 0; b < 2; ++b)
    for (std::size_t r = 0; r < 2; ++r)
      for (std::size_t c = 0; c < 4; ++c) visits.emplace_back(b * 8 + r * 4 + c, r, b * 8 + c);
  visits.emplace_back(16, 2, 12);
  visits.emplace_back(17, 2, 13);
  CHECK(sparq_test::visits_of(index) == visits);
}

TEST_CASE("block: panels are R channels, the last one has the rest") {
  const auto index = block_example();
  REQUIRE(index.panels() == 2);
  CHECK(index.panel(0).count == 2);
  CHECK(index.panel(1).first == 2);
  CHECK(index.panel(1).count == 1);
}

namespace {

template <std::size_t R, std::size_t C>
void check_blocks(sparq_test::random_source& random) {
  for (std::size_t n = 1; n <= 2 * R + 1; ++n)
    for (std::size_t k = 1; k <= 2 * C + 1; ++k) {
      const sparq::mask keep = sparq_test::random_mask({n, k}, 0.2, random);
      const auto index = block<R, C>::from_mask(keep).value();
      sparq::mask wanted({n, k}, false);
      std::size_t stored = 0;
      for (std::size_t first_n = 0; first_n < n; first_n += R)
        for (std::size_t first_k = 0; first_k < k; first_k += C) {
          bool any = false;
          const std::size_t end_n = (std::min)(first_n + R, n);
          const std::size_t end_k = (std::min)(first_k + C, k);
          for (std::size_t i = first_n; i < end_n; ++i)
            for (std::size_t j = first_k; j < end_k; ++j) any = any || keep(i, j);
          for (std::size_t i = first_n; i < end_n; ++i)
            for (std::size_t j = first_k; j < end_k; ++j) wanted.set(i, j, any);
          stored += any;
        }
      CAPTURE(R, C, n, k);
      CHECK(index.slots() == stored * R * C);
      CHECK(sparq_test::picture_of(sparq_test::visited_mask(index)) == sparq_test::picture_of(wanted));
    }
}

}  // namespace

TEST_CASE("block: exactly the blocks with a kept element are stored, at every leftover") {
  sparq_test::random_source random;
  INFO(random.text());
  check_blocks<1, 1>(random);
  check_blocks<1, 4>(random);
  check_blocks<4, 1>(random);
  check_blocks<3, 5>(random);
  check_blocks<16, 2>(random);
}

TEST_CASE("block: the first wrong entry is named") {
  const auto says = [](auto change, const std::string& sentence) {
    auto index = block_example();
    change(index);
    CHECK(index.validate().message() == sentence);
  };
  says([](auto& i) { i.panel_offsets.push_back(3); }, "block<2,4>: panel_offsets has 4 entries; 3 are needed");
  says([](auto& i) { i.panel_offsets[1] = 4; }, "block<2,4>: panel_offsets[1] is 4; it must lie between 0 and 3");
  says([](auto& i) { i.block_columns[2] = 4; }, "block<2,4>: block_columns[2] is 4 in panel 1; it must be below 4");
  says([](auto& i) { i.block_columns[1] = 0; },
       "block<2,4>: block_columns[1] is 0 in panel 0; it must be above 0, which it follows");
  says([](auto& i) { i.block_columns.push_back(0); },
       "block<2,4>: panel_offsets[2] is 3; it must be 4, the end of the list");
}
