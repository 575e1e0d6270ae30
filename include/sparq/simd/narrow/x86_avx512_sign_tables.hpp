// SPDX-License-Identifier: MIT
#pragma once
// One row of bytes times weights of -1 and 1, looked up where one instruction looks up 64 bytes in 64: for every 16 k's
// a register holds the sums of those x whose weight is -1, of k's j, j + 4, j + 8, j + 12 for every j below 4 and every
// nibble of W's bits. Sums have ten bits; a second register holds their upper two. Words are read as they are packed:
// byte j of a channel's word has the bits of k's j, j + 4, ..., and the four bytes' sums are added by vpdpbusd.
//
//   for each 32 k's of 16 channels:                        // 512 products
//     place = low nibbles | 16 j                            // then upper ones
//     low  += table[place] * 1,  high += table of upper bits[place] * 1
//
//   sum w x = sum x - 2 (low + 256 high)

#include <sparq/base/config.hpp>
#include <sparq/base/schedule.hpp>
#include <sparq/simd/strips_ahead.hpp>
#include <sparq/simd/x86_registers.hpp>

#if SPARQ_HAS_AVX512VNNI && SPARQ_HAS_AVX512VBMI

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Of 32 k's: for each 16 of them lower bytes of sums, then upper ones.
inline constexpr std::size_t wide_sign_table_bytes = 256;

/// What makes the tables of 16 k's.
struct wide_sign_table_controls {
  std::uint8_t places[64];       // quarter j of a register: k's j, j + 4, j + 8, j + 12, four times
  std::uint8_t factors[4][64];   // byte q of four: bits of the nibbles 4 r + q, r in [0, 4), in each quarter

  constexpr wide_sign_table_controls() : places{}, factors{} {
    for (unsigned i = 0; i < 64; ++i) {
      places[i] = static_cast<std::uint8_t>(i / 16 + 4 * (i % 4));
      for (unsigned q = 0; q < 4; ++q)
        factors[q][i] = static_cast<std::uint8_t>((4 * (i / 4 % 4) + q) >> (i % 4) & 1);
    }
  }
};
inline constexpr wide_sign_table_controls controls_of_wide_sign_tables;

/// Writes the tables of k elements of X, wide_sign_table_bytes for every 32 begun, and returns their sum. A signed X
/// gets its top bit flipped first, which adds 128.
template <class Code>
SPARQ_APART std::int32_t make_wide_sign_tables(const Code* x, std::size_t k, std::uint8_t* tables) noexcept {
  static_assert(sizeof(Code) == 1, "sparq: tables of signs are of bytes; unpack other activations first");
  const auto& controls = controls_of_wide_sign_tables;
  const __m512i top = _mm512_set1_epi8(std::is_signed_v<Code> ? static_cast<char>(0x80) : char{0});
  const __m512i even = _mm512_set1_epi16(0xff), ones = _mm512_set1_epi8(1);
  const __m512i places = _mm512_loadu_si512(controls.places);
  __m512i total = _mm512_setzero_si512();
  const auto make = [&](const void* from, std::uint8_t* out) SPARQ_LAMBDA_INLINE {
    const __m512i bytes = _mm512_xor_si512(_mm512_broadcast_i32x4(load_128(from)), top);
    const __m512i xs = _mm512_shuffle_epi8(bytes, places);
    const auto sums = [&](int q) SPARQ_LAMBDA_INLINE {  // of lane r of a quarter: for nibble 4 r + q
      return _mm512_dpbusd_epi32(_mm512_setzero_si512(), xs, _mm512_loadu_si512(controls.factors[q]));
    };
    const __m512i evens = _mm512_or_si512(sums(0), _mm512_slli_epi32(sums(2), 16));
    const __m512i odds = _mm512_or_si512(sums(1), _mm512_slli_epi32(sums(3), 16));
    // even ? first : second, a byte each
    _mm512_storeu_si512(out, _mm512_ternarylogic_epi32(even, evens, _mm512_slli_epi16(odds, 8), 0xca));
    _mm512_storeu_si512(out + 64, _mm512_ternarylogic_epi32(even, _mm512_srli_epi16(evens, 8), odds, 0xca));
    total = _mm512_dpbusd_epi32(total, bytes, ones);  // in each quarter
  };
  for (; k >= 32; k -= 32, x += 32, tables += wide_sign_table_bytes) {
    make(x, tables);
    make(x + 16, tables + 128);
  }
  if (k != 0) {
    std::uint8_t rest[32];
    std::memset(rest, std::is_signed_v<Code> ? 0x80 : 0, sizeof rest);
    std::memcpy(rest, x, k);
    make(rest, tables);
    make(rest + 16, tables + 128);
  }
  std::uint32_t lanes[16];
  _mm512_storeu_si512(lanes, total);
  return static_cast<std::int32_t>(lanes[0] + lanes[1] + lanes[2] + lanes[3]);
}

/// Sums of those x whose bit is set, for S strips of 16 channels that follow each other.
/// - `words`: of the first strip, `count` times 16; `sums`: S * 16, overwritten
template <std::size_t S>
SPARQ_APART void add_by_wide_sign_tables(const std::uint8_t* tables, const std::uint32_t* words, std::size_t count,
                                         std::int32_t* sums) noexcept {
  SPARQ_ALIGN_FRAME;
  const __m512i nibble = _mm512_set1_epi8(15), quarters = _mm512_set1_epi32(0x30201000), ones = _mm512_set1_epi8(1);
  __m512i low[S], high[S];
  SPARQ_UNROLL for (std::size_t s = 0; s < S; ++s) low[s] = high[s] = _mm512_setzero_si512();
  const auto add = [&](__m512i& sum, __m512i place, __m512i table) SPARQ_LAMBDA_INLINE {
    sum = _mm512_dpbusd_epi32(sum, _mm512_permutexvar_epi8(place, table), ones);
    SPARQ_KEEP_ORDER(sum);
  };
  const std::uint32_t* strips[S];
  SPARQ_UNROLL for (std::size_t s = 0; s < S; ++s) strips[s] = words + s * count * 16;
  SPARQ_KEEP_LOOP for (std::size_t i = 0; i < count; ++i, tables += wide_sign_table_bytes) {
    const std::size_t ahead = 16 * (i + strip_lines_ahead(S, i, count));
    __m512i table[4];
    SPARQ_UNROLL for (std::size_t t = 0; t < 4; ++t) table[t] = _mm512_loadu_si512(tables + 64 * t);
    SPARQ_UNROLL for (std::size_t s = 0; s < S; ++s) {
      const __m512i word = _mm512_loadu_si512(strips[s] + 16 * i);
      fetch_ahead(strips[s], ahead);
      // (bits & nibble) | quarters
      const __m512i lower = _mm512_ternarylogic_epi32(word, nibble, quarters, 0xea);
      const __m512i upper = _mm512_ternarylogic_epi32(_mm512_srli_epi16(word, 4), nibble, quarters, 0xea);
      add(low[s], lower, table[0]);
      add(high[s], lower, table[1]);
      add(low[s], upper, table[2]);
      add(high[s], upper, table[3]);
    }
  }
  SPARQ_UNROLL for (std::size_t s = 0; s < S; ++s)
    _mm512_storeu_si512(sums + 16 * s, _mm512_add_epi32(low[s], _mm512_slli_epi32(high[s], 8)));
}

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX512VNNI && SPARQ_HAS_AVX512VBMI
