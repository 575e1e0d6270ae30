// SPDX-License-Identifier: MIT
#include <sparq/format/bitmask.hpp>

#include "tests/combinations/combinations.hpp"

TEST_CASE("combinations: bitmask of every type of weights by every type of X") {
  combinations::check_all<sparq::bitmask>();
}
