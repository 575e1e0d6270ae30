// SPDX-License-Identifier: MIT
#include <sparq/numeric/integer.hpp>
#include <sparq/numeric/numeric.hpp>

#include "tests/support/catch.hpp"

#include <cstdint>
#include <limits>
#include <type_traits>

namespace {

template <class N>
constexpr bool bounds_follow_from_bits() {
  const std::int64_t codes = std::int64_t{1} << N::bits;
  const std::int64_t first = N::is_signed ? -codes / 2 : 0;
  return N::min_code == first && N::max_code == first + codes - 1;
}

template <class N>
constexpr bool code_type_holds_bounds() {
  using limits = std::numeric_limits<typename N::code>;
  return limits::min() <= N::min_code && N::max_code <= limits::max() && limits::is_signed == N::is_signed;
}

}  // namespace

TEMPLATE_TEST_CASE("integer: the bounds are those of two's complement in `bits` bits", "", sparq::s8, sparq::u8,
                   sparq::s32, sparq::s4, sparq::s4_high_first, sparq::u4, sparq::u4_high_first, sparq::s2,
                   sparq::s2_high_first, sparq::u2, sparq::u2_high_first, sparq::s3, sparq::u3, sparq::s5, sparq::u5,
                   sparq::s6, sparq::u6, sparq::s7, sparq::u7) {
  STATIC_REQUIRE(bounds_follow_from_bits<TestType>());
  STATIC_REQUIRE(code_type_holds_bounds<TestType>());
  STATIC_REQUIRE(TestType::is_integer);
}

TEST_CASE("integer: the two nibble orders are two types with two names") {
  STATIC_REQUIRE(!std::is_same_v<sparq::s4, sparq::s4_high_first>);
  STATIC_REQUIRE(sparq::s4::order == sparq::packing_order::low_first);
  STATIC_REQUIRE(sparq::s4_high_first::order == sparq::packing_order::high_first);
  CHECK(sparq::s4::name == "s4");
  CHECK(sparq::s4_high_first::name == "s4_high_first");
}

TEST_CASE("integer: names are the vocabulary's") {
  CHECK(sparq::s8::name == "s8");
  CHECK(sparq::u8::name == "u8");
  CHECK(sparq::s32::name == "s32");
}

TEST_CASE("integer: narrow types have names of their own") {
  CHECK(sparq::u4::name == "u4");
  CHECK(sparq::u4_high_first::name == "u4_high_first");
  CHECK(sparq::s2::name == "s2");
  CHECK(sparq::s2_high_first::name == "s2_high_first");
  CHECK(sparq::u2::name == "u2");
  CHECK(sparq::u2_high_first::name == "u2_high_first");
  CHECK(sparq::s3::name == "s3");
  CHECK(sparq::u7::name == "u7");
}

TEST_CASE("integer: kernels hold odd widths in the next one that divides a byte, and all orders in one") {
  using namespace sparq;
  STATIC_REQUIRE(std::is_same_v<packed_numeric_t<s3>, s4>);
  STATIC_REQUIRE(std::is_same_v<packed_numeric_t<u3>, u4>);
  STATIC_REQUIRE(std::is_same_v<packed_numeric_t<s5>, s8_up_to_64>);
  STATIC_REQUIRE(std::is_same_v<packed_numeric_t<s6>, s8_up_to_64>);
  STATIC_REQUIRE(std::is_same_v<packed_numeric_t<s7>, s8_up_to_64>);
  STATIC_REQUIRE((s8_up_to_64::min_code <= s7::min_code && s8_up_to_64::max_code >= s7::max_code));
  STATIC_REQUIRE(std::is_same_v<packed_numeric_t<u7>, u8>);
  STATIC_REQUIRE(std::is_same_v<packed_numeric_t<s4_high_first>, s4>);
  STATIC_REQUIRE(std::is_same_v<packed_numeric_t<s2>, s2>);
  STATIC_REQUIRE(std::is_same_v<packed_numeric_t<s8, true>, s8>);
}
