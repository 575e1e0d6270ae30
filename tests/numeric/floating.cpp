// SPDX-License-Identifier: MIT
#include <sparq/numeric/floating.hpp>

#include "tests/support/catch.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

TEST_CASE("floating: f32 is an IEEE binary32 and no integer") {
  STATIC_REQUIRE(std::numeric_limits<sparq::f32::code>::is_iec559);
  STATIC_REQUIRE(sizeof(sparq::f32::code) * 8 == sparq::f32::bits);
  STATIC_REQUIRE(!sparq::f32::is_integer);
  CHECK(sparq::f32::name == "f32");
}

TEST_CASE("floating: bf16 is the upper half of f32, rounded to the nearest, ties to even") {
  using sparq::brain_float;
  STATIC_REQUIRE(sizeof(brain_float) * 8 == sparq::bf16::bits);
  const auto rounded = [](std::uint32_t word) { return brain_float(std::bit_cast<float>(word)).bits; };
  CHECK(rounded(0x3f800000) == 0x3f80);
  CHECK(rounded(0x3f808000) == 0x3f80);  // a tie, the lower is even
  CHECK(rounded(0x3f818000) == 0x3f82);  // a tie, the upper is even
  CHECK(rounded(0x3f808001) == 0x3f81);
  CHECK(rounded(0x7f7fffff) == 0x7f80);  // beyond the largest
  CHECK(rounded(0x80000001) == 0x8000);
  CHECK(rounded(0xff800000) == 0xff80);
  CHECK(std::isnan(static_cast<float>(brain_float(std::bit_cast<float>(0x7f800001U)))));
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = std::bit_cast<float>(bits << 16);
    if (!std::isnan(value)) REQUIRE(brain_float(value).bits == bits);
  }
}
