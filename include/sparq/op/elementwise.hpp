// SPDX-License-Identifier: MIT
#pragma once
// Operations on each element by itself: sums and products of two tensors, rectified values, and the step between real
// numbers and codes. All of them take spans of one length; cut the spans to run parts on several threads. Sums and
// products of codes are in op/elementwise_codes.hpp, which this header includes.

#include <sparq/base/config.hpp>
#include <sparq/base/error.hpp>
#include <sparq/numeric/activation_quantization.hpp>
#include <sparq/op/elementwise_codes.hpp>

#include <cstddef>
#include <span>

namespace sparq {
SPARQ_ABI_BEGIN

/// left + right. Y may be one of the operands. Errors: spans of different lengths.
inline status try_elementwise_add(std::span<const float> left, std::span<const float> right, std::span<float> y) {
  if (status s = machine::check_sizes("elementwise_add", left.size(), y.size()); !s.ok()) return s;
  if (status s = machine::check_sizes("elementwise_add", right.size(), y.size()); !s.ok()) return s;
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = left[i] + right[i];
  return {};
}

/// left * right. Y may be one of the operands. Errors: spans of different lengths.
inline status try_elementwise_multiply(std::span<const float> left, std::span<const float> right, std::span<float> y) {
  if (status s = machine::check_sizes("elementwise_multiply", left.size(), y.size()); !s.ok()) return s;
  if (status s = machine::check_sizes("elementwise_multiply", right.size(), y.size()); !s.ok()) return s;
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = left[i] * right[i];
  return {};
}

/// max(x, 0), NaN stays NaN. Y may be X. Errors: spans of different lengths.
inline status try_elementwise_relu(std::span<const float> x, std::span<float> y) {
  if (status s = machine::check_sizes("elementwise_relu", x.size(), y.size()); !s.ok()) return s;
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = x[i] < 0.0F ? 0.0F : x[i];
  return {};
}

/// Codes of real numbers, saturated; NaN becomes the zero point (numeric/activation_quantization.hpp).
/// Errors: spans of different lengths, a scale that is not positive and finite, a zero point that is no code.
template <class T>
  requires(sizeof(T) == 1)
status try_quantize(std::span<const float> values, const activation_quantization& q, std::span<T> codes) {
  if (status s = machine::check_sizes("quantize", values.size(), codes.size()); !s.ok()) return s;
  if (status s = validate<numeric_of_t<T>>(q); !s.ok()) return s;
  quantize_activations<numeric_of_t<T>>(values, q, codes);
  return {};
}

/// Real numbers of codes. Errors: as try_quantize.
template <class T>
  requires(sizeof(T) == 1)
status try_dequantize(std::span<const T> codes, const activation_quantization& q, std::span<float> values) {
  if (status s = machine::check_sizes("dequantize", codes.size(), values.size()); !s.ok()) return s;
  if (status s = validate<numeric_of_t<T>>(q); !s.ok()) return s;
  dequantize_activations<numeric_of_t<T>>(codes, q, values);
  return {};
}

/// Throwing twins.
inline void elementwise_add(std::span<const float> left, std::span<const float> right, std::span<float> y) {
  try_elementwise_add(left, right, y).value();
}
inline void elementwise_multiply(std::span<const float> left, std::span<const float> right, std::span<float> y) {
  try_elementwise_multiply(left, right, y).value();
}
inline void elementwise_relu(std::span<const float> x, std::span<float> y) { try_elementwise_relu(x, y).value(); }
template <class T>
  requires(sizeof(T) == 1)
void quantize(std::span<const float> values, const activation_quantization& q, std::span<T> codes) {
  try_quantize(values, q, codes).value();
}
template <class T>
  requires(sizeof(T) == 1)
void dequantize(std::span<const T> codes, const activation_quantization& q, std::span<float> values) {
  try_dequantize(codes, q, values).value();
}

SPARQ_ABI_END
}  // namespace sparq
