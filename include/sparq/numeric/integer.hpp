// SPDX-License-Identifier: MIT
#pragma once
// Integer codes. A numeric type is a tag: which C++ type holds one code outside of packed memory, how many bits the
// code takes inside it, and which codes exist. How codes share bytes is codec.hpp; what real number a code means is
// quantization.hpp.

#include <cstdint>
#include <string_view>
#include <type_traits>

namespace sparq {

/// Where the element with the even index sits when two or more elements share a byte.
enum class packing_order {
  low_first,   ///< in the low bits: ONNX, TFLite, CMSIS-NN, oneDNN, PULP-NN
  high_first,  ///< in the high bits: PyTorch int4pack, bitsandbytes
};

/// Signed bytes.
struct s8 {
  using code = std::int8_t;
  static constexpr int bits = 8;
  static constexpr bool is_integer = true;
  static constexpr bool is_signed = true;
  static constexpr std::int32_t min_code = -128;
  static constexpr std::int32_t max_code = 127;
  static constexpr std::string_view name = "s8";
};

/// Unsigned bytes.
struct u8 {
  using code = std::uint8_t;
  static constexpr int bits = 8;
  static constexpr bool is_integer = true;
  static constexpr bool is_signed = false;
  static constexpr std::int32_t min_code = 0;
  static constexpr std::int32_t max_code = 255;
  static constexpr std::string_view name = "u8";
};

/// Activations and outputs of 16 bits; no weights.
struct s16 {
  using code = std::int16_t;
  static constexpr int bits = 16;
  static constexpr bool is_integer = true;
  static constexpr bool is_signed = true;
  static constexpr std::int32_t min_code = -32768;
  static constexpr std::int32_t max_code = 32767;
  static constexpr std::string_view name = "s16";
};

/// Accumulators and outputs only; no weights, no activations.
struct s32 {
  using code = std::int32_t;
  static constexpr int bits = 32;
  static constexpr bool is_integer = true;
  static constexpr bool is_signed = true;
  static constexpr std::int32_t min_code = INT32_MIN;
  static constexpr std::int32_t max_code = INT32_MAX;
  static constexpr std::string_view name = "s32";
};

/// Codes of 1, 2 or 4 bits, which share a byte; two's complement if signed.
template <int Bits, bool Signed, packing_order Order>
struct narrow_integer {
  static_assert(Bits == 1 || Bits == 2 || Bits == 4, "sparq: narrow integers have 1, 2 or 4 bits; use s8 or u8 for more");
  static_assert(Bits > 1 || !Signed, "sparq: one bit has no room for a sign; use u1");
  using code = std::conditional_t<Signed, std::int8_t, std::uint8_t>;
  static constexpr int bits = Bits;
  static constexpr bool is_integer = true;
  static constexpr bool is_signed = Signed;
  static constexpr std::int32_t min_code = Signed ? -(1 << (Bits - 1)) : 0;
  static constexpr std::int32_t max_code = min_code + (1 << Bits) - 1;
  static constexpr packing_order order = Order;
  static constexpr std::string_view name = [] {
    constexpr bool low = Order == packing_order::low_first;
    if constexpr (Bits == 4)
      return std::string_view(Signed ? (low ? "s4" : "s4_high_first") : (low ? "u4" : "u4_high_first"));
    else if constexpr (Bits == 2)
      return std::string_view(Signed ? (low ? "s2" : "s2_high_first") : (low ? "u2" : "u2_high_first"));
    else
      return std::string_view(low ? "u1" : "u1_high_first");
  }();
};

using s4 = narrow_integer<4, true, packing_order::low_first>;
using s4_high_first = narrow_integer<4, true, packing_order::high_first>;
using u4 = narrow_integer<4, false, packing_order::low_first>;
using u4_high_first = narrow_integer<4, false, packing_order::high_first>;
using s2 = narrow_integer<2, true, packing_order::low_first>;
using s2_high_first = narrow_integer<2, true, packing_order::high_first>;
using u2 = narrow_integer<2, false, packing_order::low_first>;
using u2_high_first = narrow_integer<2, false, packing_order::high_first>;
using u1 = narrow_integer<1, false, packing_order::low_first>;
using u1_high_first = narrow_integer<1, false, packing_order::high_first>;

/// -1, 0 and 1, stored as s2 stores them.
struct ternary {
  using code = std::int8_t;
  static constexpr int bits = 2;
  static constexpr bool is_integer = true;
  static constexpr bool is_signed = true;
  static constexpr std::int32_t min_code = -1;
  static constexpr std::int32_t max_code = 1;
  static constexpr packing_order order = packing_order::low_first;
  static constexpr std::string_view name = "ternary";
};

}  // namespace sparq
