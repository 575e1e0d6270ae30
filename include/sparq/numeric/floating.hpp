// SPDX-License-Identifier: MIT
#pragma once
// Floating-point codes: the code is the real number itself, so they need no quantization.

#include <bit>
#include <cstdint>
#include <string_view>

namespace sparq {

namespace detail {

/// What every floating-point type says of itself.
template <class Code>
struct floating_codes {
  using code = Code;
  static constexpr int bits = 8 * static_cast<int>(sizeof(Code));
  static constexpr bool is_integer = false;
  static constexpr bool is_signed = true;
};

}  // namespace detail

/// IEEE 754 binary32.
struct f32 : detail::floating_codes<float> {
  static constexpr std::string_view name = "f32";
};

/// The upper half of a binary32: its exponents, 8 bits of precision.
struct brain_float {
  std::uint16_t bits = 0;

  constexpr brain_float() = default;
  /// The nearest, ties to even; beyond the largest: infinity. NaN stays NaN.
  constexpr explicit brain_float(float value) {
    const auto word = std::bit_cast<std::uint32_t>(value);
    const bool is_nan = (word & 0x7fffffffU) > 0x7f800000U;
    bits = static_cast<std::uint16_t>(is_nan ? word >> 16 | 0x40U : (word + 0x7fffU + (word >> 16 & 1U)) >> 16);
  }
  /// Exact.
  constexpr operator float() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }
};

/// bfloat16. Where both operands are bf16, panels multiply pairs as vdpbf16ps does (add_bf16_product), on every
/// machine; everywhere else it is the f32 of the same value.
struct bf16 : detail::floating_codes<brain_float> {
  static constexpr std::string_view name = "bf16";
};

/// One of the two steps of a dot product of bf16: fma(x, w, sum) to nearest, ties to even; what is below 2^-126 is 0
/// with its sign, as an operand and as a result. Intel's definition of VDPBF16PS,
/// which adds the second product of a pair first.
/// @pre the rounding mode is the default one
constexpr float add_bf16_product(float sum, brain_float x, brain_float w) {
  constexpr auto operand = [](float value) {
    return value < 0x1p-126F && value > -0x1p-126F ? static_cast<double>(value) * 0.0 : static_cast<double>(value);
  };
  // A product has 16 bits and is exact; rounding to 53 bits first changes no rounding to 24 that stays normal.
  const double exact = operand(sum) + operand(x) * operand(w);
  constexpr double tiny = 0x1.ffffffp-127;  // from here on the nearest number of 24 bits is 2^-126
  return static_cast<float>(exact < tiny && exact > -tiny ? exact * 0.0 : exact);
}

/// IEEE 754 binary16: 5 bits of exponent, 11 of precision, largest 65504.
struct half_float {
  std::uint16_t bits = 0;

  constexpr half_float() = default;
  /// The nearest, ties to even, denormal numbers included; beyond the largest: infinity. NaN stays NaN.
  constexpr explicit half_float(float value) {
    const auto word = std::bit_cast<std::uint32_t>(value);
    bits = static_cast<std::uint16_t>((word >> 16 & 0x8000U) | magnitude_of(word & 0x7fffffffU));
  }
  /// Exact. No branch, so that loops vectorise.
  constexpr operator float() const {
    const std::uint32_t magnitude = (bits & 0x7fffU) << 13;  // a float 2^112 times too small
    const auto scaled = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112F);
    const std::uint32_t not_finite = magnitude >= 0x0f800000U ? 0x7f800000U : 0U;
    return std::bit_cast<float>(scaled | not_finite | (bits & 0x8000U) << 16);
  }

 private:
  static constexpr std::uint32_t magnitude_of(std::uint32_t word) {
    if (word > 0x7f800000U) return 0x7e00U | (word >> 13 & 0x3ffU);
    if (word >= 0x47800000U) return 0x7c00U;                                                    // 2^16 and more
    if (word >= 0x38800000U) return (word - 0x38000000U + 0xfffU + (word >> 13 & 1U)) >> 13;  // 2^-14 and more
    const std::uint32_t shift = 126 - (word >> 23);  // steps of 2^-24
    if (shift > 24) return 0;
    const std::uint32_t fraction = (word & 0x7fffffU) | 0x800000U;
    const std::uint32_t whole = fraction >> shift, rest = fraction & ((1U << shift) - 1U), half = 1U << (shift - 1);
    return whole + (rest > half || (rest == half && (whole & 1U) != 0) ? 1U : 0U);
  }
};

/// binary16, for storage: kernels multiply as f32 does and add in the same order, as with bf16. W must be finite, as
/// what encode makes is: in registers infinity becomes 65536.
struct f16 : detail::floating_codes<half_float> {
  static constexpr std::string_view name = "f16";
};

}  // namespace sparq
