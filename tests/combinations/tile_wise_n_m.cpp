// SPDX-License-Identifier: MIT
#include <sparq/format/tile_wise_n_m.hpp>

#include "tests/combinations/combinations.hpp"

TEST_CASE("combinations: tile_wise holding n_m of every type of weights by every type of X") {
  combinations::check_all<sparq::tile_wise<20, sparq::n_m<2, 4>>>();
}
