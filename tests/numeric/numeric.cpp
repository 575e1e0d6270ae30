// SPDX-License-Identifier: MIT
#include <sparq/numeric/numeric.hpp>

#include "tests/support/catch.hpp"

#include <concepts>
#include <cstdint>
#include <string_view>

namespace {

// A type that the library has never heard of.
struct pair_of_bits {
  using code = std::uint8_t;
  static constexpr int bits = 2;
  static constexpr bool is_integer = true;
  static constexpr bool is_signed = false;
  static constexpr std::int32_t min_code = 0;
  static constexpr std::int32_t max_code = 3;
  static constexpr sparq::packing_order order = sparq::packing_order::low_first;
  static constexpr std::string_view name = "pair_of_bits";
};

struct nibbles_in_no_order {
  using code = std::int8_t;
  static constexpr int bits = 4;
  static constexpr bool is_integer = true;
  static constexpr bool is_signed = true;
  static constexpr std::string_view name = "nibbles_in_no_order";
};

}  // namespace

TEST_CASE("numeric: the concepts hold for the library's types and for one's own") {
  STATIC_REQUIRE(sparq::integer_numeric<sparq::s8>);
  STATIC_REQUIRE(sparq::integer_numeric<sparq::u8>);
  STATIC_REQUIRE(sparq::integer_numeric<sparq::s32>);
  STATIC_REQUIRE(sparq::integer_numeric<sparq::s4>);
  STATIC_REQUIRE(sparq::integer_numeric<sparq::s4_high_first>);
  STATIC_REQUIRE(sparq::integer_numeric<pair_of_bits>);
  STATIC_REQUIRE(sparq::numeric<sparq::f32>);
}

TEST_CASE("numeric: the concepts refuse what is not a numeric type") {
  STATIC_REQUIRE(!sparq::integer_numeric<sparq::f32>);
  STATIC_REQUIRE(!sparq::numeric<std::int8_t>);
  STATIC_REQUIRE(!sparq::numeric<nibbles_in_no_order>);
}

TEST_CASE("numeric: plain element types have a numeric type") {
  STATIC_REQUIRE(std::same_as<sparq::numeric_of_t<std::int8_t>, sparq::s8>);
  STATIC_REQUIRE(std::same_as<sparq::numeric_of_t<std::uint8_t>, sparq::u8>);
  STATIC_REQUIRE(std::same_as<sparq::numeric_of_t<std::int32_t>, sparq::s32>);
  STATIC_REQUIRE(std::same_as<sparq::numeric_of_t<float>, sparq::f32>);
}
