// SPDX-License-Identifier: MIT
#include <sparq/format/n_m.hpp>

#include "tests/combinations/combinations.hpp"

TEST_CASE("combinations: n_m of every type of weights by every type of X") {
  combinations::check_all<sparq::n_m<2, 4>>();
}
