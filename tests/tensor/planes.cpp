// SPDX-License-Identifier: MIT
#include <sparq/tensor/planes.hpp>

#include "tests/support/catch.hpp"

#include <numeric>
#include <type_traits>
#include <vector>

using sparq::plane_view;

TEST_CASE("planes: views are trivially copyable and become views that only read") {
  STATIC_REQUIRE(std::is_trivially_copyable_v<plane_view<float>>);
  STATIC_REQUIRE(std::is_convertible_v<plane_view<float>, plane_view<const float>>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<plane_view<const float>, plane_view<float>>);
}

TEST_CASE("planes: pixels are innermost, then rows, channels and images") {
  std::vector<int> elements(2 * 5 * 3 * 4);
  std::iota(elements.begin(), elements.end(), 0);
  const plane_view<int> planes(elements.data(), 2, 3, 4, 5);
  CHECK(planes.pixels() == 24);
  CHECK(planes(0, 0, 1, 0) == 1);
  CHECK(planes(0, 1, 0, 0) == 4);
  CHECK(planes(0, 0, 0, 1) == 12);
  CHECK(planes(1, 0, 0, 0) == 60);
  CHECK(extent_text(planes) == "2 x 3 x 4 x 5");
}

TEST_CASE("planes: strides may take other channels or images between; a range of channels is a view again") {
  std::vector<int> elements(5 * 2 * 3 * 4);
  std::iota(elements.begin(), elements.end(), 0);
  const plane_view<int> by_channel(elements.data(), 2, 3, 4, 5, 12, 24);  // both images of a channel together
  CHECK(by_channel(1, 2, 3, 4) == 4 * 24 + 12 + 11);
  const plane_view<int> some = by_channel.channel_range(3, 2);
  CHECK(some.channels == 2);
  CHECK(&some(1, 0, 2, 1) == &by_channel(1, 0, 2, 4));
}

TEST_CASE("planes: as a matrix every pixel is a row, every channel a column") {
  std::vector<int> elements(2 * 5 * 3 * 4);
  const plane_view<int> planes(elements.data(), 2, 3, 4, 5);
  const auto matrix = planes.as_matrix();
  CHECK(matrix.rows == 24);
  CHECK(matrix.columns == 5);
  for (std::size_t row = 0; row < 24; ++row)
    for (std::size_t c = 0; c < 5; ++c) REQUIRE(&matrix(row, c) == &planes(row / 12, row / 4 % 3, row % 4, c));
}
