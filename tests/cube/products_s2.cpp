// SPDX-License-Identifier: MIT
#include "tests/cube/products.hpp"

TEST_CASE("cube: convolutions with s2 weights, every X and Y") { cube::check_all_convolutions<sparq::s2>(); }
TEST_CASE("cube: linear layers with s2 weights, every X and Y") { cube::check_all_linear<sparq::s2>(); }
