// SPDX-License-Identifier: MIT
#pragma once
// What real number the code of an activation means: x = scale * (code - zero_point), asymmetric, with one pair for each
// tensor. Rounding and arithmetic are as for weights (numeric/weight_quantization.hpp).

#include <sparq/base/error.hpp>
#include <sparq/numeric/checks.hpp>
#include <sparq/numeric/number_text.hpp>
#include <sparq/numeric/numeric.hpp>
#include <sparq/numeric/rounding.hpp>
#include <sparq/numeric/scale.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace sparq {

/// x = scale * (code - zero_point).
struct activation_quantization {
  float scale = 1.0f;
  std::int32_t zero_point = 0;
  friend constexpr bool operator==(const activation_quantization&, const activation_quantization&) = default;
};

/// A numeric type that activations can use.
template <class T>
concept activation_numeric = integer_numeric<T> && T::bits <= 8;

/// Fails unless the scale is positive and finite and the zero point is a code of N.
template <activation_numeric N>
status validate(const activation_quantization& q) {
  if (status s = detail::check_positive("activation_quantization", "scale", q.scale); !s.ok()) return s;
  if (q.zero_point < N::min_code || q.zero_point > N::max_code)
    return status::failure("activation_quantization: zero point " + std::to_string(q.zero_point) + " is no code of " +
                           std::string(N::name));
  return {};
}

/// The quantization that covers [min, max] and 0; 0 is exactly a code.
/// scale = (max(0, max) - min(0, min)) / (codes - 1), zero_point = round(min_code - min(0, min) / scale): ONNX
/// DynamicQuantizeLinear. An empty range gets scale 1; a scale is at least FLT_MIN.
/// Errors: min or max is NaN or infinite, min > max, max - min overflows.
template <activation_numeric N>
expected<activation_quantization> try_choose_activation_quantization(float min, float max) {
  if (!is_finite(min)) return status::failure("choose_activation_quantization: min is " + number_text(min));
  if (!is_finite(max)) return status::failure("choose_activation_quantization: max is " + number_text(max));
  if (min > max)
    return status::failure("choose_activation_quantization: min " + number_text(min) + " exceeds max " +
                           number_text(max));
  const float low = min < 0 ? min : 0.0f;
  const float high = max > 0 ? max : 0.0f;
  if (!is_finite(high - low))
    return status::failure("choose_activation_quantization: the range from " + number_text(min) + " to " +
                           number_text(max) + " overflows a float");
  const float scale = detail::scale_for(high - low, N::max_code - N::min_code);
  // -low is at most the range, so the quotient is at most codes - 1 and a rounding error: always a code.
  return activation_quantization{scale, round_half_even(static_cast<float>(N::min_code) - low / scale)};
}

/// Throwing twin.
template <activation_numeric N>
activation_quantization choose_activation_quantization(float min, float max) {
  return try_choose_activation_quantization<N>(min, max).value();
}

/// saturate(round(value / scale) + zero_point); NaN gives the zero point. @pre validate<N>(q)
template <activation_numeric N>
constexpr typename N::code quantize_activation(float value, activation_quantization q) {
  const std::int64_t code = std::int64_t{round_half_even(value / q.scale)} + q.zero_point;
  return static_cast<typename N::code>(code < N::min_code ? N::min_code : code > N::max_code ? N::max_code : code);
}

/// scale * (code - zero_point).
template <activation_numeric N>
constexpr float dequantize_activation(typename N::code code, activation_quantization q) {
  return static_cast<float>(code - q.zero_point) * q.scale;
}

/// `quantize_activation` of every value. @pre codes.size() == values.size()
template <activation_numeric N>
constexpr void quantize_activations(std::span<const float> values, activation_quantization q,
                                    std::span<typename N::code> codes) {
  SPARQ_ASSERT(codes.size() == values.size());
  for (std::size_t i = 0; i < values.size(); ++i) codes[i] = quantize_activation<N>(values[i], q);
}

/// `dequantize_activation` of every code. @pre values.size() == codes.size()
template <activation_numeric N>
constexpr void dequantize_activations(std::span<const typename N::code> codes, activation_quantization q,
                                      std::span<float> values) {
  SPARQ_ASSERT(values.size() == codes.size());
  for (std::size_t i = 0; i < codes.size(); ++i) values[i] = dequantize_activation<N>(codes[i], q);
}

}  // namespace sparq
