// SPDX-License-Identifier: MIT
#include <sparq/format/n_m.hpp>

#include "../support/catch.hpp"
#include "../support/masks.hpp"

using sparq::n_m;
using sparq_test::mask_of;

namespace {

// K = 9: two whole groups and a short one.
n_m<2, 4>::index<sparq::owned> n_m_example() {
  return n_m<2, 4>::from_mask(mask_of({"x.x...xxx",  //
                                       ".x......."}))
      .value();
}

}  // namespace

TEST_CASE("n_m: every group has N slots in ascending order") {
  const auto index = n_m_example();
  CHECK(index.slots() == 2 * 3 * 2);
  CHECK(index.positions == std::vector<std::uint8_t>{0, 2, 2, 3, 0, 1,  //
                                                     0, 1, 0, 1, 0, 1});
}

TEST_CASE("n_m: a slot whose place lies beyond K is never visited") {
  CHECK(sparq_test::visits_of(n_m_example()) == std::vector<sparq_test::slot_visit>{{0, 0, 0},
                                                                                {1, 0, 2},
                                                                                {2, 0, 6},
                                                                                {3, 0, 7},
                                                                                {4, 0, 8},  //
                                                                                {6, 1, 0},
                                                                                {7, 1, 1},
                                                                                {8, 1, 4},
                                                                                {9, 1, 5},
                                                                                {10, 1, 8}});
}

TEST_CASE("n_m: a group that keeps too few is filled up from the lowest k's on") {
  CHECK(n_m<3, 4>::from_mask(mask_of({"..x."})).value().positions == std::vector<std::uint8_t>{0, 1, 2});
  CHECK(n_m<2, 4>::from_mask(mask_of({"x..."})).value().positions == std::vector<std::uint8_t>{0, 1});
  CHECK(n_m<2, 4>::from_mask(mask_of({"...x"})).value().positions == std::vector<std::uint8_t>{0, 3});
  CHECK(n_m<3, 8>::from_mask(mask_of({"....", "...x"})).value().positions ==
        std::vector<std::uint8_t>{0, 1, 2, 0, 1, 3});
}

TEST_CASE("n_m: a group that keeps too many is refused by channel, group and count") {
  const auto says = [](const sparq::mask& keep) { return sparq::conforms<n_m<2, 4>>(keep).message(); };
  CHECK(says(mask_of({"xx..xx..", "xx...xxx"})) ==
        "n_m<2,4>: channel 1 keeps 3 k's of group 1; the first too many is [n=1][k=7]");
  CHECK(says(mask_of({"xxxx"})) == "n_m<2,4>: channel 0 keeps 4 k's of group 0; the first too many is [n=0][k=2]");
  CHECK(says(mask_of({"....xxx"})) == "n_m<2,4>: channel 0 keeps 3 k's of group 1; the first too many is [n=0][k=6]");
  CHECK(says(mask_of({"....xx"})) == "");
}

TEST_CASE("n_m: TFMOT's m_by_n counts zeros: its (1,4) is 3 kept of 4, with a short last group") {
  const sparq::mask keep = mask_of({"xxx.x.xxxx"});
  CHECK(sparq::conforms<n_m<3, 4>>(keep).ok());
  CHECK_FALSE(sparq::conforms<n_m<1, 4>>(keep).ok());
}

namespace {

/// At most N kept per group, any number from 0 on.
template <std::size_t N, std::size_t M>
sparq::mask pattern_mask(sparq::weight_shape shape, sparq_test::random_source& random) {
  sparq::mask keep(shape, false);
  for (std::size_t n = 0; n < shape.n; ++n)
    for (std::size_t first = 0; first < shape.k; first += M)
      for (std::size_t count = random.below(N + 1); count > 0; --count)
        keep.set(n, first + random.below((std::min)(M, shape.k - first)), true);
  return keep;
}

template <std::size_t N, std::size_t M>
void check_pattern(sparq_test::random_source& random) {
  for (std::size_t k = 1; k <= 2 * M + 1; ++k) {
    const sparq::mask keep = pattern_mask<N, M>({17, k}, random);
    const auto index = n_m<N, M>::from_mask(keep).value();
    const sparq::mask visited = sparq_test::visited_mask(index);
    CAPTURE(N, M, k);
    CHECK(index.validate().ok());
    CHECK(index.slots() == 17 * ((k + M - 1) / M) * N);
    for (std::size_t n = 0; n < 17; ++n)
      for (std::size_t first = 0; first < k; first += M) {
        const std::size_t length = (std::min)(M, k - first);
        std::size_t count = 0;
        for (std::size_t j = first; j < first + length; ++j) {
          count += visited(n, j);
          if (keep(n, j) && !visited(n, j)) FAIL(sparq::position_text(n, j) << " is kept but has no slot");
        }
        if (count != (std::min)(N, length))
          FAIL("channel " << n << " visits " << count << " k's from " << first << " on");
      }
  }
}

}  // namespace

TEST_CASE("n_m: every group visits min(N, its length) k's, the kept ones among them, at every leftover") {
  sparq_test::random_source random;
  INFO(random.text());
  check_pattern<1, 1>(random);
  check_pattern<1, 2>(random);
  check_pattern<2, 4>(random);
  check_pattern<3, 4>(random);
  check_pattern<1, 8>(random);
  check_pattern<4, 8>(random);
  check_pattern<5, 7>(random);
  check_pattern<4, 16>(random);
  check_pattern<16, 32>(random);
  check_pattern<32, 32>(random);
  check_pattern<1, 32>(random);
}

TEST_CASE("n_m: the first wrong position is named") {
  const auto says = [](auto change, const std::string& sentence) {
    auto index = n_m_example();
    change(index);
    CHECK(index.validate().message() == sentence);
  };
  says([](auto& i) { i.positions.pop_back(); }, "n_m<2,4>: positions has 11 entries; 12 are needed");
  says([](auto& i) { i.positions[9] = 4; }, "n_m<2,4>: positions[9] is 4 in channel 1, group 1; it must be below 4");
  says([](auto& i) { i.positions[3] = 2; },
       "n_m<2,4>: positions[3] is 2 in channel 0, group 1; it must be above 2, which it follows");
  says([](auto& i) { i.positions[5] = 3; }, "n_m<2,4>: positions[5] is 3 in channel 0, group 2; it must be below 2");
}
