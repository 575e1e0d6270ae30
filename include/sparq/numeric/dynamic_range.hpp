// SPDX-License-Identifier: MIT
#pragma once
// How a row of activations becomes symmetric codes of 8 bits when it arrives: a rule, a type, which is the scalar truth
// that op/quantize_rows.hpp computes on sixteen lanes. `largest` is max |x| of the row, finite.
//
//   rule            scale           code
//   divide_to_even  largest / 127   round(x / scale), ties to even: what encode does with weights
//   tflite_dynamic  largest / 127   round(x * (127 / largest)), ties away from zero: TFLite's SymmetricQuantizeFloats

#include <sparq/numeric/integer.hpp>
#include <sparq/numeric/rounding.hpp>
#include <sparq/numeric/scale.hpp>
#include <sparq/numeric/weight_quantization.hpp>

#include <concepts>
#include <cstdint>
#include <string_view>

namespace sparq {

/// Divides by the scale; ties to even. A row of zeros has scale 1.
struct divide_to_even {
  static constexpr std::string_view name = "divide_to_even";

  static constexpr float scale(float largest) { return detail::scale_for(largest, s8::max_code); }
  /// @pre |x| <= largest
  static constexpr std::int8_t code(float x, float largest) { return quantize_code<s8>(x, scale(largest)); }
};

/// Multiplies by a reciprocal; ties away from zero, as portable_tensor_utils.cc of TensorFlow Lite does.
/// A row of zeros has scale 1, and so has one whose reciprocal overflows (largest < 2^-121), which TFLite leaves
/// undefined: its codes are 0.
struct tflite_dynamic {
  static constexpr std::string_view name = "tflite_dynamic";

  static constexpr float scale(float largest) { return factor(largest) == 0.0F ? 1.0F : largest / 127.0F; }
  /// What the row is multiplied by.
  static constexpr float factor(float largest) { return largest >= 0x1p-121F ? 127.0F / largest : 0.0F; }
  /// @pre |x| <= largest
  static constexpr std::int8_t code(float x, float largest) {
    const float scaled = x * factor(largest);
    const std::int32_t code = round_half_away(scaled);
    return static_cast<std::int8_t>(code < -127 ? -127 : code > 127 ? 127 : code);
  }
};

/// A rule for symmetric rows that quantize_rows knows.
template <class T>
concept row_rule = std::same_as<T, divide_to_even> || std::same_as<T, tflite_dynamic>;

}  // namespace sparq
