// SPDX-License-Identifier: MIT
#include <sparq/format/tile_wise.hpp>

#include "tests/combinations/combinations.hpp"

TEST_CASE("combinations: tile_wise of every type of weights by every type of X") {
  combinations::check_all<sparq::tile_wise<8>>();
}
