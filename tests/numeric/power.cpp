// SPDX-License-Identifier: MIT
#include <sparq/numeric/codec.hpp>
#include <sparq/numeric/power.hpp>

#include "tests/support/catch.hpp"

#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

using namespace sparq;

namespace {

template <class N>
std::vector<int> all_codes() {
  std::vector<int> codes;
  for (unsigned bits = 0; bits < 1U << N::bits; ++bits) codes.push_back(N::from_bits(bits));
  return codes;
}

}  // namespace

TEST_CASE("power: a code is a sign and an exponent") {
  CHECK(all_codes<pow2<3>>() == std::vector{0, 1, 2, 4, 0, -1, -2, -4});
  CHECK(all_codes<pow2<4>>() == std::vector{0, 1, 2, 4, 8, 16, 32, 64, 0, -1, -2, -4, -8, -16, -32, -64});
  for (const int value : all_codes<pow2<4>>()) {
    const auto code = static_cast<std::int8_t>(value);
    REQUIRE(pow2<4>::from_bits(pow2<4>::to_bits(code)) == code);
    REQUIRE(is_code<pow2<4>>(code));
  }
  int codes = 0;
  for (int value = -128; value < 128; ++value) codes += is_code<pow2<4>>(value);
  CHECK(codes == 15);
  CHECK_FALSE(is_code<pow2<4>>(INT32_MIN));
  CHECK_FALSE(is_code<pow2<4>>(INT32_MAX));
}

TEST_CASE("power: bytes of a stream") {
  const std::array<std::int8_t, 3> codes{64, -1, 2};
  std::array<std::byte, 2> bytes{};
  pack_codes<pow2<4>>(codes, bytes.data());
  CHECK(bytes == std::array{std::byte{0x97}, std::byte{0x02}});
  const std::array<std::int8_t, 3> small{4, -1, 2};  // bits 011, 101, 010
  pack_codes<pow2<3>>(small, bytes.data());
  CHECK(bytes == std::array{std::byte{0b10'101'011}, std::byte{0}});
}

TEMPLATE_TEST_CASE("power: the nearest code is the nearest, of two the one farther from zero", "", pow2<3>, pow2<4>) {
  const auto limit = static_cast<float>(TestType::max_code);
  for (float steps = -limit; steps <= limit; steps += 0.0625F) {
    int best = 0;
    for (const int code : all_codes<TestType>()) {
      const float distance = std::abs(static_cast<float>(code) - steps);
      const float least = std::abs(static_cast<float>(best) - steps);
      if (distance < least || (distance == least && std::abs(code) > std::abs(best))) best = code;
    }
    INFO(steps);
    REQUIRE(TestType::nearest(steps) == best);
  }
}
