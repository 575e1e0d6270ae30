// SPDX-License-Identifier: MIT
#pragma once
// Integer codes. A numeric type is a tag: which C++ type holds one code outside of packed memory, how many bits the
// code takes inside it, and which codes exist. How codes share bytes is codec.hpp; what real number a code means is
// quantization.hpp.

#include <cstdint>
#include <string_view>

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

/// Two's complement nibbles, two codes per byte.
template <packing_order Order>
struct basic_s4 {
  using code = std::int8_t;
  static constexpr int bits = 4;
  static constexpr bool is_integer = true;
  static constexpr bool is_signed = true;
  static constexpr std::int32_t min_code = -8;
  static constexpr std::int32_t max_code = 7;
  static constexpr packing_order order = Order;
  static constexpr std::string_view name = Order == packing_order::low_first ? "s4" : "s4_high_first";
};

using s4 = basic_s4<packing_order::low_first>;
using s4_high_first = basic_s4<packing_order::high_first>;

}  // namespace sparq
