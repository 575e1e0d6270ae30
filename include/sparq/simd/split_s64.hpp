// SPDX-License-Identifier: MIT
#pragma once
// Sixteen 64-bit integers between lanes of vec<int32_t>: their products, sums, shifts, and the way back. Lanes with
// even and odd numbers are in registers of their own, as vpmuldq reads and writes them;
// vec<int64_t> (vec_s64.hpp) has them in order.

#include <sparq/base/config.hpp>
#include <sparq/simd/vec.hpp>
#include <sparq/simd/vec_s64.hpp>
#include <sparq/simd/x86_registers.hpp>

#include <cstddef>
#include <cstdint>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

#if SPARQ_HAS_AVX512

using register64 = __m512i;
inline constexpr std::size_t registers64 = 1;

SPARQ_INLINE __m512i even_of(const vec<std::int32_t>& v, std::size_t) {
#if SPARQ_HAS_XSIMD
  return v.r[0];
#else
  return _mm512_loadu_si512(v.r);
#endif
}
SPARQ_INLINE __m512i odd_of(const vec<std::int32_t>& v, std::size_t) { return _mm512_srli_epi64(even_of(v, 0), 32); }
SPARQ_INLINE __m512i all64(std::int64_t value) { return _mm512_set1_epi64(value); }
SPARQ_INLINE __m512i product(__m512i a, __m512i b) { return _mm512_mul_epi32(a, b); }
SPARQ_INLINE __m512i unsigned_product(__m512i a, __m512i b) { return _mm512_mul_epu32(a, b); }
SPARQ_INLINE __m512i high_half(__m512i a) { return _mm512_srli_epi64(a, 32); }
SPARQ_INLINE __m512i to_high_half(__m512i a) { return _mm512_slli_epi64(a, 32); }
SPARQ_INLINE __m512i sum64(__m512i a, __m512i b) { return _mm512_add_epi64(a, b); }
SPARQ_INLINE __m512i shifted64(__m512i a, __m512i counts) { return _mm512_srav_epi64(a, counts); }
SPARQ_INLINE __m512i inside64(__m512i a, __m512i least, __m512i most) {
  return _mm512_max_epi64(_mm512_min_epi64(a, most), least);
}
SPARQ_INLINE void set_register(vec<std::int32_t>& v, std::size_t, __m512i both) {
#if SPARQ_HAS_XSIMD
  v.r[0] = both;
#else
  _mm512_storeu_si512(v.r, both);
#endif
}
SPARQ_INLINE void combine(vec<std::int32_t>& v, std::size_t i, __m512i even, __m512i odd) {
  set_register(v, i, _mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32)));
}
template <int S>
SPARQ_INLINE void combine_halves(vec<std::int32_t>& v, std::size_t i, __m512i even, __m512i odd) {
  set_register(v, i, _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, S), _mm512_slli_epi64(odd, 32 - S)));
}
SPARQ_INLINE void split(const std::int64_t* p, __m512i& even, __m512i& odd) {
  const __m512i a = _mm512_loadu_si512(p), b = _mm512_loadu_si512(p + 8);
  even = _mm512_permutex2var_epi64(a, _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0), b);
  odd = _mm512_permutex2var_epi64(a, _mm512_set_epi64(15, 13, 11, 9, 7, 5, 3, 1), b);
}

#elif SPARQ_HAS_AVX2

using register64 = __m256i;
inline constexpr std::size_t registers64 = 2;

