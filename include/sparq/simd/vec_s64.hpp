// SPDX-License-Identifier: MIT
#pragma once
// Sixteen lanes of int64: the sums of 16-bit activations on their way through an epilogue. Plain loops, which compilers
// vectorise as far as the instruction set has 64-bit arithmetic.

#include <sparq/simd/vec.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

namespace sparq {
SPARQ_ABI_BEGIN

/// Sixteen lanes of int64.
template <>
struct vec<std::int64_t> {
  static constexpr std::size_t lanes = 16;
  std::int64_t lane[lanes];

  vec() = default;
  SPARQ_INLINE explicit vec(std::int64_t value) {
    for (std::int64_t& x : lane) x = value;
  }
  /// Reads 16 elements at p, which needs no alignment.
  static SPARQ_INLINE vec load(const std::int64_t* p) {
    vec v;
    std::memcpy(v.lane, p, sizeof v.lane);
    return v;
  }
  SPARQ_INLINE void store(std::int64_t* p) const { std::memcpy(p, lane, sizeof lane); }
  /// Reads `count` elements, the other lanes are 0. Never touches memory beyond them.
  static SPARQ_INLINE vec load(const std::int64_t* p, std::size_t count) {
    if (count >= lanes) return load(p);
    vec v(0);
    for (std::size_t i = 0; i < count; ++i) v.lane[i] = p[i];
    return v;
  }
  SPARQ_INLINE void store(std::int64_t* p, std::size_t count) const {
    for (std::size_t i = 0; i < (count < lanes ? count : lanes); ++i) p[i] = lane[i];
  }

#define SPARQ_VEC_OPERATOR(name, expression)                                        \
  friend SPARQ_INLINE vec name(const vec& a, const vec& b) {                        \
    vec v;                                                                          \
    for (std::size_t i = 0; i < lanes; ++i) v.lane[i] = expression;                 \
    return v;                                                                       \
  }
  SPARQ_VEC_OPERATOR(operator+, a.lane[i] + b.lane[i])
  SPARQ_VEC_OPERATOR(operator-, a.lane[i] - b.lane[i])
  SPARQ_VEC_OPERATOR(operator*, a.lane[i] * b.lane[i])
  SPARQ_VEC_OPERATOR(min, b.lane[i] < a.lane[i] ? b.lane[i] : a.lane[i])
  SPARQ_VEC_OPERATOR(max, a.lane[i] < b.lane[i] ? b.lane[i] : a.lane[i])
#undef SPARQ_VEC_OPERATOR
};

/// The same numbers in 64 bits.
SPARQ_INLINE vec<std::int64_t> to_s64(const vec<std::int32_t>& v) {
  std::int32_t narrow[16];
  v.store(narrow);
  vec<std::int64_t> result;
  for (std::size_t i = 0; i < 16; ++i) result.lane[i] = narrow[i];
  return result;
}

/// f(lane value, lane), an int32, for every lane.
template <class F>
SPARQ_INLINE vec<std::int32_t> map_to_s32(const vec<std::int64_t>& v, F&& f) {
  std::int32_t narrow[16];
  for (std::size_t i = 0; i < 16; ++i) narrow[i] = f(v.lane[i], i);
  return vec<std::int32_t>::load(narrow);
}

/// Every lane clamped to what int32 holds.
SPARQ_INLINE vec<std::int32_t> saturate_to_s32(const vec<std::int64_t>& v) {
  return map_to_s32(v, [](std::int64_t value, std::size_t) {
    constexpr std::int64_t low = std::numeric_limits<std::int32_t>::min(),
                           high = std::numeric_limits<std::int32_t>::max();
    return static_cast<std::int32_t>(value < low ? low : value > high ? high : value);
  });
}

/// Nearest float of each lane, ties to even.
SPARQ_INLINE vec<float> to_f32(const vec<std::int64_t>& v) {
  float floats[16];
  for (std::size_t i = 0; i < 16; ++i) floats[i] = static_cast<float>(v.lane[i]);
  return vec<float>::load(floats);
}

/// Writes `count` lanes, saturated to the range of int16.
SPARQ_INLINE void store_saturated_s16(std::int16_t* p, const vec<std::int32_t>& v, std::size_t count) {
#if SPARQ_HAS_XSIMD && SPARQ_HAS_AVX512
  const __m256i shorts = _mm512_cvtsepi32_epi16(v.r[0]);
#elif SPARQ_HAS_XSIMD && SPARQ_HAS_AVX2
  const __m256i shorts = _mm256_permute4x64_epi64(_mm256_packs_epi32(v.r[0], v.r[1]), 0xd8);
#else
  std::int32_t inside[16];
  max(min(v, vec<std::int32_t>(32767)), vec<std::int32_t>(-32768)).store(inside);
  std::int16_t shorts[16];
  for (std::size_t i = 0; i < 16; ++i) shorts[i] = static_cast<std::int16_t>(inside[i]);
#endif
  std::memcpy(p, &shorts, 2 * (count < 16 ? count : 16));
}

SPARQ_ABI_END
}  // namespace sparq
