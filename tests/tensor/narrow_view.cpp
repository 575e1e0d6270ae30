// SPDX-License-Identifier: MIT
#include <sparq/tensor/narrow_view.hpp>

#include "tests/support/catch.hpp"

#include <array>
#include <type_traits>

using namespace sparq;

static_assert(std::is_trivially_copyable_v<narrow_matrix_view<u4>>, "sparq: views are trivially copyable");
static_assert(std::is_trivially_copyable_v<narrow_image_view<const s2>>, "sparq: views are trivially copyable");

TEST_CASE("narrow_view: element 0 sits in the low bits, or in the high bits if asked") {
  std::array<std::byte, 2> bytes{};
  const narrow_matrix_view<u4> low(bytes.data(), 1, 4);
  for (std::uint8_t i = 0; i < 4; ++i) low.set(0, i, static_cast<std::uint8_t>(i + 1));
  CHECK(bytes == std::array{std::byte{0x21}, std::byte{0x43}});  // as CMSIS-NN and PULP-NN store [1, 2, 3, 4]
  const narrow_matrix_view<u4_high_first> high(bytes.data(), 1, 4);
  for (std::uint8_t i = 0; i < 4; ++i) high.set(0, i, static_cast<std::uint8_t>(i + 1));
  CHECK(bytes == std::array{std::byte{0x12}, std::byte{0x34}});
  const narrow_matrix_view<u1> bits(bytes.data(), 1, 16);
  bits.set(0, 1, 0);
  CHECK(bytes[0] == std::byte{0x10});
  CHECK(bits(0, 4) == 1);
}

TEST_CASE("narrow_view: rows and pixels start on a byte") {
  std::array<std::byte, 12> bytes{};
  const narrow_matrix_view<s2> matrix(bytes.data(), 3, 5, 4);
  CHECK(matrix.row_bytes() == 2);
  matrix.set(2, 4, -2);
  CHECK(bytes[9] == std::byte{0x02});
  const narrow_matrix_view<const s2> reading = matrix;
  CHECK(reading(2, 4) == -2);
  CHECK(extent_text(reading) == "3 x 5");
  CHECK(narrow_matrix_view<u1>(bytes.data(), 2, 9).stride == 2);

  const narrow_image_view<u4> image(bytes.data(), 1, 2, 2, 5);
  CHECK(image.pixel_bytes() == 3);
  CHECK(image.pixel(0, 1, 1) == bytes.data() + 9);
  CHECK(image.as_matrix().rows == 4);
  CHECK(image.as_matrix().stride == 3);
  CHECK(extent_text(image) == "1 x 2 x 2 x 5");
  const narrow_image_view<const u4> reading_image = image;
  CHECK(reading_image.pixels() == 4);
}