SPARQ_INLINE __m256i even_of(const vec<std::int32_t>& v, std::size_t i) {
#if SPARQ_HAS_XSIMD
  return v.r[i];
#else
  return load_256(v.r + 8 * i);
#endif
}
SPARQ_INLINE __m256i odd_of(const vec<std::int32_t>& v, std::size_t i) { return _mm256_srli_epi64(even_of(v, i), 32); }
SPARQ_INLINE __m256i all64(std::int64_t value) { return _mm256_set1_epi64x(value); }
SPARQ_INLINE __m256i product(__m256i a, __m256i b) { return _mm256_mul_epi32(a, b); }
SPARQ_INLINE __m256i unsigned_product(__m256i a, __m256i b) { return _mm256_mul_epu32(a, b); }
SPARQ_INLINE __m256i high_half(__m256i a) { return _mm256_srli_epi64(a, 32); }
SPARQ_INLINE __m256i to_high_half(__m256i a) { return _mm256_slli_epi64(a, 32); }
SPARQ_INLINE __m256i sum64(__m256i a, __m256i b) { return _mm256_add_epi64(a, b); }
// AVX2 shifts 64-bit lanes without their sign: shifted as a + 2^63, which is not negative, less 2^63 shifted alike.
SPARQ_INLINE __m256i shifted64(__m256i a, __m256i counts) {
  const __m256i top = all64(INT64_MIN);
  return _mm256_sub_epi64(_mm256_srlv_epi64(_mm256_xor_si256(a, top), counts), _mm256_srlv_epi64(top, counts));
}
SPARQ_INLINE __m256i inside64(__m256i a, __m256i least, __m256i most) {
  a = _mm256_blendv_epi8(a, most, _mm256_cmpgt_epi64(a, most));
  return _mm256_blendv_epi8(a, least, _mm256_cmpgt_epi64(least, a));
}
SPARQ_INLINE void set_register(vec<std::int32_t>& v, std::size_t i, __m256i both) {
#if SPARQ_HAS_XSIMD
  v.r[i] = both;
#else
  store_256(v.r + 8 * i, both);
#endif
}
SPARQ_INLINE void combine(vec<std::int32_t>& v, std::size_t i, __m256i even, __m256i odd) {
  set_register(v, i, _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA));
}
template <int S>
SPARQ_INLINE void combine_halves(vec<std::int32_t>& v, std::size_t i, __m256i even, __m256i odd) {
  set_register(v, i, _mm256_blend_epi32(_mm256_srli_epi64(even, S), _mm256_slli_epi64(odd, 32 - S), 0xAA));
}
SPARQ_INLINE void split(const std::int64_t* p, __m256i& even, __m256i& odd) {
  const __m256i a = _mm256_permute4x64_epi64(load_256(p), 0xD8);
  const __m256i b = _mm256_permute4x64_epi64(load_256(p + 4), 0xD8);
  even = _mm256_permute2x128_si256(a, b, 0x20);
  odd = _mm256_permute2x128_si256(a, b, 0x31);
}

#else

using register64 = std::int64_t;
inline constexpr std::size_t registers64 = 8;

SPARQ_INLINE std::int64_t even_of(const vec<std::int32_t>& v, std::size_t i) { return v.r[2 * i]; }
SPARQ_INLINE std::int64_t odd_of(const vec<std::int32_t>& v, std::size_t i) { return v.r[2 * i + 1]; }
SPARQ_INLINE std::int64_t all64(std::int64_t value) { return value; }
SPARQ_INLINE std::int64_t product(std::int64_t a, std::int64_t b) {
  return std::int64_t{static_cast<std::int32_t>(a)} * static_cast<std::int32_t>(b);
}
SPARQ_INLINE std::int64_t unsigned_product(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(std::uint64_t{static_cast<std::uint32_t>(a)} * static_cast<std::uint32_t>(b));
}
SPARQ_INLINE std::int64_t high_half(std::int64_t a) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) >> 32);
}
SPARQ_INLINE std::int64_t to_high_half(std::int64_t a) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) << 32);
}
SPARQ_INLINE std::int64_t sum64(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}
SPARQ_INLINE std::int64_t shifted64(std::int64_t a, std::int64_t count) { return a >> count; }
SPARQ_INLINE std::int64_t inside64(std::int64_t a, std::int64_t least, std::int64_t most) {
  return a > most ? most : a < least ? least : a;
}
SPARQ_INLINE void combine(vec<std::int32_t>& v, std::size_t i, std::int64_t even, std::int64_t odd) {
  v.r[2 * i] = static_cast<std::int32_t>(even);
  v.r[2 * i + 1] = static_cast<std::int32_t>(odd);
}
template <int S>
SPARQ_INLINE void combine_halves(vec<std::int32_t>& v, std::size_t i, std::int64_t even, std::int64_t odd) {
  combine(v, i, even >> S, odd >> S);
}
SPARQ_INLINE void split(const std::int64_t* p, std::int64_t& even, std::int64_t& odd) {
  even = p[0];
  odd = p[1];
}

#endif

}  // namespace machine

/// Sixteen lanes of int64_t.
struct split_s64 {
  static constexpr std::size_t registers = machine::registers64;
  machine::register64 even[registers];  // lanes 0, 2, 4, ...
  machine::register64 odd[registers];   // lanes 1, 3, 5, ...

