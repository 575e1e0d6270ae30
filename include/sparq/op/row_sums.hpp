// SPDX-License-Identifier: MIT
#pragma once
// Sums of the rows of X, once for all channels: what weights with a zero point or an offset need
// (kernel/epilogue/row_sum_stages.hpp).

#include <sparq/base/config.hpp>
#include <sparq/base/error.hpp>
#include <sparq/base/math.hpp>
#include <sparq/numeric/numeric.hpp>
#include <sparq/simd/narrow_codes.hpp>
#include <sparq/simd/sum_of.hpp>
#include <sparq/tensor/matrix.hpp>
#include <sparq/tensor/narrow_view.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Sum of the elements [first, first + count) of row m.
template <class N>
std::int64_t sum_of_row(const narrow_matrix_view<N>& x, std::size_t m, std::size_t first, std::size_t count) noexcept {
  using numeric_type = std::remove_const_t<N>;
  constexpr std::size_t chunk = 256;
  typename numeric_type::code codes[chunk + unpack_slack];
  std::int64_t sum = 0;
  for (const std::size_t end = first + count; first < end; first += chunk) {
    const std::size_t part = (std::min)(chunk, end - first);
    unpack_narrow<numeric_type>(x.row(m), first, part, codes);
    sum += sum_of(codes, part);
  }
  return sum;
}
template <class T>
auto sum_of_row(const matrix_view<T>& x, std::size_t m, std::size_t first, std::size_t count) noexcept {
  return sum_of(x.row(m) + first, count);
}

template <class X>
inline constexpr bool is_float_matrix_v = false;
template <class T>
inline constexpr bool is_float_matrix_v<matrix_view<T>> = std::is_same_v<std::remove_const_t<T>, float>;

inline status check_row_sums(std::size_t rows, std::size_t room) {
  if (room == rows) return {};
  return status::failure("row_sums: room for " + std::to_string(room) + " sums, X has " + std::to_string(rows) +
                         " rows");
}
inline status check_group_sums(std::size_t rows, std::size_t columns, std::size_t group,
                               const matrix_view<float>& out) {
  if (group == 0) return status::failure("group_sums: a group holds at least one k");
  if (out.rows != rows || out.columns != ceil_div(columns, group))
    return status::failure("group_sums: room for " + extent_text(out) + " sums, X has " + std::to_string(rows) +
                           " rows of " + std::to_string(ceil_div(columns, group)) + " groups");
  return sparq::detail::check_stride("group_sums: the matrix of sums", out);
}

}  // namespace machine

/// The type of a row's sum: float of floats, int32 of codes.
template <class X>
using row_sum_t = std::conditional_t<machine::is_float_matrix_v<X>, float, std::int32_t>;

/// out[m] = sum over k of (x[m][k] - zero_point): what an epilogue needs for weights with a zero point or an offset.
/// - `x`: m x k; a matrix_view of u8, s8 or float, or a narrow_matrix_view
/// - `out`: m sums
/// - `zero_point`: of X, if its codes have one; not for floats
/// Exact for integers while the sum fits into int32 (k < 2^23); floats add in an order of their own,
/// the same everywhere.
/// Errors: sizes that do not match, floats with a zero point. Complexity O(m k).
template <class X>
status try_row_sums(X x, std::span<row_sum_t<X>> out, std::int32_t zero_point = 0) {
  if (status s = machine::check_row_sums(x.rows, out.size()); !s.ok()) return s;
  if (status s = detail::check_stride("row_sums: X", x); !s.ok()) return s;
  if constexpr (machine::is_float_matrix_v<X>) {
    if (zero_point != 0) return status::failure("row_sums: floats have no zero point");
    for (std::size_t m = 0; m < x.rows; ++m) out[m] = machine::sum_of_row(x, m, 0, x.columns);
  } else {
    const std::int64_t left_out = static_cast<std::int64_t>(x.columns) * zero_point;
    for (std::size_t m = 0; m < x.rows; ++m)
      out[m] = static_cast<std::int32_t>(machine::sum_of_row(x, m, 0, x.columns) - left_out);
  }
  return {};
}
/// Throwing twin.
template <class X>
void row_sums(X x, std::span<row_sum_t<X>> out, std::int32_t zero_point = 0) {
  try_row_sums(x, out, zero_point).value();
}

/// out[m][g] = sum over the k's of group g of (x[m][k] - zero_point), as floats: what weights need whose zero points or
/// offsets change every `group` k's, as scales do. They are a product of their own, of k / group terms:
///
///   w = scale[n][g] (code - zero[n][g])     gemm(x, codes with scales, y, ...);  group_sums(x, group, sums);
///                                           gemm(sums, W[n][g] = -scale[n][g] zero[n][g] in f32, y, epilogue(add(y)))
///
/// - `x`: as in row_sums; `out`: m x ceil(k / group); the last group may be short
/// - `zero_point`: of X, if its codes have one; not for floats
/// Sums of integers are exact for groups of up to 2^16 k's.
/// Errors: extents that do not match, a group of 0, floats with a zero point. Complexity O(m k).
template <class X>
status try_group_sums(X x, std::size_t group, matrix_view<float> out, std::int32_t zero_point = 0) {
  if (status s = machine::check_group_sums(x.rows, x.columns, group, out); !s.ok()) return s;
  if (status s = detail::check_stride("group_sums: X", x); !s.ok()) return s;
  if (machine::is_float_matrix_v<X> && zero_point != 0) return status::failure("group_sums: floats have no zero point");
  for (std::size_t m = 0; m < x.rows; ++m)
    for (std::size_t g = 0; g < out.columns; ++g) {
      const std::size_t first = g * group, count = (std::min)(group, x.columns - first);
      const auto sum = machine::sum_of_row(x, m, first, count);
      if constexpr (machine::is_float_matrix_v<X>)
        out(m, g) = sum;
      else
        out(m, g) = static_cast<float>(sum - static_cast<std::int64_t>(count) * zero_point);
    }
  return {};
}
/// Throwing twin.
template <class X>
void group_sums(X x, std::size_t group, matrix_view<float> out, std::int32_t zero_point = 0) {
  try_group_sums(x, group, out, zero_point).value();
}

SPARQ_ABI_END
}  // namespace sparq
