// SPDX-License-Identifier: MIT
#pragma once
// Sums and products of two quantized tensors as TFLite has them (op/elementwise_parameters.hpp), sixteen lanes at a
// time where nothing leaves int32. Spans have one length; cut them to run parts on several threads. Where the arguments
// are not spans yet, name the element type: elementwise_add<std::int8_t>(a, b, y, parameters).
// op/integer_add.hpp has the sums of NEMO and PULP-NN.

#include <sparq/base/config.hpp>
#include <sparq/base/error.hpp>
#include <sparq/kernel/epilogue/requantize_lanes.hpp>
#include <sparq/kernel/source/narrow_rows.hpp>
#include <sparq/numeric/requantize.hpp>
#include <sparq/op/elementwise_parameters.hpp>
#include <sparq/simd/vec.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

inline status check_sizes(const char* op, std::size_t operand, std::size_t y) {
  if (operand == y) return {};
  return status::failure(std::string(op) + ": an operand has " + std::to_string(operand) + " elements, Y has " +
                         std::to_string(y));
}

template <class T>
T output_code(std::int32_t value, const elementwise_output& out) {
  const std::int64_t code = std::int64_t{tflite_double::apply(value, out.scale)} + out.zero_point;
  return static_cast<T>(code < out.low ? out.low : code > out.high ? out.high : code);
}

/// One set of parameters for all lanes.
inline requantize_lanes<tflite_double> lanes_of(const tflite_double::parameters& p) {
  return requantize_lanes<tflite_double>({&p, 1, false});
}

/// output_code of sixteen lanes, stored as they are computed; only types that vectors store.
template <class Y>
struct output_lanes {
  static constexpr bool exists = sizeof(Y) == 1 || std::is_same_v<Y, std::int16_t>;
  requantize_lanes<tflite_double> scaled;
  vec<std::int32_t> low, high, zero_point;  // the bounds are those of the sum before the zero point, which cannot wrap

  explicit output_lanes(const elementwise_output& out)
      : scaled(lanes_of(out.scale)), low(out.low - out.zero_point), high(out.high - out.zero_point),
        zero_point(out.zero_point) {}
  SPARQ_INLINE void store(Y* y, const vec<std::int32_t>& value, std::size_t count) const {
    const vec<std::int32_t> codes = min(max(scaled(value), low), high) + zero_point;
    if constexpr (sizeof(Y) == 1)
      store_saturated(y, codes, count);
    else
      store_saturated_s16(y, codes, count);
  }
};

/// The largest |x + offset| of codes in T.
template <class T>
constexpr std::int64_t largest_magnitude(std::int32_t offset) {
  return std::int64_t{std::is_signed_v<T> ? -std::int64_t{std::numeric_limits<T>::lowest()}
                                          : std::int64_t{(std::numeric_limits<T>::max)()}} +
         (offset < 0 ? -std::int64_t{offset} : std::int64_t{offset});
}

/// Whether the sum stays inside int32 for all codes of these types. TFLite's parameters see to that for bytes and for
/// int16 without zero points.
template <class Left, class Right>
bool sum_fits_s32(const add_parameters& p) {
  const std::int64_t left = largest_magnitude<Left>(p.left.offset) << p.left_shift;
  const std::int64_t right = largest_magnitude<Right>(p.right.offset) << p.left_shift;
  if (left > INT32_MAX || right > INT32_MAX) return false;
  const auto scaled = [](std::int64_t value, const elementwise_input& input) -> std::int64_t {
    return tflite_double::apply(static_cast<std::int32_t>(value), input.scale);
  };
  return scaled(left, p.left) + scaled(right, p.right) + 2 <= INT32_MAX;  // negative ones may round up by one each
}

