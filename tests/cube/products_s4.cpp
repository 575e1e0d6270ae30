// SPDX-License-Identifier: MIT
#include "tests/cube/products.hpp"

TEST_CASE("cube: convolutions with s4 weights, every X and Y") { cube::check_all_convolutions<sparq::s4>(); }
TEST_CASE("cube: linear layers with s4 weights, every X and Y") { cube::check_all_linear<sparq::s4>(); }
