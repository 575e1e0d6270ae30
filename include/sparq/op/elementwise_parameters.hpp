// SPDX-License-Identifier: MIT
#pragma once
// What sums and products of two quantized tensors need to know, as TFLite prepares it: each operand of a sum is brought
// to a common scale in int32, the result to its own (numeric/requantize.hpp, tflite_double), rounding every time.

#include <sparq/base/config.hpp>
#include <sparq/base/error.hpp>
#include <sparq/numeric/activation_quantization.hpp>
#include <sparq/numeric/checks.hpp>
#include <sparq/numeric/requantize.hpp>

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

/// Codes that quantized sums and products take and give.
template <class T>
concept elementwise_code =
    std::is_same_v<T, std::int8_t> || std::is_same_v<T, std::uint8_t> || std::is_same_v<T, std::int16_t>;

/// The same as numeric types, for elements that share bytes.
template <class T>
concept elementwise_type = elementwise_code<T> || (integer_numeric<T> && T::bits <= 16);

/// The codes of a result: clamp(value + zero_point, low, high).
struct elementwise_output {
  tflite_double::parameters scale;
  std::int32_t zero_point = 0;
  std::int32_t low = 0;
  std::int32_t high = 0;
};

/// One operand of a quantized sum.
struct elementwise_input {
  std::int32_t offset = 0;  ///< minus its zero point
  tflite_double::parameters scale;
};

/// y = clamp(scaled(scaled(left) + scaled(right)) + zero point), scaled(x) = apply((x + offset) << left_shift).
struct add_parameters {
  elementwise_input left;
  elementwise_input right;
  int left_shift = 20;  ///< [0, 30]: head room of the sum, 20 for bytes and 15 for int16 in TFLite
  elementwise_output output;

  /// As TFLite prepares Add: both operands are brought to a common scale, twice the larger of theirs. T is an element
  /// of Y: a C++ type or a numeric type.
  /// Errors: a scale that is not positive and finite, a zero point beyond int16,
  /// a factor that tflite_double cannot hold.
  template <elementwise_type T>
  static expected<add_parameters> try_from(const activation_quantization& left, const activation_quantization& right,
                                           const activation_quantization& output);
};

/// y = clamp(apply((left + left_offset) * (right + right_offset)) + zero point).
struct multiply_parameters {
  std::int32_t left_offset = 0;   ///< minus its zero point
  std::int32_t right_offset = 0;  ///< minus its zero point
  elementwise_output output;

  /// As TFLite Micro prepares Mul: left scale * right scale / output scale, in double.
  /// Errors: a scale that is not positive and finite, a zero point beyond int16,
  /// a factor that tflite_double cannot hold.
  template <elementwise_code T>
  static expected<multiply_parameters> try_from(const activation_quantization& left,
                                                const activation_quantization& right,
                                                const activation_quantization& output);
};

namespace machine {

template <class T>
inline constexpr std::int32_t lowest_code = std::numeric_limits<T>::lowest();
template <class T>
inline constexpr std::int32_t highest_code = (std::numeric_limits<T>::max)();
template <integer_numeric N>
inline constexpr std::int32_t lowest_code<N> = N::min_code;
template <integer_numeric N>
inline constexpr std::int32_t highest_code<N> = N::max_code;

inline status check_scales(const char* op, std::initializer_list<float> scales) {
  for (const float scale : scales)
    if (status s = sparq::detail::check_positive(op, "scale", scale); !s.ok()) return s;
  return {};
}

template <class T>
status check_output(const char* op, const elementwise_output& out) {
  if (status s = out.scale.validate(); !s.ok()) return status::failure(std::string(op) + ": " + s.message());
  if (status s = sparq::detail::check_field(op, "zero_point", out.zero_point, lowest_code<T>, highest_code<T>); !s.ok())
    return s;
  if (status s = sparq::detail::check_field(op, "high", out.high, lowest_code<T>, highest_code<T>); !s.ok()) return s;
  return sparq::detail::check_field(op, "low", out.low, lowest_code<T>, out.high);
}

/// x + offset lies between -65535 and 65535, so that neither products nor shifted values wrap.
inline status check_offset(const char* op, const char* field, std::int32_t offset) {
  return sparq::detail::check_field(op, field, offset, -32767, 32768);
}
/// The same of minus an offset, which cannot be negated before it is checked.
inline status check_operand_zero_point(const char* op, std::int32_t zero_point) {
  return sparq::detail::check_field(op, "zero point of an operand", zero_point, -32768, 32767);
}

template <class T>
status check_add(const char* op, const add_parameters& p) {
  if (status s = sparq::detail::check_field(op, "left_shift", p.left_shift, 0, 30); !s.ok()) return s;
  for (const elementwise_input* input : {&p.left, &p.right}) {
    if (status s = check_offset(op, "offset", input->offset); !s.ok()) return s;
    if (status s = input->scale.validate(); !s.ok()) return status::failure(std::string(op) + ": " + s.message());
  }
  return check_output<T>(op, p.output);
}

/// TFLite's fixed-point value of a real factor.
inline status set_scale(const char* op, double factor, tflite_double::parameters& to) {
  const auto scale = tflite_double::try_from_real(factor);
  if (!scale) return status::failure(std::string(op) + ": " + scale.error().message());
  to = *scale;
  return {};
}

}  // namespace machine

template <elementwise_type T>
expected<add_parameters> add_parameters::try_from(const activation_quantization& left,
                                                  const activation_quantization& right,
                                                  const activation_quantization& output) {
  if (status s = machine::check_scales("elementwise_add", {left.scale, right.scale, output.scale}); !s.ok()) return s;
  for (const auto* operand : {&left, &right})
    if (status s = machine::check_operand_zero_point("elementwise_add", operand->zero_point); !s.ok()) return s;
  add_parameters p;
  p.left_shift = machine::highest_code<T> <= 255 ? 20 : 15;
  p.left.offset = -left.zero_point;
  p.right.offset = -right.zero_point;
  const double common = 2.0 * static_cast<double>(left.scale > right.scale ? left.scale : right.scale);
  const double steps = static_cast<double>(1 << p.left_shift);
  if (status s = machine::set_scale("elementwise_add", left.scale / common, p.left.scale); !s.ok()) return s;
  if (status s = machine::set_scale("elementwise_add", right.scale / common, p.right.scale); !s.ok()) return s;
  p.output = {{}, output.zero_point, machine::lowest_code<T>, machine::highest_code<T>};
  if (status s = machine::set_scale("elementwise_add", common / (steps * output.scale), p.output.scale); !s.ok())
    return s;
  return p;
}

template <elementwise_code T>
expected<multiply_parameters> multiply_parameters::try_from(const activation_quantization& left,
                                                            const activation_quantization& right,
                                                            const activation_quantization& output) {
  if (status s = machine::check_scales("elementwise_multiply", {left.scale, right.scale, output.scale}); !s.ok())
    return s;
  for (const auto* operand : {&left, &right})
    if (status s = machine::check_operand_zero_point("elementwise_multiply", operand->zero_point); !s.ok()) return s;
  multiply_parameters p{-left.zero_point, -right.zero_point, {}};
  p.output = {{}, output.zero_point, machine::lowest_code<T>, machine::highest_code<T>};
  const double factor = static_cast<double>(left.scale) * static_cast<double>(right.scale) / output.scale;
  if (status s = machine::set_scale("elementwise_multiply", factor, p.output.scale); !s.ok()) return s;
  return p;
}

SPARQ_ABI_END
}  // namespace sparq
