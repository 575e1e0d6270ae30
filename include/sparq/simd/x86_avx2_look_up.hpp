// SPDX-License-Identifier: MIT
#pragma once
// Lookups in tables of at most sixteen entries by vpshufb, for kernel/look_up.hpp: the tables of two channels lie in one
// register, and codes come sixteen for each of them.

#include <sparq/base/config.hpp>
#include <sparq/numeric/codebook.hpp>

#if SPARQ_HAS_AVX2

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// The tables of two channels, one in each half of a register: byte j of every entry in plane j, for vpshufb.
template <class N>
struct table_pair {
  static constexpr std::size_t planes = sizeof(typename N::entry::code);
  __m256i plane[planes];

  table_pair(const typename N::entry::code* low, const typename N::entry::code* high) {
    alignas(32) std::uint8_t bytes[planes][32] = {};
    for (std::size_t half = 0; half < 2; ++half)
      for (std::size_t e = 0; e < N::entries; ++e) {
        std::uint8_t entry[planes];
        std::memcpy(entry, (half == 0 ? low : high) + e, planes);
        for (std::size_t j = 0; j < planes; ++j) bytes[j][16 * half + e] = entry[j];
      }
    for (std::size_t j = 0; j < planes; ++j) plane[j] = _mm256_load_si256(reinterpret_cast<const __m256i*>(bytes[j]));
  }

  /// Entries of sixteen codes for each half, four bytes of them in words[0], the next in words[1], ...
  SPARQ_INLINE void look_up(__m256i codes, __m256i (&words)[planes]) const {
    if constexpr (planes == 1) {
      words[0] = _mm256_shuffle_epi8(plane[0], codes);
    } else {
      const __m256i a = _mm256_shuffle_epi8(plane[0], codes), b = _mm256_shuffle_epi8(plane[1], codes);
      const __m256i c = _mm256_shuffle_epi8(plane[2], codes), d = _mm256_shuffle_epi8(plane[3], codes);
      const __m256i ab[2] = {_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b)};
      const __m256i cd[2] = {_mm256_unpacklo_epi8(c, d), _mm256_unpackhi_epi8(c, d)};
      SPARQ_UNROLL for (std::size_t i = 0; i < 2; ++i) {
        words[2 * i] = _mm256_unpacklo_epi16(ab[i], cd[i]);
        words[2 * i + 1] = _mm256_unpackhi_epi16(ab[i], cd[i]);
      }
    }
  }
};

/// Sixteen codes from each of two rows; `part` 0 or 1: which half of the chunk.
/// - `Bits`: of a packed code, 2 or 4
template <class N, int Bits>
SPARQ_INLINE __m256i load_codes(const std::uint8_t* low, const std::uint8_t* high, int part) {
  __m256i both;
  if constexpr (Bits == 4) {
    both = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(low))),
                                   _mm_loadu_si128(reinterpret_cast<const __m128i*>(high)), 1);
    both = _mm256_srl_epi16(both, _mm_cvtsi32_si128(4 * part));
  } else {
    long long a, b;
    std::memcpy(&a, low, sizeof a);
    std::memcpy(&b, high, sizeof b);
    const __m256i shifts = part == 0 ? _mm256_setr_epi64x(0, 2, 0, 2) : _mm256_setr_epi64x(4, 6, 4, 6);
    both = _mm256_srlv_epi64(_mm256_setr_epi64x(a, a, b, b), shifts);
  }
  return _mm256_and_si256(both, _mm256_set1_epi8(static_cast<char>(N::entries - 1)));
}

/// Four words of eight channels, from registers that hold four words of channels i and i + 4.
SPARQ_INLINE void transpose_words(const __m256i (&w)[4], __m256i (&words)[4]) {
  const __m256i a = _mm256_unpacklo_epi32(w[0], w[1]), b = _mm256_unpackhi_epi32(w[0], w[1]);
  const __m256i c = _mm256_unpacklo_epi32(w[2], w[3]), d = _mm256_unpackhi_epi32(w[2], w[3]);
  words[0] = _mm256_unpacklo_epi64(a, c);
  words[1] = _mm256_unpackhi_epi64(a, c);
  words[2] = _mm256_unpacklo_epi64(b, d);
  words[3] = _mm256_unpackhi_epi64(b, d);
}

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2
