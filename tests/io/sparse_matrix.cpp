// SPDX-License-Identifier: MIT
#include <sparq/io/sparse_matrix.hpp>

#include "tests/support/catch.hpp"

#include <vector>

TEST_CASE("sparse_matrix: as a dense matrix what is stored is its value, or 1") {
  sparq::sparse_matrix matrix{3, 2, {0, 1, 1, 3}, {1, 0, 1}, {}};
  CHECK(sparq::to_dense(matrix) == std::vector<float>{0, 1, 0, 0, 1, 1});
  matrix.values = {0.5, -2, 0};
  CHECK(sparq::to_dense(matrix) == std::vector<float>{0, 0.5F, 0, 0, -2, 0});
  CHECK(sparq::to_dense({2, 0, {0, 0, 0}, {}, {}}).empty());
}
