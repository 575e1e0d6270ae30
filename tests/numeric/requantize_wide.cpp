// SPDX-License-Identifier: MIT
#include <sparq/numeric/requantize_wide.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <cmath>

using namespace sparq;

namespace {

/// floor(acc * m16 / 2^(15 - shift) + 1/2) with the exact product split in two.
std::int64_t rounded(std::int64_t acc, std::int64_t m16, int shift) {
  const int total = 15 - shift;
  const std::int64_t divisor = std::int64_t{1} << total;
  const std::int64_t product = acc * m16;
  std::int64_t quotient = product / divisor, rest = product % divisor;
  if (rest < 0) rest += divisor, --quotient;
  return quotient + (2 * rest >= divisor ? 1 : 0);
}

}  // namespace

TEST_CASE("requantize_wide: 16x8 rounds as TFLite does") {
  STATIC_REQUIRE(tflite_16x8::apply(1, {1 << 30, 1}) == 1);
  STATIC_REQUIRE(tflite_16x8::apply(1, {1 << 30, 0}) == 1);    // a tie goes up
  STATIC_REQUIRE(tflite_16x8::apply(-1, {1 << 30, 0}) == 0);   // ... below zero as well
  STATIC_REQUIRE(tflite_16x8::apply(-3, {1 << 30, 0}) == -1);
  STATIC_REQUIRE(tflite_16x8::apply(32768, {INT32_MAX, 0}) == 32767);  // the multiplier stays below 2^15
  STATIC_REQUIRE(tflite_16x8::apply(32768, {0x7FFEFFFF, 0}) == 32767);
  STATIC_REQUIRE(tflite_16x8::apply(INT64_MAX, {1 << 30, 7}) == INT32_MAX);
  STATIC_REQUIRE(tflite_16x8::apply(INT64_MIN, {1 << 30, 7}) == INT32_MIN);
}

TEST_CASE("requantize_wide: 16x8 equals exact arithmetic on a million accumulators") {
  sparq_test::random_source random;
  INFO(random.text());
  std::size_t ties = 0;
  for (int trial = 0; trial < 1000000; ++trial) {
    const std::int32_t multiplier = random.chance(0.1) ? INT32_MAX - random.between(0, 70000)
                                    : random.chance(0.3) ? 1 << random.between(16, 30)
                                                         : random.between(1 << 30, INT32_MAX);
    const int shift = random.between(-31, 7);
    std::int64_t acc = std::int64_t{random.between(INT32_MIN, INT32_MAX)} * (random.chance(0.5) ? 1 : 65536);
    if (random.chance(0.5)) acc >>= random.between(0, 40);
    const std::int64_t m16 = multiplier < 0x7FFF0000 ? (std::int64_t{multiplier} + 32768) / 65536 : 32767;
    const std::int64_t exact = rounded(acc, m16, shift);
    const std::int64_t want = exact < INT32_MIN ? INT32_MIN : exact > INT32_MAX ? INT32_MAX : exact;
    REQUIRE(tflite_16x8::apply(acc, {multiplier, shift}) == want);
    ties += acc * m16 % (std::int64_t{1} << (15 - shift)) == std::int64_t{1} << (14 - shift);
  }
  CHECK(ties > 100);
}

TEST_CASE("requantize_wide: factors become parameters, and what is out of range is refused") {
  const auto p = tflite_16x8::from_real(0.75);
  CHECK(p == tflite_16x8::parameters{3 << 29, 0});
  CHECK(tflite_16x8::try_from_real(127.9).ok());
  CHECK(tflite_16x8::try_from_real(128.0).error().message() == "tflite_16x8: multiplier 128 is not in [0, 2^7)");
  CHECK(!tflite_16x8::try_from_real(-1.0).ok());
  CHECK(!tflite_16x8::try_from_real(std::nan("")).ok());
  CHECK(tflite_16x8::parameters{-1, 0}.validate().message() == "tflite_16x8: multiplier -1 is not 0 or more");
  CHECK(tflite_16x8::parameters{1, 8}.validate().message() == "tflite_16x8: shift 8 is not in [-31, 7]");
  CHECK(tflite_16x8::parameters{1, -31}.validate().ok());
  STATIC_REQUIRE(wide_requantization_policy<tflite_16x8>);
  STATIC_REQUIRE_FALSE(wide_requantization_policy<tflite_double>);
}
