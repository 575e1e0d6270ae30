// SPDX-License-Identifier: MIT
#include "tests/cube/products.hpp"

TEST_CASE("cube: convolutions with ternary weights, every X and Y") { cube::check_all_convolutions<sparq::ternary>(); }
TEST_CASE("cube: linear layers with ternary weights, every X and Y") { cube::check_all_linear<sparq::ternary>(); }
