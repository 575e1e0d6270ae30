// SPDX-License-Identifier: MIT
#pragma once
// Positions of an N:M pattern come in narrow fields, of several groups in one byte; selectors take bytes. A register of
// them is unpacked with one shift, one mask and one addition for each group, and stored as a whole, so that loading it
// again costs no more than loading bytes from memory would.

#include <sparq/base/config.hpp>
#include <sparq/simd/x86_registers.hpp>

#include <cstddef>
#include <cstdint>

namespace sparq {
SPARQ_ABI_BEGIN

/// Unpacks `Count` bytes of 8 / Bits groups: out[f][i] = field f of p[i] + byte i % 4 of `first`.
/// - `Count`: positions of one register, 4, 8, 16, 32 or 64
/// - `first`: where in its window the span of every position starts
template <std::size_t Bits, std::size_t Count>
SPARQ_INLINE void unpack_positions(const std::uint8_t* p, std::uint32_t first, std::uint8_t (&out)[8 / Bits][Count]) {
  static_assert(Bits == 1 || Bits == 2 || Bits == 4, "sparq: fields share bytes evenly; use 1, 2 or 4 bits");
  constexpr std::size_t groups = 8 / Bits;
  [[maybe_unused]] constexpr auto mask = static_cast<char>((1U << Bits) - 1);
#if SPARQ_HAS_AVX512
  if constexpr (Count == 64) {
    const __m512i raw = _mm512_loadu_si512(p);
    const __m512i minus_first = _mm512_sub_epi8(_mm512_setzero_si512(), _mm512_set1_epi32(static_cast<int>(first)));
    SPARQ_UNROLL for (unsigned f = 0; f < groups; ++f) {
      const __m512i shifted = _mm512_srli_epi16(raw, f * static_cast<unsigned>(Bits));
      const __m512i positions = _mm512_and_si512(shifted, _mm512_set1_epi8(mask));
      _mm512_storeu_si512(out[f], _mm512_sub_epi8(positions, minus_first));
    }
    return;
  }
#endif
#if SPARQ_HAS_AVX2
  if constexpr (Count == 32) {
    const __m256i raw = machine::load_256(p);
    const __m256i firsts = _mm256_set1_epi32(static_cast<int>(first));
    SPARQ_UNROLL for (int f = 0; f < static_cast<int>(groups); ++f)
      machine::store_256(out[f], _mm256_add_epi8(_mm256_and_si256(_mm256_srli_epi16(raw, f * static_cast<int>(Bits)),
                                                                  _mm256_set1_epi8(mask)),
                                                 firsts));
    return;
  }
  if constexpr (Count == 16 || Count == 8) {
    const __m128i raw = Count == 8 ? machine::load_64(p) : machine::load_128(p);
    const __m128i firsts = _mm_set1_epi32(static_cast<int>(first));
    SPARQ_UNROLL for (int f = 0; f < static_cast<int>(groups); ++f) {
      const __m128i bytes = _mm_add_epi8(
          _mm_and_si128(_mm_srli_epi16(raw, f * static_cast<int>(Bits)), _mm_set1_epi8(mask)), firsts);
      if constexpr (Count == 8)
        machine::store_64(out[f], bytes);
      else
        machine::store_128(out[f], bytes);
    }
    return;
  }
#endif
  for (std::size_t f = 0; f < groups; ++f)
    for (std::size_t i = 0; i < Count; ++i)
      out[f][i] =
          static_cast<std::uint8_t>((p[i] >> (f * Bits) & ((1U << Bits) - 1)) + (first >> (8 * (i % 4)) & 255U));
}

SPARQ_ABI_END
}  // namespace sparq
