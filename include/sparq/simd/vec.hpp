// SPDX-License-Identifier: MIT
#pragma once
// Sixteen 32-bit lanes of float or int32, whatever the registers are: what epilogues compute with. The only header that
// includes xsimd, and only its base operations; without it the same names work on arrays.

#include <sparq/base/config.hpp>
#include <sparq/base/schedule.hpp>
#include <sparq/numeric/rounding.hpp>
#include <sparq/simd/wrapping.hpp>
#include <sparq/simd/x86_registers.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#if SPARQ_HAS_XSIMD
#include <xsimd/xsimd.hpp>
#endif
namespace sparq {
SPARQ_ABI_BEGIN

#if SPARQ_HAS_XSIMD
namespace machine {
template <class T>
using lane_register = xsimd::batch<T>;
template <class T>
inline constexpr std::size_t register_lanes = xsimd::batch<T>::size;
template <class T>
SPARQ_INLINE lane_register<T> load_register(const T* p) { return xsimd::batch<T>::load_unaligned(p); }
template <class T>
SPARQ_INLINE void store_register(T* p, const lane_register<T>& r) { r.store_unaligned(p); }
SPARQ_INLINE lane_register<float> convert(const lane_register<std::int32_t>& r) { return xsimd::to_float(r); }
SPARQ_INLINE lane_register<std::int32_t> round(const lane_register<float>& r) { return xsimd::nearbyint_as_int(r); }
SPARQ_INLINE lane_register<std::int32_t> ones_where_greater(const lane_register<std::int32_t>& a,
                                                            const lane_register<std::int32_t>& b) {
#if SPARQ_HAS_AVX512
  // xsimd 8's select takes macros for functions in builds that are not optimized
  return _mm512_maskz_set1_epi32(_mm512_cmpgt_epi32_mask(a.data, b.data), 1);
#else
  return xsimd::select(a > b, lane_register<std::int32_t>(1), lane_register<std::int32_t>(0));
#endif
}
using xsimd::ceil;
using xsimd::floor;
SPARQ_INLINE lane_register<float> multiply_add(const lane_register<float>& a, const lane_register<float>& b,
                                               const lane_register<float>& c) {
#if SPARQ_HAS_AVX512
  return _mm512_fmadd_ps(a.data, b.data, c.data);  // xsimd 8 rounds twice
#else
  return xsimd::fma(a, b, c);
#endif
}
SPARQ_INLINE lane_register<std::int32_t> shift_left(const lane_register<std::int32_t>& a,
                                                    const lane_register<std::int32_t>& counts) {
#if SPARQ_HAS_AVX512
  // xsimd 8 writes halves and reads them as a whole, which waits for the stores
  return _mm512_sllv_epi32(a.data, counts.data);
#else
  return a << counts;
#endif
}
SPARQ_INLINE lane_register<std::int32_t> shift_right(const lane_register<std::int32_t>& a,
                                                     const lane_register<std::int32_t>& counts) {
#if SPARQ_HAS_AVX512
  return _mm512_srav_epi32(a.data, counts.data);
#else
  return a >> counts;
#endif
}
using xsimd::max;
using xsimd::min;
using xsimd::trunc;
SPARQ_INLINE lane_register<float> half_away(const lane_register<float>& r) { return xsimd::round(r); }
SPARQ_INLINE void keep([[maybe_unused]] lane_register<float>& r) { SPARQ_KEEP_ORDER(r.data); }
}  // namespace machine
#else
namespace machine {
/// One lane that behaves like a register.
template <class T>
using lane_register = T;
template <class T>
inline constexpr std::size_t register_lanes = 1;
template <class T>
SPARQ_INLINE T load_register(const T* p) { return *p; }
template <class T>
SPARQ_INLINE void store_register(T* p, T r) { *p = r; }
SPARQ_INLINE float convert(std::int32_t r) { return static_cast<float>(r); }
SPARQ_INLINE std::int32_t round(float r) { return static_cast<std::int32_t>(std::nearbyint(r)); }
SPARQ_INLINE float multiply_add(float a, float b, float c) {
#if SPARQ_HAS_AVX2
  return std::fma(a, b, c);
#else
  return a * b + c;
#endif
}
template <class T>
SPARQ_INLINE T min(T a, T b) { return a < b ? a : b; }
template <class T>
SPARQ_INLINE T max(T a, T b) { return a > b ? a : b; }
SPARQ_INLINE std::int32_t shift_left(std::int32_t a, std::int32_t count) { return a << count; }
SPARQ_INLINE std::int32_t shift_right(std::int32_t a, std::int32_t count) { return a >> count; }
SPARQ_INLINE std::int32_t ones_where_greater(std::int32_t a, std::int32_t b) { return a > b ? 1 : 0; }
SPARQ_INLINE float ceil(float r) { return std::ceil(r); }
SPARQ_INLINE float floor(float r) { return std::floor(r); }
SPARQ_INLINE float trunc(float r) { return std::trunc(r); }
SPARQ_INLINE float half_away(float r) { return std::round(r); }
SPARQ_INLINE void keep([[maybe_unused]] float& r) { SPARQ_KEEP_ORDER(r); }
}  // namespace machine
#endif

namespace machine {
/// Whether rounding a float below -2^31 gives -2^31: vcvtps2dq does for all that do not fit.
inline constexpr bool rounds_to_least = SPARQ_HAS_XSIMD && SPARQ_HAS_AVX2;

template <std::size_t Part, class T>
SPARQ_INLINE void copy_parts(const T* from, std::size_t count, T* to) {
  const std::size_t part = count & Part;
  if (part != 0) std::memcpy(to, from, Part * sizeof(T));
  if constexpr (Part > 1) copy_parts<Part / 2>(from + part, count, to + part);
}
/// Copies `count` elements, fewer than 16, as parts of 8, 4, 2 and 1: one by one they took 60 to 90 cycles for each row
/// of a last strip of channels, more than its products where k is short. Apart, because its branches in the loop that
/// stores whole strips cost that loop 7 cycles a row by clang++.
template <class T>
SPARQ_APART void copy_few(const T* from, std::size_t count, T* to) {
  copy_parts<8>(from, count, to);
}
}  // namespace machine

/// Sixteen lanes of T (float or int32_t).
template <class T>
struct vec {
  static constexpr std::size_t lanes = 16;
  static constexpr std::size_t registers = lanes / machine::register_lanes<T>;
  machine::lane_register<T> r[registers];

