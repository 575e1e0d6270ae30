// SPDX-License-Identifier: MIT
#pragma once
// Codes that are powers of two: a sign and an exponent. Logarithmic quantization spends its codes where weights are
// small.
//
//   pow2<4>   bits  s eee     e = 0: 0     else: 2^(e-1), negative if s      0, +-1, +-2, ... +-64
//   pow2<3>   bits  s ee                                                     0, +-1, +-2, +-4

#include <sparq/numeric/integer.hpp>

#include <bit>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace sparq {

/// 0 and +-2^e, e from 0 to 2^(Bits-1) - 2, as integers: products and sums are exact like those of any other integers.
/// Kernels hold pow2<3> in 4 bits, pow2<4> in 8.
template <int Bits>
struct pow2 {
  static_assert(Bits == 3 || Bits == 4, "sparq: powers of two have 3 or 4 bits; use ternary for 2, s8 for more");
  using code = std::int8_t;
  using packed = std::conditional_t<Bits == 3, s4, s8_up_to_64>;
  static constexpr int bits = Bits;
  static constexpr bool is_integer = true;
  static constexpr bool is_signed = true;
  static constexpr std::int32_t max_code = 1 << ((1 << (Bits - 1)) - 2);
  static constexpr std::int32_t min_code = -max_code;
  static constexpr packing_order order = packing_order::low_first;
  static constexpr std::string_view name = Bits == 3 ? "pow2<3>" : "pow2<4>";

  static constexpr bool has_code(std::int32_t value) {
    if (value < min_code || value > max_code) return false;
    const auto magnitude = static_cast<std::uint32_t>(value < 0 ? -value : value);
    return (magnitude & (magnitude - 1)) == 0;
  }
  static constexpr unsigned to_bits(code value) {
    const auto exponent = static_cast<unsigned>(std::bit_width(static_cast<unsigned>(value < 0 ? -value : value)));
    return exponent | (value < 0 ? sign : 0U);
  }
  static constexpr code from_bits(unsigned stored) {
    const int magnitude = 1 << (stored & (sign - 1)) >> 1;
    return static_cast<code>((stored & sign) != 0 ? -magnitude : magnitude);
  }

  /// The nearest code, of two the one farther from 0. @pre |steps| <= max_code
  static constexpr code nearest(float steps) {
    const float magnitude = steps < 0 ? -steps : steps;
    int power = magnitude < 0.5F ? 0 : 1;
    while (power != 0 && power < max_code && magnitude >= 1.5F * static_cast<float>(power)) power *= 2;
    return static_cast<code>(steps < 0 ? -power : power);
  }

 private:
  static constexpr unsigned sign = 1U << (Bits - 1);
};

}  // namespace sparq
