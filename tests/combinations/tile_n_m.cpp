// SPDX-License-Identifier: MIT
#include <sparq/format/tile_n_m.hpp>

#include "tests/combinations/combinations.hpp"

TEST_CASE("combinations: tile_n_m of every type of weights by every type of X") {
  combinations::check_all<sparq::tile_n_m<32, 2, 4>>();
}
