// SPDX-License-Identifier: MIT
#include <sparq/format/tile_wise.hpp>

#include "../support/catch.hpp"
#include "../support/masks.hpp"

using sparq::tile_wise;
using sparq_test::mask_of;

namespace {

// Channels 1 and 4 are pruned; tile 0 is {0, 2}, tile 1 is {3}.
tile_wise<2>::index<sparq::owned> tile_wise_example() {
  return tile_wise<2>::from_mask(mask_of({"x.xx..",  //
                                          "......",  //
                                          "x.....",  //
                                          ".x...x",  //
                                          "......"}))
      .value();
}

}  // namespace

TEST_CASE("tile_wise: kept channels are taken G at a time; a tile keeps what any of them keeps") {
  const auto index = tile_wise_example();
  CHECK(index.tile_ends == std::vector<sparq::index_t>{3, 5});
  CHECK(index.kept_channels == std::vector<sparq::index_t>{0, 2, 3});
  CHECK(index.k_offsets == std::vector<std::uint64_t>{0, 3, 5});
  CHECK(index.k_list == std::vector<sparq::index_t>{0, 2, 3, 1, 5});
}

TEST_CASE("tile_wise: slots run through tile, kept channel, kept k") {
  const auto index = tile_wise_example();
  CHECK(index.slots() == 8);
  CHECK(sparq_test::visits_of(index) == std::vector<sparq_test::slot_visit>{{0, 0, 0},
                                                                            {1, 0, 2},
                                                                            {2, 0, 3},
                                                                            {3, 2, 0},
                                                                            {4, 2, 2},
                                                                            {5, 2, 3},  //
                                                                            {6, 3, 1},
                                                                            {7, 3, 5}});
}

TEST_CASE("tile_wise: panels span pruned channels, trailing ones belong to the last tile") {
  const auto index = tile_wise_example();
  REQUIRE(index.panels() == 2);
  CHECK(index.panel(0).first == 0);
  CHECK(index.panel(0).count == 3);
  CHECK(index.panel(1).first == 3);
  CHECK(index.panel(1).count == 2);
  CHECK(tile_wise<2>::from_mask(mask_of({"x", "x", ".", "."})).value().panels() == 1);
  CHECK(tile_wise<2>::from_mask(mask_of({".", "x", "x", "x"})).value().panel(0).count == 3);
}

TEST_CASE("tile_wise: a matrix without a kept channel is one tile that stores nothing") {
  for (const sparq::weight_shape shape : {sparq::weight_shape{5, 3}, sparq::weight_shape{1, 0}}) {
    const auto index = tile_wise<2>::from_mask(sparq::mask(shape, false)).value();
    CHECK(index.validate().ok());
    CHECK(index.panels() == 1);
    CHECK(index.panel(0).count == shape.n);
    CHECK(index.slots() == 0);
  }
  CHECK(tile_wise<2>::from_mask(sparq::mask({0, 3})).value().panels() == 0);
}

namespace {

template <std::size_t G>
void check_tiles(sparq_test::random_source& random) {
  for (int round = 0; round < 12; ++round) {
    const std::size_t n = 1 + random.below(3 * G + 5);
    const std::size_t k = 1 + random.below(70);
    sparq::mask keep = sparq_test::random_mask({n, k}, 0.1, random);
    for (std::size_t i = 0; i < n; ++i)
      if (random.below(3) == 0)
        for (std::size_t j = 0; j < k; ++j) keep.set(i, j, false);

    // By the definition, channel by channel.
    sparq::mask wanted({n, k}, false);
    std::vector<std::size_t> tile;
    std::size_t tiles = 0;
    const auto close = [&] {
      for (std::size_t j = 0; j < k; ++j) {
        bool any = false;
        for (const std::size_t i : tile) any = any || keep(i, j);
        for (const std::size_t i : tile) wanted.set(i, j, any);
      }
      ++tiles;
      tile.clear();
    };
    for (std::size_t i = 0; i < n; ++i) {
      if (sparq::count_kept(sparq::mask_view(keep).channel(i)) == 0) continue;
      tile.push_back(i);
      if (tile.size() == G) close();
    }
    if (!tile.empty() || tiles == 0) close();

    const auto index = tile_wise<G>::from_mask(keep).value();
    CAPTURE(G, n, k);
    CHECK(index.validate().ok());
    CHECK(index.panels() == tiles);
    CHECK(index.slots() == wanted.kept());
    CHECK(sparq_test::picture_of(sparq_test::visited_mask(index)) == sparq_test::picture_of(wanted));
  }
}

}  // namespace

TEST_CASE("tile_wise: tiles follow their definition for any mask") {
  sparq_test::random_source random;
  INFO(random.text());
  check_tiles<1>(random);
  check_tiles<2>(random);
  check_tiles<8>(random);
  check_tiles<16>(random);
  check_tiles<128>(random);
}

TEST_CASE("tile_wise: a tile without k's is valid") {
  auto index = tile_wise_example();
  index.k_offsets = {0, 0, 2};
  index.k_list = {1, 5};
  CHECK(index.validate().ok());
  CHECK(index.slots() == 2);
  CHECK(sparq_test::visits_of(index) == std::vector<sparq_test::slot_visit>{{0, 3, 1}, {1, 3, 5}});
}

TEST_CASE("tile_wise: the first wrong entry is named") {
  const auto says = [](auto change, const std::string& sentence) {
    auto index = tile_wise_example();
    change(index);
    CHECK(index.validate().message() == sentence);
  };
  says([](auto& i) { i.tile_ends.pop_back(); }, "tile_wise<2>: tile_ends has 1 entries; 2 are needed");
  says([](auto& i) { i.tile_ends[0] = 0; }, "tile_wise<2>: tile_ends[0] is 0; it must lie above 0 and not above 5");
  says([](auto& i) { i.tile_ends[1] = 4; }, "tile_wise<2>: tile_ends[1] is 4; it must be 5, the number of channels");
  says([](auto& i) { i.tile_ends[0] = 2; },
       "tile_wise<2>: kept_channels[1] is 2; it must lie between 1 and the end of tile 0, 2");
  says([](auto& i) { i.kept_channels[1] = 0; },
       "tile_wise<2>: kept_channels[1] is 0; it must lie between 1 and the end of tile 0, 3");
  says([](auto& i) { i.kept_channels[2] = 2; },
       "tile_wise<2>: kept_channels[2] is 2; it must lie between 3 and the end of tile 1, 5");
  says([](auto& i) { i.kept_channels.push_back(4), i.kept_channels.push_back(5); },
       "tile_wise<2>: tile_ends has 2 entries; 3 are needed");
  says([](auto& i) { i.k_offsets[1] = 6; }, "tile_wise<2>: k_offsets[1] is 6; it must lie between 0 and 5");
  says([](auto& i) { i.k_list[4] = 6; }, "tile_wise<2>: k_list[4] is 6 in tile 1; it must be below 6");
  says([](auto& i) { i.k_list[1] = 0; },
       "tile_wise<2>: k_list[1] is 0 in tile 0; it must be above 0, which it follows");

  tile_wise<2>::index<sparq::owned> nothing{{0, 3}, {}, {0}, {0}, {}};
  CHECK(nothing.validate().message() ==
        "tile_wise<2>: kept_channels[0] is 0; it must not be there: the matrix has no channels");
}
