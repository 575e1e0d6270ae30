// SPDX-License-Identifier: MIT
#include <sparq/kernel/loop/tile_rows.hpp>

#include "tests/support/catch.hpp"

#include <cstddef>

using namespace sparq;

TEST_CASE("tile_rows: whole tiles meet every row once, and what they meet again is known") {
  for (std::size_t rows = 16; rows <= 200; ++rows) {
    std::size_t tiles = 0;
    for (std::size_t r = 0; r < rows;) {
      const tile_rows some = tile_rows::at(r, rows);
      INFO("row " << r << " of " << rows);
      REQUIRE(some.first + some.known == r);
      REQUIRE(some.known < some.height());
      REQUIRE(some.end() <= rows);
      REQUIRE((some.tiles == 1 || some.tiles == 2));
      tiles += some.tiles;
      r = some.end();
    }
    CHECK(tiles == (rows + 15) / 16);
  }
}
