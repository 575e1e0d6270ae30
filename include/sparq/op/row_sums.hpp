// SPDX-License-Identifier: MIT
#pragma once
// Sums of the rows of X, once for all channels: what weights with a zero point or an offset need
// (kernel/row_sum_stages.hpp).

#include <sparq/base/config.hpp>
#include <sparq/base/error.hpp>
#include <sparq/numeric/numeric.hpp>
#include <sparq/simd/narrow_codes.hpp>
#include <sparq/simd/vec.hpp>
#include <sparq/tensor/matrix.hpp>
#include <sparq/tensor/narrow_view.hpp>

#if SPARQ_HAS_AVX2
#include <immintrin.h>
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Sum of `count` bytes.
template <class Byte>
std::int64_t sum_of(const Byte* x, std::size_t count) noexcept {
  static_assert(sizeof(Byte) == 1, "sparq: row sums are of bytes, floats or narrow integers; convert X");
  std::int64_t sum = 0;
  std::size_t i = 0;
#if SPARQ_HAS_AVX2
  // Distances of unsigned bytes to 0, added by eights; signed bytes are moved up by 128 before and down behind.
  const __m256i up = _mm256_set1_epi8(std::is_signed_v<Byte> ? static_cast<char>(-128) : char{0});
  __m256i sums = _mm256_setzero_si256();
  for (; i + 32 <= count; i += 32) {
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + i));
    sums = _mm256_add_epi64(sums, _mm256_sad_epu8(_mm256_xor_si256(bytes, up), _mm256_setzero_si256()));
  }
  std::int64_t parts[4];
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(parts), sums);
  sum = parts[0] + parts[1] + parts[2] + parts[3] - (std::is_signed_v<Byte> ? std::int64_t{128} : 0) * static_cast<std::int64_t>(i);
#endif
  for (; i < count; ++i) sum += x[i];
  return sum;
}
/// Sum of `count` floats: x[i] goes to sum i % 16, and those are halved until one is left; the same on every CPU.
inline float sum_of(const float* x, std::size_t count) noexcept {
  vec<float> sums(0.0F);
  for (std::size_t i = 0; i < count; i += 16) sums = sums + vec<float>::load(x + i, (std::min)(count - i, std::size_t{16}));
  float lanes[16];
  sums.store(lanes);
  for (std::size_t half = 8; half > 0; half /= 2)
    for (std::size_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  return lanes[0];
}
template <class N>
std::int64_t sum_of_row(const narrow_matrix_view<N>& x, std::size_t m) noexcept {
  using numeric_type = std::remove_const_t<N>;
  constexpr std::size_t chunk = 256;
  typename numeric_type::code codes[chunk + unpack_slack];
  std::int64_t sum = 0;
  for (std::size_t k = 0; k < x.columns; k += chunk) {
    const std::size_t count = (std::min)(chunk, x.columns - k);
    unpack_narrow<numeric_type>(x.row(m), k, count, codes);
    sum += sum_of(codes, count);
  }
  return sum;
}
template <class T>
auto sum_of_row(const matrix_view<T>& x, std::size_t m) noexcept {
  return sum_of(x.row(m), x.columns);
}

template <class X>
inline constexpr bool is_float_matrix_v = false;
template <class T>
inline constexpr bool is_float_matrix_v<matrix_view<T>> = std::is_same_v<std::remove_const_t<T>, float>;

inline status check_row_sums(std::size_t rows, bool strides_fit, std::size_t room) {
  if (room != rows)
    return status::failure("row_sums: room for " + std::to_string(room) + " sums, X has " + std::to_string(rows) + " rows");
  return strides_fit ? status() : status::failure("row_sums: a stride is less than the extent it steps over");
}

}  // namespace machine

/// The type of a row's sum: float of floats, int32 of codes.
template <class X>
using row_sum_t = std::conditional_t<machine::is_float_matrix_v<X>, float, std::int32_t>;

/// out[m] = sum over k of (x[m][k] - zero_point): what an epilogue needs for weights with a zero point or an offset.
/// - `x`: m x k; a matrix_view of u8, s8 or float, or a narrow_matrix_view
/// - `out`: m sums
/// - `zero_point`: of X, if its codes have one; not for floats
/// Exact for integers while the sum fits into int32 (k < 2^23); floats add in an order of their own, the same everywhere.
/// Errors: sizes that do not match, floats with a zero point. Complexity O(m k).
template <class X>
status try_row_sums(X x, std::span<row_sum_t<X>> out, std::int32_t zero_point = 0) {
  bool strides_fit = true;
  if constexpr (requires { x.row_bytes(); })
    strides_fit = x.stride >= x.row_bytes();
  else
    strides_fit = x.stride >= x.columns;
  if (status s = machine::check_row_sums(x.rows, strides_fit, out.size()); !s.ok()) return s;
  if constexpr (machine::is_float_matrix_v<X>) {
    if (zero_point != 0) return status::failure("row_sums: floats have no zero point");
    for (std::size_t m = 0; m < x.rows; ++m) out[m] = machine::sum_of_row(x, m);
  } else {
    const std::int64_t left_out = static_cast<std::int64_t>(x.columns) * zero_point;
    for (std::size_t m = 0; m < x.rows; ++m) out[m] = static_cast<std::int32_t>(machine::sum_of_row(x, m) - left_out);
  }
  return {};
}
/// Throwing twin.
template <class X>
void row_sums(X x, std::span<row_sum_t<X>> out, std::int32_t zero_point = 0) {
  try_row_sums(x, out, zero_point).value();
}

SPARQ_ABI_END
}  // namespace sparq
