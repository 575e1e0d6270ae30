// SPDX-License-Identifier: MIT
#pragma once
// Floating-point codes: the code is the real number itself, so they need no quantization.

#include <bit>
#include <cstdint>
#include <string_view>

namespace sparq {

/// IEEE 754 binary32.
struct f32 {
  using code = float;
  static constexpr int bits = 32;
  static constexpr bool is_integer = false;
  static constexpr bool is_signed = true;
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

/// bfloat16. Products of two of them are exact in f32, so kernels multiply as f32 does and add in the same order: the
/// result is that of f32 operands with the same values, bit for bit, on every machine.
struct bf16 {
  using code = brain_float;
  static constexpr int bits = 16;
  static constexpr bool is_integer = false;
  static constexpr bool is_signed = true;
  static constexpr std::string_view name = "bf16";
};

}  // namespace sparq