  split_s64() = default;
  SPARQ_INLINE explicit split_s64(std::int64_t value) {
    SPARQ_UNROLL for (std::size_t i = 0; i < registers; ++i) even[i] = odd[i] = machine::all64(value);
  }
  /// The same numbers in 64 bits.
  SPARQ_INLINE explicit split_s64(const vec<std::int32_t>& v) {
    SPARQ_UNROLL for (std::size_t i = 0; i < registers; ++i) {
      even[i] = machine::product(machine::even_of(v, i), machine::all64(1));
      odd[i] = machine::product(machine::odd_of(v, i), machine::all64(1));
    }
  }
  /// Reads 16 elements at p, which needs no alignment.
  static SPARQ_INLINE split_s64 load(const std::int64_t* p) {
    split_s64 v;
    SPARQ_UNROLL for (std::size_t i = 0; i < registers; ++i)
      machine::split(p + i * (16 / registers), v.even[i], v.odd[i]);
    return v;
  }
  SPARQ_INLINE explicit split_s64(const vec<std::int64_t>& v) : split_s64(load(v.lane)) {}

  friend SPARQ_INLINE split_s64 operator+(const split_s64& a, const split_s64& b) {
    split_s64 v;
    SPARQ_UNROLL for (std::size_t i = 0; i < registers; ++i) {
      v.even[i] = machine::sum64(a.even[i], b.even[i]);
      v.odd[i] = machine::sum64(a.odd[i], b.odd[i]);
    }
    return v;
  }
  /// Towards minus infinity. @pre every count is in [0, 63]
  friend SPARQ_INLINE split_s64 operator>>(const split_s64& a, const split_s64& counts) {
    split_s64 v;
    SPARQ_UNROLL for (std::size_t i = 0; i < registers; ++i) {
      v.even[i] = machine::shifted64(a.even[i], counts.even[i]);
      v.odd[i] = machine::shifted64(a.odd[i], counts.odd[i]);
    }
    return v;
  }
};

/// a * b, exact. The upper halves of b are not read.
SPARQ_INLINE split_s64 multiply(const vec<std::int32_t>& a, const split_s64& b) {
  split_s64 v;
  SPARQ_UNROLL for (std::size_t i = 0; i < split_s64::registers; ++i) {
    v.even[i] = machine::product(machine::even_of(a, i), b.even[i]);
    v.odd[i] = machine::product(machine::odd_of(a, i), b.odd[i]);
  }
  return v;
}

/// a * b modulo 2^64. @pre 0 <= b < 2^32
SPARQ_INLINE split_s64 multiply_by_unsigned(const split_s64& a, const split_s64& b) {
  using namespace machine;
  split_s64 v;
  SPARQ_UNROLL for (std::size_t i = 0; i < split_s64::registers; ++i) {
    v.even[i] = sum64(unsigned_product(a.even[i], b.even[i]),
                      to_high_half(unsigned_product(high_half(a.even[i]), b.even[i])));
    v.odd[i] =
        sum64(unsigned_product(a.odd[i], b.odd[i]), to_high_half(unsigned_product(high_half(a.odd[i]), b.odd[i])));
  }
  return v;
}

/// min(max(v, least), most).
SPARQ_INLINE split_s64 clamp_lanes(const split_s64& v, std::int64_t least, std::int64_t most) {
  split_s64 result;
  SPARQ_UNROLL for (std::size_t i = 0; i < split_s64::registers; ++i) {
    result.even[i] = machine::inside64(v.even[i], machine::all64(least), machine::all64(most));
    result.odd[i] = machine::inside64(v.odd[i], machine::all64(least), machine::all64(most));
  }
  return result;
}

/// The lower half of each lane.
SPARQ_INLINE vec<std::int32_t> low_halves(const split_s64& v) {
  vec<std::int32_t> result;
  SPARQ_UNROLL for (std::size_t i = 0; i < split_s64::registers; ++i) machine::combine(result, i, v.even[i], v.odd[i]);
  return result;
}

/// The nearest int32 of each lane.
SPARQ_INLINE vec<std::int32_t> saturate_to_s32(const split_s64& v) {
  return low_halves(clamp_lanes(v, INT32_MIN, INT32_MAX));
}

/// Bits S to S + 31 of each lane.
template <int S>
SPARQ_INLINE vec<std::int32_t> halves_at(const split_s64& v) {
  static_assert(0 < S && S < 32, "sparq: bits 1 to 31 are where a half may start; low_halves starts at bit 0");
  vec<std::int32_t> result;
  SPARQ_UNROLL for (std::size_t i = 0; i < split_s64::registers; ++i)
    machine::combine_halves<S>(result, i, v.even[i], v.odd[i]);
  return result;
}

SPARQ_ABI_END
}  // namespace sparq