  vec() = default;
  SPARQ_INLINE explicit vec(T value) {
    SPARQ_UNROLL for (auto& x : r) x = machine::lane_register<T>(value);
  }
  /// Reads 16 elements at p, which needs no alignment.
  static SPARQ_INLINE vec load(const T* p) {
    vec v;
    SPARQ_UNROLL for (std::size_t i = 0; i < registers; ++i)
      v.r[i] = machine::load_register<T>(p + i * machine::register_lanes<T>);
    return v;
  }
  SPARQ_INLINE void store(T* p) const {
    SPARQ_UNROLL for (std::size_t i = 0; i < registers; ++i)
      machine::store_register<T>(p + i * machine::register_lanes<T>, r[i]);
  }
  /// Reads `count` elements, the other lanes are 0. Never touches memory beyond them.
  static SPARQ_INLINE vec load(const T* p, std::size_t count) {
    if (count >= lanes) return load(p);
    T padded[lanes] = {};
    machine::copy_few(p, count, padded);
    return load(padded);
  }
  SPARQ_INLINE void store(T* p, std::size_t count) const {
    if (count >= lanes) return store(p);
    T padded[lanes];
    store(padded);
    machine::copy_few(padded, count, p);
  }

#define SPARQ_VEC_OPERATOR(name, expression)                                       \
  friend SPARQ_INLINE vec name(const vec& a, const vec& b) {                       \
    vec v;                                                                         \
    SPARQ_UNROLL for (std::size_t i = 0; i < registers; ++i) v.r[i] = expression; \
    return v;                                                                      \
  }
  SPARQ_VEC_OPERATOR(operator+, machine::plus(a.r[i], b.r[i]))    // integers wrap around, as in the next two
  SPARQ_VEC_OPERATOR(operator-, machine::minus(a.r[i], b.r[i]))
  SPARQ_VEC_OPERATOR(operator*, machine::times(a.r[i], b.r[i]))
  SPARQ_VEC_OPERATOR(operator/, a.r[i] / b.r[i])      // floats
  SPARQ_VEC_OPERATOR(operator&, a.r[i] & b.r[i])      // integers, as the next three
  SPARQ_VEC_OPERATOR(operator^, a.r[i] ^ b.r[i])
  SPARQ_VEC_OPERATOR(operator<<, machine::shift_left(a.r[i], b.r[i]))   // counts in [0, 31]
  SPARQ_VEC_OPERATOR(operator>>, machine::shift_right(a.r[i], b.r[i]))  // towards minus infinity
  // as minps and maxps: b where both are equal (zeros of either sign) or one is NaN
  SPARQ_VEC_OPERATOR(min, machine::min(a.r[i], b.r[i]))
  SPARQ_VEC_OPERATOR(max, machine::max(a.r[i], b.r[i]))
#undef SPARQ_VEC_OPERATOR
};

/// a b + c, rounded once where the CPU has fused multiply-adds.
SPARQ_INLINE vec<float> multiply_add(const vec<float>& a, const vec<float>& b, const vec<float>& c) {
  vec<float> result;
  SPARQ_UNROLL for (std::size_t i = 0; i < vec<float>::registers; ++i)
    result.r[i] = machine::multiply_add(a.r[i], b.r[i], c.r[i]);
  return result;
}

/// Nearest float of each lane, ties to even.
SPARQ_INLINE vec<float> to_f32(const vec<std::int32_t>& v) {
  vec<float> result;
  SPARQ_UNROLL for (std::size_t i = 0; i < vec<float>::registers; ++i) result.r[i] = machine::convert(v.r[i]);
  return result;
}

/// Nearest integer of each lane, ties to even, saturated to [-2^31, 2^31 - 128], the floats that int32 holds; NaN
/// becomes the largest of them. @pre the rounding mode is the default one
SPARQ_INLINE vec<std::int32_t> round_to_s32(const vec<float>& v) {
  vec<float> inside = min(v, vec<float>(2147483520.0F));
  if constexpr (!machine::rounds_to_least) inside = max(inside, vec<float>(-2147483648.0F));
  vec<std::int32_t> result;
  SPARQ_UNROLL for (std::size_t i = 0; i < vec<float>::registers; ++i) result.r[i] = machine::round(inside.r[i]);
  return result;
}

/// Nearest integer of each lane, ties to even, bounded to [low, high]: integers that floats hold, so that bounds come
/// first and the integer always fits; NaN becomes `low`. @pre the rounding mode is the default one
SPARQ_INLINE vec<std::int32_t> round_to_s32(const vec<float>& v, const vec<float>& low, const vec<float>& high) {
  const vec<float> inside = min(max(v, low), high);
  vec<std::int32_t> result;
  SPARQ_UNROLL for (std::size_t i = 0; i < vec<float>::registers; ++i) result.r[i] = machine::round(inside.r[i]);
  return result;
}

/// The same without a lower bound: what lies below int32 becomes its least.
SPARQ_INLINE vec<std::int32_t> round_to_s32(const vec<float>& v, const vec<float>& high) {
  if constexpr (!machine::rounds_to_least) return round_to_s32(v, vec<float>(-2147483648.0F), high);
  const vec<float> inside = min(v, high);
  vec<std::int32_t> result;
  SPARQ_UNROLL for (std::size_t i = 0; i < vec<float>::registers; ++i) result.r[i] = machine::round(inside.r[i]);
  return result;
}

/// 1 where a > b, else 0.
SPARQ_INLINE vec<std::int32_t> ones_where_greater(const vec<std::int32_t>& a, const vec<std::int32_t>& b) {
  vec<std::int32_t> result;
  SPARQ_UNROLL for (std::size_t i = 0; i < vec<std::int32_t>::registers; ++i)
    result.r[i] = machine::ones_where_greater(a.r[i], b.r[i]);
  return result;
}

/// a * b, rounded by itself: compilers do not fuse it with a sum behind it, so the result is the same in every build.
SPARQ_INLINE vec<float> rounded_product(const vec<float>& a, const vec<float>& b) {
  vec<float> result = a * b;
  SPARQ_UNROLL for (auto& r : result.r) machine::keep(r);
  return result;
}

/// An integer of each lane, rounded as Mode says (numeric/rounding.hpp), saturated to [-2^31, 2^31 - 128], NaN to the
/// latter. @pre the rounding mode is the default one
template <class Mode>
SPARQ_INLINE vec<std::int32_t> round_to_s32(const vec<float>& v) {
  vec<float> whole = v;
  SPARQ_UNROLL for (auto& r : whole.r) {
    if constexpr (std::is_same_v<Mode, rounding::nearest_away>) r = machine::half_away(r);
    if constexpr (std::is_same_v<Mode, rounding::down>) r = machine::floor(r);
    if constexpr (std::is_same_v<Mode, rounding::up>) r = machine::ceil(r);
    if constexpr (std::is_same_v<Mode, rounding::toward_zero>) r = machine::trunc(r);
  }
  return round_to_s32(whole);
}

/// f(lane value, lane) for every lane.
template <class T, class F>
SPARQ_INLINE vec<T> map_lanes(const vec<T>& v, F&& f) {
  T lanes[vec<T>::lanes];
  v.store(lanes);
  for (std::size_t i = 0; i < vec<T>::lanes; ++i) lanes[i] = f(lanes[i], i);
  return vec<T>::load(lanes);
}

#if SPARQ_HAS_XSIMD && SPARQ_HAS_AVX2
namespace machine {
/// Sixteen bytes in 32-bit lanes.
template <class Byte>
SPARQ_INLINE vec<std::int32_t> widen_bytes(__m128i bytes) {
  vec<std::int32_t> v;
#if SPARQ_HAS_AVX512
  v.r[0] = std::is_signed_v<Byte> ? _mm512_cvtepi8_epi32(bytes) : _mm512_cvtepu8_epi32(bytes);
#else
  const __m128i upper = _mm_unpackhi_epi64(bytes, bytes);
  v.r[0] = std::is_signed_v<Byte> ? _mm256_cvtepi8_epi32(bytes) : _mm256_cvtepu8_epi32(bytes);
  v.r[1] = std::is_signed_v<Byte> ? _mm256_cvtepi8_epi32(upper) : _mm256_cvtepu8_epi32(upper);
#endif
  return v;
}
}  // namespace machine
#endif

/// Reads `count` integers of up to 32 bits, the other lanes are 0.
template <class T>
SPARQ_INLINE vec<std::int32_t> load_codes(const T* p, std::size_t count) {
  if constexpr (std::is_same_v<T, std::int32_t>) return vec<std::int32_t>::load(p, count);
#if SPARQ_HAS_XSIMD && SPARQ_HAS_AVX2
  if constexpr (sizeof(T) == 1)
    if (count >= 16) return machine::widen_bytes<T>(machine::load_128(p));
#endif
  std::int32_t lanes[16] = {};
  for (std::size_t i = 0; i < (count < 16 ? count : 16); ++i) lanes[i] = p[i];
  return vec<std::int32_t>::load(lanes);
}

/// Writes `count` lanes to bytes, saturated to the range of Byte (int8_t or uint8_t).
/// - `InRange`: all of them are in that range
template <bool InRange = false, class Byte>
SPARQ_INLINE void store_saturated(Byte* p, const vec<std::int32_t>& v, std::size_t count) {
  constexpr bool is_signed = std::is_signed_v<Byte>;
#if SPARQ_HAS_XSIMD && SPARQ_HAS_AVX512
  const __m128i bytes = InRange     ? _mm512_cvtepi32_epi8(v.r[0])
                        : is_signed ? _mm512_cvtsepi32_epi8(v.r[0])
                                    : _mm512_cvtusepi32_epi8(max(v, vec<std::int32_t>(0)).r[0]);
#elif SPARQ_HAS_XSIMD && SPARQ_HAS_AVX2
  const __m256i shorts = _mm256_packs_epi32(v.r[0], v.r[1]);         // lanes 0..3, 8..11 | 4..7, 12..15
  const __m128i low = _mm256_castsi256_si128(shorts), high = _mm256_extracti128_si256(shorts, 1);
  const __m128i mixed = is_signed ? _mm_packs_epi16(low, high) : _mm_packus_epi16(low, high);
  const __m128i bytes = _mm_shuffle_epi32(mixed, 0xd8);
#else
  const vec<std::int32_t> inside =
      max(min(v, vec<std::int32_t>(is_signed ? 127 : 255)), vec<std::int32_t>(is_signed ? -128 : 0));
  std::int32_t lanes[16];
  inside.store(lanes);
  Byte bytes[16];
  for (std::size_t i = 0; i < 16; ++i) bytes[i] = static_cast<Byte>(lanes[i]);
#endif
  if (count >= 16) {
    std::memcpy(p, &bytes, 16);
  } else {
    Byte padded[16];
    std::memcpy(padded, &bytes, 16);
    machine::copy_few(padded, count, p);
  }
}

SPARQ_ABI_END
}  // namespace sparq
