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

TEST_CASE("floating: every binary16 is a float and comes back") {
  using sparq::half_float;
  STATIC_REQUIRE(sizeof(half_float) * 8 == sparq::f16::bits);
  CHECK(sparq::f16::name == "f16");
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    half_float half;
    half.bits = static_cast<std::uint16_t>(bits);
    const auto value = static_cast<float>(half);
    const int exponent = static_cast<int>(bits >> 10 & 31), fraction = static_cast<int>(bits & 1023);
    const float sign = bits >> 15 != 0 ? -1.0F : 1.0F;
    if (exponent == 31 && fraction != 0) {
      REQUIRE(std::isnan(value));
      REQUIRE(std::isnan(static_cast<float>(half_float(value))));
      continue;
    }
    const float want = exponent == 31 ? std::numeric_limits<float>::infinity()
                       : exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                                       : std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
    REQUIRE(value == sign * want);
    REQUIRE(std::signbit(value) == (sign < 0));
    REQUIRE(half_float(value).bits == bits);
  }
}

TEST_CASE("floating: f16 is rounded to the nearest, ties to even, and overflows to infinity") {
  const auto rounded = [](float value) { return sparq::half_float(value).bits; };
  for (std::uint32_t bits = 0; bits < 0x7c00; ++bits) {  // between every two neighbours, the last one and 2^16 included
    sparq::half_float low;
    low.bits = static_cast<std::uint16_t>(bits);
    const auto below = static_cast<double>(static_cast<float>(low));
    sparq::half_float high;
    high.bits = static_cast<std::uint16_t>(bits + 1);
    const double above = bits == 0x7bff ? 65536.0 : static_cast<double>(static_cast<float>(high));
    const auto middle = static_cast<float>((below + above) / 2);
    const auto even = static_cast<std::uint16_t>(bits % 2 == 0 ? bits : bits + 1);
    REQUIRE(rounded(middle) == even);
    REQUIRE(rounded(-middle) == (even | 0x8000));
    REQUIRE(rounded(std::nextafter(middle, 0.0F)) == bits);
    REQUIRE(rounded(std::nextafter(middle, 1e9F)) == bits + 1);
  }
  CHECK(rounded(1e30F) == 0x7c00);
  CHECK(rounded(std::numeric_limits<float>::denorm_min()) == 0);
  CHECK(rounded(-std::numeric_limits<float>::infinity()) == 0xfc00);
}
