// SPDX-License-Identifier: MIT
#include <sparq/format/dense.hpp>

#include "tests/combinations/combinations.hpp"

TEST_CASE("combinations: dense of every type of weights by every type of X") {
  combinations::check_all<sparq::dense>();
}
