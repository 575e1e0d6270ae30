// SPDX-License-Identifier: MIT
#include <sparq/tensor/matrix.hpp>

#include "tests/support/catch.hpp"

#include <type_traits>

static_assert(std::is_trivially_copyable_v<sparq::matrix_view<float>>, "sparq: views are trivially copyable");

TEST_CASE("matrix: rows lie a stride apart") {
  int values[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  const sparq::matrix_view<int> view(values, 2, 3, 5);
  CHECK(view(1, 2) == 7);
  CHECK(view.row(1) == values + 5);
  const sparq::matrix_view<const int> reading = view;
  CHECK(reading(0, 1) == 1);
  CHECK(sparq::extent_text(reading) == "2 x 3");
}

TEST_CASE("matrix: columns of a k-major view lie a stride apart") {
  int values[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  const sparq::k_major_view<int> view(values, 2, 3, 4);
  CHECK(view(1, 2) == 9);
  CHECK(view.column(1) == values + 4);
  const sparq::k_major_view<const int> reading = view;
  CHECK(reading(0, 1) == 4);
  CHECK(sparq::extent_text(reading) == "2 x 3");
}
