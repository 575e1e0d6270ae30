// SPDX-License-Identifier: MIT
#pragma once
// One row of bytes times weights of -1 and 1, looked up: for every 4 k's a register of sixteen bytes holds the sums of those
// x whose weight is -1, for each nibble of W's bits. X is cut into its lower and its upper four bits, so that a sum fits
// into a byte and four of them still do. Words of panel_shape<16, 4> are read as they are packed: byte j of a channel's
// word has the bits of k = 4 i + j, and 32 channels' bytes j are brought together first.
//
//   for each 32 k's of 32 channels:                        // 1024 products
//     r[j] = bytes j of all channels                        // j = 0 .. 3: 12 shuffles
//     for each two of them:  low  = the lookups of 4 nibbles, added      // X's lower halves
//                            high = the same of X's upper halves
//                            sums += low + 16 high          // 16 bits, enough for 256 k's
//
//   sum w x = sum x - 2 sums

#include <sparq/base/config.hpp>

#if SPARQ_HAS_AVX2

#include <immintrin.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Of 32 k's: for each byte j of a word, for each of its nibbles, sums of lower halves, then of upper ones.
inline constexpr std::size_t sign_table_bytes = 256;

/// Shuffles of sixteen k's: what k = 4 i + j adds to the sums of sixteen nibbles, itself where bit i is set.
struct sign_table_controls {
  std::uint8_t bytes[4][4][16];  // [j][i]

  constexpr sign_table_controls() : bytes{} {
    for (unsigned j = 0; j < 4; ++j)
      for (unsigned i = 0; i < 4; ++i)
        for (unsigned nibble = 0; nibble < 16; ++nibble)
          bytes[j][i][nibble] = static_cast<std::uint8_t>((nibble >> i & 1) != 0 ? 4 * i + j : 0x80);
  }
};
inline constexpr sign_table_controls controls_of_sign_tables;

SPARQ_INLINE __m256i sixteen_bytes_twice(const std::uint8_t* p) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

/// Writes the tables of k elements of X, sign_table_bytes for every 32 begun, and returns their sum. A signed X gets its
/// top bit flipped first, which adds 128.
template <class Code>
SPARQ_APART std::int32_t make_sign_tables(const Code* x, std::size_t k, std::uint8_t* tables) noexcept {
  static_assert(sizeof(Code) == 1, "sparq: tables of signs are of bytes; unpack other activations first");
  const __m256i nibble = _mm256_set1_epi8(15);
  __m256i total = _mm256_setzero_si256();
  const auto make = [&](__m256i bytes) SPARQ_LAMBDA_INLINE {
    total = _mm256_add_epi64(total, _mm256_sad_epu8(bytes, _mm256_setzero_si256()));
    const __m256i low = _mm256_and_si256(bytes, nibble);
    const __m256i high = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), nibble);
    const __m256i halves[2] = {_mm256_permute2x128_si256(low, high, 0x20), _mm256_permute2x128_si256(low, high, 0x31)};
    SPARQ_UNROLL for (int j = 0; j < 4; ++j) {
      SPARQ_UNROLL for (int h = 0; h < 2; ++h) {  // k's 16 h + 4 i + j
        const auto of = [&](int i) SPARQ_LAMBDA_INLINE {
          return _mm256_shuffle_epi8(halves[h], sixteen_bytes_twice(controls_of_sign_tables.bytes[j][i]));
        };
        const __m256i sums = _mm256_add_epi8(_mm256_add_epi8(of(0), of(1)), _mm256_add_epi8(of(2), of(3)));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(tables), sums);
        tables += 32;
      }
    }
  };
  const __m256i flip = _mm256_set1_epi8(std::is_signed_v<Code> ? -128 : 0);
  for (; k >= 32; k -= 32, x += 32)
    make(_mm256_xor_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x)), flip));
  if (k != 0) {
    std::uint8_t rest[32] = {};
    for (std::size_t i = 0; i < k; ++i) rest[i] = static_cast<std::uint8_t>(x[i] ^ (std::is_signed_v<Code> ? -128 : 0));
    make(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(rest)));
  }
  std::int64_t lanes[4];
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes), total);
  return static_cast<std::int32_t>(lanes[0] + lanes[1] + lanes[2] + lanes[3]);
}

