// SPDX-License-Identifier: MIT
#include <sparq/tensor/image.hpp>

#include "tests/support/catch.hpp"

#include <cstddef>
#include <type_traits>
#include <vector>

using sparq::image_view;

TEST_CASE("image: views are trivially copyable and become views that only read") {
  STATIC_REQUIRE(std::is_trivially_copyable_v<image_view<float>>);
  STATIC_REQUIRE(std::is_convertible_v<image_view<float>, image_view<const float>>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<image_view<const float>, image_view<float>>);
}

TEST_CASE("image: channels are innermost, then columns, rows and images") {
  std::vector<int> elements(2 * 3 * 4 * 5);
  const image_view<int> image(elements.data(), 2, 3, 4, 5);
  CHECK(image.pixels() == 24);
  CHECK(image.pixel(0, 0, 0) == elements.data());
  CHECK(image.pixel(0, 0, 1) == elements.data() + 5);
  CHECK(image.pixel(0, 1, 0) == elements.data() + 20);
  CHECK(image.pixel(1, 0, 0) == elements.data() + 60);
  CHECK(extent_text(image) == "2 x 3 x 4 x 5");
}

TEST_CASE("image: as a matrix every pixel is a row") {
  std::vector<int> elements(2 * 3 * 4 * 5);
  const image_view<int> image(elements.data(), 2, 3, 4, 5);
  const sparq::matrix_view<int> matrix = image.as_matrix();
  CHECK(matrix.rows == 24);
  CHECK(matrix.columns == 5);
  CHECK(matrix.row((1 * 3 + 2) * 4 + 3) == image.pixel(1, 2, 3));
}
