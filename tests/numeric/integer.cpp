// SPDX-License-Identifier: MIT
#include <sparq/numeric/integer.hpp>

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
                   sparq::s32, sparq::s4, sparq::s4_high_first) {
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
