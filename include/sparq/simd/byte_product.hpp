// SPDX-License-Identifier: MIT
#pragma once
// Products of bytes, lane by lane, added to int32 lanes: what operations need that share nothing between channels.
// |x - zero point| <= 255 and |w| <= 128, so a product of both fits into 16 bits: 255 * 128 = 32640. With x of 16 bits
// it is at most 65535 * 128, and int32 holds 256 of them.

#include <sparq/simd/vec.hpp>
#include <sparq/simd/x86_registers.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

/// (x - zero_point) * w, exactly.
template <class X>
SPARQ_INLINE std::int16_t byte_product(X x, X zero_point, std::int8_t w) {
  static_assert(sizeof(X) == 1, "sparq: byte products take std::int8_t or std::uint8_t; use multiply_add for floats");
  const auto difference = static_cast<std::int16_t>(x - zero_point);
  return static_cast<std::int16_t>(difference * w);
}

/// acc[i] + (x[i] - zero_point) * w[i] for 16 lanes, exactly unless the sum itself leaves int32.
template <class X>
SPARQ_INLINE vec<std::int32_t> multiply_add(const vec<std::int32_t>& acc, const X* x, X zero_point,
                                            const std::int8_t* w) {
#if SPARQ_HAS_XSIMD && SPARQ_HAS_AVX2
  const __m128i x_bytes = machine::load_128(x);
  const __m128i w_bytes = machine::load_128(w);
  const __m256i xs = std::is_signed_v<X> ? _mm256_cvtepi8_epi16(x_bytes) : _mm256_cvtepu8_epi16(x_bytes);
  const __m256i differences = _mm256_sub_epi16(xs, _mm256_set1_epi16(zero_point));
  const __m256i products = _mm256_mullo_epi16(differences, _mm256_cvtepi8_epi16(w_bytes));
  vec<std::int32_t> result;
#if SPARQ_HAS_AVX512
  result.r[0] = acc.r[0] + machine::lane_register<std::int32_t>(_mm512_cvtepi16_epi32(products));
#else
  const __m256i low = _mm256_cvtepi16_epi32(_mm256_castsi256_si128(products));
  const __m256i high = _mm256_cvtepi16_epi32(_mm256_extracti128_si256(products, 1));
  result.r[0] = acc.r[0] + machine::lane_register<std::int32_t>(low);
  result.r[1] = acc.r[1] + machine::lane_register<std::int32_t>(high);
#endif
  return result;
#else
  return map_lanes(acc, [&](std::int32_t sum, std::size_t i) { return sum + byte_product(x[i], zero_point, w[i]); });
#endif
}

/// Products of 16-bit x that int32 lanes hold for any input.
inline constexpr std::size_t wide_products_at_once = INT32_MAX / (65535 * 128);

/// acc[i] + (x[i] - zero_point) * w[i] for 16 lanes, exactly unless the sum itself leaves int32.
SPARQ_INLINE vec<std::int32_t> multiply_add(const vec<std::int32_t>& acc, const std::int16_t* x,
                                            std::int16_t zero_point, const std::int8_t* w) {
#if SPARQ_HAS_XSIMD && SPARQ_HAS_AVX512
  const __m512i xs = _mm512_cvtepi16_epi32(machine::load_256(x));
  const __m512i ws = _mm512_cvtepi8_epi32(machine::load_128(w));
  vec<std::int32_t> result;
  const __m512i products = _mm512_mullo_epi32(_mm512_sub_epi32(xs, _mm512_set1_epi32(zero_point)), ws);
  result.r[0] = acc.r[0] + machine::lane_register<std::int32_t>(products);
  return result;
#elif SPARQ_HAS_XSIMD && SPARQ_HAS_AVX2
  vec<std::int32_t> result;
  SPARQ_UNROLL for (std::size_t half = 0; half < 2; ++half) {
    const __m256i xs = _mm256_cvtepi16_epi32(machine::load_128(x + 8 * half));
    const __m256i ws = _mm256_cvtepi8_epi32(machine::load_64(w + 8 * half));
    const __m256i products = _mm256_mullo_epi32(_mm256_sub_epi32(xs, _mm256_set1_epi32(zero_point)), ws);
    result.r[half] = acc.r[half] + machine::lane_register<std::int32_t>(products);
  }
  return result;
#else
  return map_lanes(acc, [&](std::int32_t sum, std::size_t i) { return sum + (x[i] - zero_point) * w[i]; });
#endif
}

/// acc[i] + (x[i] - zero_point) * w[i] for 16 lanes.
SPARQ_INLINE vec<float> multiply_add(const vec<float>& acc, const float* x, float zero_point, const float* w) {
  return acc + (vec<float>::load(x) - vec<float>(zero_point)) * vec<float>::load(w);
}

SPARQ_ABI_END
}  // namespace sparq