template <class Left, class Right, class Y>
void add_codes(const Left* left, const Right* right, std::size_t count, Y* y, const add_parameters& p) {
  if constexpr (output_lanes<Y>::exists)
    if (sum_fits_s32<Left, Right>(p)) {
      using s32 = vec<std::int32_t>;
      const s32 left_offset(p.left.offset), right_offset(p.right.offset), shift(p.left_shift);
      const auto left_scaled = lanes_of(p.left.scale), right_scaled = lanes_of(p.right.scale);
      const output_lanes<Y> output(p.output);
      for (std::size_t i = 0; i < count; i += 16) {
        const s32 a = left_scaled((load_codes(left + i, count - i) + left_offset) << shift);
        const s32 b = right_scaled((load_codes(right + i, count - i) + right_offset) << shift);
        output.store(y + i, a + b, count - i);
      }
      return;
    }
  const auto scaled = [&](std::int64_t x, const elementwise_input& input) -> std::int64_t {
    const std::int64_t value = x + input.offset;
    return tflite_double::apply(saturate_to_int32(value * (std::int64_t{1} << p.left_shift)), input.scale);
  };
  for (std::size_t i = 0; i < count; ++i)
    y[i] = output_code<Y>(saturate_to_int32(scaled(left[i], p.left) + scaled(right[i], p.right)), p.output);
}

template <class T>
void multiply_codes(const T* left, const T* right, std::size_t count, T* y, const multiply_parameters& p) {
  if (largest_magnitude<T>(p.left_offset) * largest_magnitude<T>(p.right_offset) <= INT32_MAX) {
    using s32 = vec<std::int32_t>;
    const s32 left_offset(p.left_offset), right_offset(p.right_offset);
    const output_lanes<T> output(p.output);
    for (std::size_t i = 0; i < count; i += 16) {
      const s32 a = load_codes(left + i, count - i) + left_offset, b = load_codes(right + i, count - i) + right_offset;
      output.store(y + i, a * b, count - i);
    }
    return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t product = (std::int64_t{left[i]} + p.left_offset) * (std::int64_t{right[i]} + p.right_offset);
    y[i] = output_code<T>(saturate_to_int32(product), p.output);
  }
}

/// Codes [first, first + count) of a row, where they lie or unpacked into `buffer`; and the way back.
template <class T>
const T* row_codes(const matrix_view<T>& m, std::size_t row, std::size_t first, std::size_t,
                   std::remove_const_t<T>*) {
  return m.row(row) + first;
}
template <class N>
const typename N::code* row_codes(const narrow_matrix_view<N>& m, std::size_t row, std::size_t first,
                                  std::size_t count, typename N::code* buffer) {
  unpack_narrow<std::remove_const_t<N>>(m.row(row), first, count, buffer);
  return buffer;
}
template <class T>
void store_row_codes(const matrix_view<T>& m, std::size_t row, std::size_t first, const T* codes, std::size_t count) {
  std::copy_n(codes, count, m.row(row) + first);
}
template <class N>
void store_row_codes(const narrow_matrix_view<N>& m, std::size_t row, std::size_t first,
                     const typename N::code* codes, std::size_t count) {
  narrow_target_of(m, 0, m.columns).store_codes(row, first, codes, count);
}

/// A matrix of integer codes: its elements as a type that the parameters' checks know.
template <class View>
struct code_type_of {};
template <class T>
  requires elementwise_code<std::remove_const_t<T>>
struct code_type_of<matrix_view<T>> {
  using type = std::remove_const_t<T>;
};
template <class N>
struct code_type_of<narrow_matrix_view<N>> {
  using type = std::remove_const_t<N>;
};
template <class View>
using code_type = typename code_type_of<View>::type;
template <class View>
concept code_matrix = requires { typename code_type_of<View>::type; };

}  // namespace machine

/// The sum of two quantized tensors, bit-exact with TFLite Add. Y may be one of the operands. O(elements), sixteen at a
/// time where no sum can leave int32, as with TFLite's own parameters.
/// Errors: spans of different lengths, parameters out of range.
template <elementwise_code T>
status try_elementwise_add(std::span<const T> left, std::span<const T> right, std::span<T> y,
                           const add_parameters& p) {
  constexpr const char* op = "elementwise_add";
  if (status s = machine::check_sizes(op, left.size(), y.size()); !s.ok()) return s;
  if (status s = machine::check_sizes(op, right.size(), y.size()); !s.ok()) return s;
  if (status s = machine::check_add<T>(op, p); !s.ok()) return s;
  machine::add_codes(left.data(), right.data(), y.size(), y.data(), p);
  return {};
}

