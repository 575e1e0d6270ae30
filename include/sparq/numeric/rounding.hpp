// SPDX-License-Identifier: MIT
#pragma once
// From real numbers and wide integers to int32. Each of these has one result, whatever the current rounding mode, and
// works in constant expressions; the hardware's own conversions promise neither.

#include <bit>
#include <cstdint>

namespace sparq {

/// The nearest int32; values beyond it become the nearest end.
constexpr std::int32_t saturate_to_int32(std::int64_t value) {
  if (value < INT32_MIN) return INT32_MIN;
  if (value > INT32_MAX) return INT32_MAX;
  return static_cast<std::int32_t>(value);
}

/// The nearest integer, ties to the even one. @pre |value| < 2^23
constexpr std::int32_t round_half_even_in_range(float value) {
  const auto whole = static_cast<std::int32_t>(value);  // towards zero
  // Compared with whole +- 0.5, which is exact in this range; nothing is added to `value` itself.
  // Where it is a product, gcc with -mfma fuses such an addition into it (2^23 and back, for instance), and half of the
  // ties come out wrong.
  const float above = static_cast<float>(whole) + 0.5f;
  const float below = static_cast<float>(whole) - 0.5f;
  const std::int32_t odd = whole & 1;
  const std::int32_t up = static_cast<std::int32_t>(value > above) | (odd & static_cast<std::int32_t>(value == above));
  const std::int32_t down =
      static_cast<std::int32_t>(value < below) | (odd & static_cast<std::int32_t>(value == below));
  return whole + up - down;
}

/// The nearest integer, ties to the even one. Values beyond int32 become the nearest end, NaN becomes 0.
constexpr std::int32_t round_half_even(float value) {
  if (value != value) return 0;
  if (value >= 2147483648.0f) return INT32_MAX;
  if (value <= -2147483648.0f) return INT32_MIN;
  if (value >= 8388608.0f || value <= -8388608.0f) return static_cast<std::int32_t>(value);  // has no fraction
  return round_half_even_in_range(value);
}

/// Without the fraction, saturated; NaN becomes 0.
constexpr std::int32_t round_toward_zero(float value) {
  if (value != value) return 0;
  if (value >= 2147483648.0f) return INT32_MAX;
  if (value <= -2147483648.0f) return INT32_MIN;
  return static_cast<std::int32_t>(value);
}

/// The nearest integer, ties away from zero, as C's round(); saturated, NaN becomes 0.
constexpr std::int32_t round_half_away(float value) {
  const std::int32_t whole = round_toward_zero(value);
  if (value >= 8388608.0f || value <= -8388608.0f || value != value) return whole;  // has no fraction
  const auto exact = static_cast<float>(whole);  // bounds are exact, and nothing is added to `value` itself
  return whole + static_cast<std::int32_t>(value >= exact + 0.5f) - static_cast<std::int32_t>(value <= exact - 0.5f);
}

/// The largest integer that is not above, saturated; NaN becomes 0.
constexpr std::int32_t round_down(float value) {
  const std::int32_t whole = round_toward_zero(value);
  if (value >= 8388608.0f || value <= -8388608.0f || value != value) return whole;
  return whole - static_cast<std::int32_t>(value < static_cast<float>(whole));
}

/// The smallest integer that is not below, saturated; NaN becomes 0.
constexpr std::int32_t round_up_to_integer(float value) {
  const std::int32_t whole = round_toward_zero(value);
  if (value >= 8388608.0f || value <= -8388608.0f || value != value) return whole;
  return whole + static_cast<std::int32_t>(value > static_cast<float>(whole));
}

/// The nearest integer, ties to even. @pre |value| < 2^51
constexpr std::int64_t round_half_even_in_range(double value) {
  const auto whole = static_cast<std::int64_t>(value);  // towards zero
  const double above = static_cast<double>(whole) + 0.5, below = static_cast<double>(whole) - 0.5;
  const bool is_odd = whole % 2 != 0;
  return whole + (value > above || (is_odd && value == above) ? 1 : 0) -
         (value < below || (is_odd && value == below) ? 1 : 0);
}

/// The nearest integer, ties away from zero. @pre |value| < 2^51
constexpr std::int64_t round_half_away_in_range(double value) {
  const auto whole = static_cast<std::int64_t>(value);
  return whole + (value >= static_cast<double>(whole) + 0.5 ? 1 : 0) -
         (value <= static_cast<double>(whole) - 0.5 ? 1 : 0);
}

/// 2^exponent. @pre -1022 <= exponent <= 1023
constexpr double power_of_two(int exponent) {
  return std::bit_cast<double>(static_cast<std::uint64_t>(exponent + 1023) << 52);
}

/// The least e with value <= 2^e. @pre value is positive; subnormal numbers give -1022, infinity 1024
constexpr int ceil_log2(double value) {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const int exponent = static_cast<int>(bits >> 52) - 1023;
  return exponent < -1022 ? -1022 : exponent + ((bits & ((std::uint64_t{1} << 52) - 1)) != 0 ? 1 : 0);
}

/// How a float becomes an integer, as a type.
namespace rounding {
struct nearest_even {
  static constexpr std::int32_t apply(float value) { return round_half_even(value); }
};
struct nearest_away {
  static constexpr std::int32_t apply(float value) { return round_half_away(value); }
};
struct down {
  static constexpr std::int32_t apply(float value) { return round_down(value); }
};
struct up {
  static constexpr std::int32_t apply(float value) { return round_up_to_integer(value); }
};
struct toward_zero {
  static constexpr std::int32_t apply(float value) { return round_toward_zero(value); }
};
}  // namespace rounding

}  // namespace sparq