/// Adds those x whose weight is -1 to the sums of two strips, 32 channels.
/// - `low`, `high`: words of the strips, 16 for every 32 k's; `ahead`: words to those of the next strips
/// - `count`: of 32 k's each, at most 8: their sums are at most 8 * 32 * 255 and stay in 16 bits
SPARQ_INLINE void add_by_sign_tables(const std::uint8_t* tables, const std::uint32_t* low, const std::uint32_t* high,
                                     std::size_t count, std::size_t ahead, std::int32_t* sums) {
  const __m256i nibble = _mm256_set1_epi8(15), halves = _mm256_set1_epi16(0x1001);
  const __m256i bytes_of_words =
      _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
  const auto ask_ahead = [ahead](const std::uint32_t* words) SPARQ_LAMBDA_INLINE {
    _mm_prefetch(reinterpret_cast<const char*>(reinterpret_cast<std::uintptr_t>(words) + ahead * sizeof *words), _MM_HINT_T0);
  };
  const auto four_channels_each = [&](const std::uint32_t* words) SPARQ_LAMBDA_INLINE {
    return _mm256_shuffle_epi8(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(words)), bytes_of_words);
  };
  __m256i first = _mm256_setzero_si256(), second = _mm256_setzero_si256();
  // channels' bytes j and j + 1
  const auto add = [&](__m256i r0, __m256i r1, const std::uint8_t* table) SPARQ_LAMBDA_INLINE {
    const auto look_up = [table](std::size_t i, __m256i index) SPARQ_LAMBDA_INLINE {
      return _mm256_shuffle_epi8(sixteen_bytes_twice(table + 16 * i), index);
    };
    const __m256i i0 = _mm256_and_si256(r0, nibble), i1 = _mm256_and_si256(_mm256_srli_epi16(r0, 4), nibble);
    const __m256i i2 = _mm256_and_si256(r1, nibble), i3 = _mm256_and_si256(_mm256_srli_epi16(r1, 4), nibble);
    const __m256i lower = _mm256_add_epi8(_mm256_add_epi8(look_up(0, i0), look_up(2, i1)),
                                          _mm256_add_epi8(look_up(4, i2), look_up(6, i3)));
    const __m256i upper = _mm256_add_epi8(_mm256_add_epi8(look_up(1, i0), look_up(3, i1)),
                                          _mm256_add_epi8(look_up(5, i2), look_up(7, i3)));
    first = _mm256_add_epi16(first, _mm256_maddubs_epi16(_mm256_unpacklo_epi8(lower, upper), halves));
    second = _mm256_add_epi16(second, _mm256_maddubs_epi16(_mm256_unpackhi_epi8(lower, upper), halves));
  };
  SPARQ_KEEP_LOOP for (; count != 0; --count) {
    ask_ahead(low);
    ask_ahead(high);
    const __m256i a = four_channels_each(low), b = four_channels_each(low + 8);
    const __m256i c = four_channels_each(high), d = four_channels_each(high + 8);
    const __m256i ab = _mm256_unpacklo_epi32(a, b), cd = _mm256_unpacklo_epi32(c, d);
    add(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd), tables);
    const __m256i ab2 = _mm256_unpackhi_epi32(a, b), cd2 = _mm256_unpackhi_epi32(c, d);
    add(_mm256_unpacklo_epi64(ab2, cd2), _mm256_unpackhi_epi64(ab2, cd2), tables + sign_table_bytes / 2);
    tables += sign_table_bytes;
    low += 16;
    high += 16;
  }
  const auto add_to = [sums](int i, __m256i v) SPARQ_LAMBDA_INLINE {
    auto* to = reinterpret_cast<__m256i*>(sums) + i;
    _mm256_storeu_si256(to, _mm256_add_epi32(_mm256_loadu_si256(to), v));
  };
  const __m256i zero = _mm256_setzero_si256();
  add_to(0, _mm256_unpacklo_epi16(first, zero));
  add_to(1, _mm256_unpackhi_epi16(first, zero));
  add_to(2, _mm256_unpacklo_epi16(second, zero));
  add_to(3, _mm256_unpackhi_epi16(second, zero));
}

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2
