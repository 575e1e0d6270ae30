// SPDX-License-Identifier: MIT
#pragma once
// Requantization of int64 accumulators: activations of 16 bits times weights of 8 (TFLite's "16x8").
//
//   policy        acc * m is rounded                                              computed so by
//   tflite_16x8   the multiplier to 15 bits, then the product once, ties up       TFLite, TFLite Micro, CMSIS-NN

#include <sparq/numeric/requantize.hpp>

#include <cstdint>
#include <string_view>

namespace sparq {

/// TFLite's MultiplyByQuantizedMultiplier of int64 accumulators:
/// m16 = multiplier < 0x7FFF0000 ? (multiplier + 2^15) >> 16 : 0x7FFF; y = (acc * m16 + 2^(14 - shift)) >> (15 -
/// shift). acc saturates to 48 bits, beyond which TFLite leaves it undefined.
struct tflite_16x8 {
  static constexpr std::string_view name = "tflite_16x8";

  using parameters = tflite_parameters<tflite_16x8, 7>;

  static constexpr parameters from_real(double m) { return parameters::from_real(m); }
  static expected<parameters> try_from_real(double m) { return parameters::try_from_real(m); }

  /// @pre p.validate()
  static constexpr affine_shift as_affine(parameters p) {
    const std::int32_t reduced = p.multiplier < 0x7FFF0000 ? (p.multiplier + (1 << 15)) >> 16 : 0x7FFF;
    return {reduced, std::int64_t{1} << (14 - p.shift), 15 - p.shift};
  }
  static constexpr std::int32_t apply(std::int64_t acc, parameters p) {
    constexpr std::int64_t limit = std::int64_t{1} << 47;
    const std::int64_t inside = acc < -limit ? -limit : acc > limit - 1 ? limit - 1 : acc;
    const affine_shift form = as_affine(p);
    return saturate_to_int32((inside * form.multiplier + form.addend) >> form.shift);
  }
};

/// A policy that takes int64 accumulators as they are; braces refuse one that would narrow them.
template <class T>
concept wide_requantization_policy =
    requantization_policy<T> && requires(std::int64_t acc, typename T::parameters p) { T::apply({acc}, p); };

}  // namespace sparq