/// The same for matrices whose elements may share bytes: each is a matrix_view of bytes or a narrow_matrix_view, of any
/// type by itself. Images go in as_matrix(). Y may be one of the operands if it has the same view.
/// Errors: extents that do not match, rows that overlap, parameters out of range.
template <class Left, class Right, class Y>
  requires machine::code_matrix<Left> && machine::code_matrix<Right> && machine::code_matrix<Y>
status try_elementwise_add(const Left& left, const Right& right, const Y& y, const add_parameters& p) {
  constexpr const char* op = "elementwise_add";
  if (left.rows != y.rows || left.columns != y.columns || right.rows != y.rows || right.columns != y.columns)
    return status::failure("elementwise_add: the operands are " + extent_text(left) + " and " + extent_text(right) +
                           ", Y is " + extent_text(y));
  if (status s = detail::check_stride("elementwise_add: the left operand", left); !s.ok()) return s;
  if (status s = detail::check_stride("elementwise_add: the right operand", right); !s.ok()) return s;
  if (status s = detail::check_stride("elementwise_add: Y", y); !s.ok()) return s;
  if (status s = machine::check_add<machine::code_type<Y>>(op, p); !s.ok()) return s;
  constexpr std::size_t block = 256;  // whole bytes of elements
  std::array<machine::element_of<Left>, block + 64> left_codes;
  std::array<machine::element_of<Right>, block + 64> right_codes;
  std::array<machine::element_of<Y>, block> sums;
  for (std::size_t row = 0; row < y.rows; ++row)
    for (std::size_t first = 0; first < y.columns; first += block) {
      const std::size_t count = (std::min)(block, y.columns - first);
      const auto* a = machine::row_codes(left, row, first, count, left_codes.data());
      const auto* b = machine::row_codes(right, row, first, count, right_codes.data());
      machine::add_codes(a, b, count, sums.data(), p);
      machine::store_row_codes(y, row, first, sums.data(), count);
    }
  return {};
}

/// The product of two quantized tensors, bit-exact with TFLite Mul. Y may be one of the operands. O(elements), sixteen
/// at a time where no product can leave int32.
/// Errors: spans of different lengths, parameters out of range.
template <elementwise_code T>
status try_elementwise_multiply(std::span<const T> left, std::span<const T> right, std::span<T> y,
                                const multiply_parameters& p) {
  constexpr const char* op = "elementwise_multiply";
  if (status s = machine::check_sizes(op, left.size(), y.size()); !s.ok()) return s;
  if (status s = machine::check_sizes(op, right.size(), y.size()); !s.ok()) return s;
  if (status s = machine::check_offset(op, "left_offset", p.left_offset); !s.ok()) return s;
  if (status s = machine::check_offset(op, "right_offset", p.right_offset); !s.ok()) return s;
  if (status s = machine::check_output<T>(op, p.output); !s.ok()) return s;
  machine::multiply_codes(left.data(), right.data(), y.size(), y.data(), p);
  return {};
}

/// Throwing twins.
template <elementwise_code T>
void elementwise_add(std::span<const T> left, std::span<const T> right, std::span<T> y, const add_parameters& p) {
  try_elementwise_add<T>(left, right, y, p).value();
}
template <elementwise_code T>
void elementwise_multiply(std::span<const T> left, std::span<const T> right, std::span<T> y,
                          const multiply_parameters& p) {
  try_elementwise_multiply<T>(left, right, y, p).value();
}
template <class Left, class Right, class Y>
  requires machine::code_matrix<Left> && machine::code_matrix<Right> && machine::code_matrix<Y>
void elementwise_add(const Left& left, const Right& right, const Y& y, const add_parameters& p) {
  try_elementwise_add(left, right, y, p).value();
}

SPARQ_ABI_END
}  // namespace sparq
