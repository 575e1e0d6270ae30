// SPDX-License-Identifier: MIT
#include <sparq/format/tile_n_m.hpp>

#include "../support/catch.hpp"
#include "../support/masks.hpp"

using sparq::tile_n_m;
using sparq_test::mask_of;

namespace {

// Two panels, of two channels and of one; K = 5: a whole group and a short one.
tile_n_m<2, 2, 4>::index<sparq::owned> tile_n_m_example() {
  return tile_n_m<2, 2, 4>::from_mask(mask_of({"x....",  //
                                               "..x..",  //
                                               ".x.xx"}))
      .value();
}

}  // namespace

TEST_CASE("tile_n_m: a panel has one set of positions, the union of its channels") {
  const auto index = tile_n_m_example();
  CHECK(index.positions == std::vector<std::uint8_t>{0, 2, 0, 1, 1, 3, 0, 1});
  CHECK(sparq_test::picture_of(sparq_test::visited_mask(index)) == std::vector<std::string>{"x.x.x", "x.x.x", ".x.xx"});
}

TEST_CASE("tile_n_m: slots run through panel, channel, group; only channels that exist have some") {
  const auto index = tile_n_m_example();
  CHECK(index.slots() == 3 * 2 * 2);
  CHECK(sparq_test::visits_of(index) == std::vector<sparq_test::slot_visit>{{0, 0, 0},
                                                                            {1, 0, 2},
                                                                            {2, 0, 4},  //
                                                                            {4, 1, 0},
                                                                            {5, 1, 2},
                                                                            {6, 1, 4},
                                                                            {8, 2, 1},
                                                                            {9, 2, 3},
                                                                            {10, 2, 4}});
}

TEST_CASE("tile_n_m: panels are V channels, the last one has the rest") {
  const auto index = tile_n_m_example();
  REQUIRE(index.panels() == 2);
  CHECK(index.panel(0).count == 2);
  CHECK(index.panel(1).first == 2);
  CHECK(index.panel(1).count == 1);
}

TEST_CASE("tile_n_m: a group of which the channels together keep too many is refused") {
  CHECK(sparq::conforms<tile_n_m<2, 2, 4>>(mask_of({"x.......", ".x......", "....x...", ".....x.x"})).message() ==
        "tile_n_m<2,2,4>: the channels of panel 1 together keep 3 k's of group 1; the first too many is [n=3][k=7]");
  CHECK(sparq::conforms<tile_n_m<2, 2, 4>>(mask_of({"xx......", "..xx...."})).message() ==
        "tile_n_m<2,2,4>: the channels of panel 0 together keep 4 k's of group 0; the first too many is [n=1][k=2]");
  CHECK(sparq::conforms<tile_n_m<1, 2, 4>>(mask_of({"xx......", "..xx...."})).ok());
}

namespace {

template <std::size_t V, std::size_t N, std::size_t M>
void check_pattern(sparq_test::random_source& random) {
  for (std::size_t n = 1; n <= 2 * V + 1; ++n)
    for (std::size_t k = 1; k <= 2 * M + 1; ++k) {
      sparq::mask keep({n, k}, false);
      for (std::size_t panel = 0; panel < n; panel += V)
        for (std::size_t first = 0; first < k; first += M)
          for (std::size_t j = 0; j < N; ++j) {
            const std::size_t at = first + random.below((std::min)(M, k - first));
            for (std::size_t i = panel; i < (std::min)(panel + V, n); ++i)
              if (random.below(2) == 0) keep.set(i, at, true);
          }
      const auto index = tile_n_m<V, N, M>::from_mask(keep).value();
      const sparq::mask visited = sparq_test::visited_mask(index);
      CAPTURE(V, N, M, n, k);
      CHECK(index.validate().ok());
      for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < k; ++j) {
          if (keep(i, j) && !visited(i, j)) FAIL(sparq::position_text(i, j) << " is kept but has no slot");
          if (visited(i, j) != visited(i / V * V, j)) FAIL(sparq::position_text(i, j) << " differs inside its panel");
        }
    }
}

}  // namespace

TEST_CASE("tile_n_m: all channels of a panel visit the same k's, the kept ones among them, at every leftover") {
  sparq_test::random_source random;
  INFO(random.text());
  check_pattern<1, 2, 4>(random);
  check_pattern<3, 2, 4>(random);
  check_pattern<4, 1, 8>(random);
  check_pattern<5, 4, 5>(random);
  check_pattern<2, 7, 32>(random);
}

TEST_CASE("tile_n_m: the first wrong position is named") {
  const auto says = [](auto change, const std::string& sentence) {
    auto index = tile_n_m_example();
    change(index);
    CHECK(index.validate().message() == sentence);
  };
  says([](auto& i) { i.positions.push_back(0); }, "tile_n_m<2,2,4>: positions has 9 entries; 8 are needed");
  says([](auto& i) { i.positions[5] = 9; },
       "tile_n_m<2,2,4>: positions[5] is 9 in panel 1, group 0; it must be below 4");
  says([](auto& i) { i.positions[1] = 0; },
       "tile_n_m<2,2,4>: positions[1] is 0 in panel 0, group 0; it must be above 0, which it follows");
}
