// SPDX-License-Identifier: MIT
#include "tests/cube/products.hpp"

TEST_CASE("cube: convolutions with binary weights, every X and Y") { cube::check_all_convolutions<sparq::binary>(); }
TEST_CASE("cube: linear layers with binary weights, every X and Y") { cube::check_all_linear<sparq::binary>(); }
