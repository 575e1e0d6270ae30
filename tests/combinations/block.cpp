// SPDX-License-Identifier: MIT
#include <sparq/format/block.hpp>

#include "tests/combinations/combinations.hpp"

TEST_CASE("combinations: block of every type of weights by every type of X") {
  combinations::check_all<sparq::block<16, 4>>();
  combinations::check_all<sparq::block<1, 4>>();
}
