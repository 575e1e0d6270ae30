// SPDX-License-Identifier: MIT
#pragma once
// One row of bytes times weights of -1 and 1, looked up: for every 4 k's a register of sixteen bytes holds the sums of
// those x whose weight is -1, for each nibble of W's bits. Sums have ten bits; their lower and their upper five are
// looked up apart, so that those of 32 k's still fit into a byte. Words of panel_shape<16, 4> are read as they are
// packed: byte j of a channel's word has the bits of k = 4 i + j, and 32 channels' bytes j are brought together first.
//
//   for each 32 k's of 32 channels:                        // 1024 products
//     r[j] = bytes j of all channels                        // j = 0 .. 3: 4 blends of loads, 4 shifts, 4 blends
//     low  = the lookups of 8 nibbles, added                // lower halves of sums
//     high = the same of upper halves
//     all  += low, high as 16-bit lanes, odd += their odd bytes    // the even ones are all - 256 odd, modulo 2^16
//
//   sum w x = sum x - 2 (low + 32 high)

#include <sparq/base/config.hpp>
#include <sparq/simd/x86_registers.hpp>

#if SPARQ_HAS_AVX2

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Of 32 k's: for each byte j of a word, for each of its nibbles, lower halves of sums, then upper ones.
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

/// Writes the tables of k elements of X, sign_table_bytes for every 32 begun, and returns their sum. A signed X gets
/// its top bit flipped first, which adds 128.
template <class Code>
SPARQ_APART std::int32_t make_sign_tables(const Code* x, std::size_t k, std::uint8_t* tables) noexcept {
  static_assert(sizeof(Code) == 1, "sparq: tables of signs are of bytes; unpack other activations first");
  const __m256i nibble = _mm256_set1_epi8(15), one = _mm256_set1_epi8(1);
  __m256i total = _mm256_setzero_si256();
  const auto make = [&](__m256i bytes) SPARQ_LAMBDA_INLINE {
    total = _mm256_add_epi64(total, _mm256_sad_epu8(bytes, _mm256_setzero_si256()));
    const __m256i low = _mm256_and_si256(bytes, nibble);
    const __m256i high = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), nibble);
    const __m256i halves[2] = {_mm256_permute2x128_si256(low, high, 0x20), _mm256_permute2x128_si256(low, high, 0x31)};
    SPARQ_UNROLL for (int j = 0; j < 4; ++j) {
      SPARQ_UNROLL for (int h = 0; h < 2; ++h) {  // k's 16 h + 4 i + j
        const auto of = [&](int i) SPARQ_LAMBDA_INLINE {
          return _mm256_shuffle_epi8(halves[h], load_128_twice(controls_of_sign_tables.bytes[j][i]));
        };
        const __m256i sums = _mm256_add_epi8(_mm256_add_epi8(of(0), of(1)), _mm256_add_epi8(of(2), of(3)));
        const __m256i sixteens = _mm256_permute2x128_si256(sums, sums, 0x11);  // of upper halves of X, at most 60
        const __m256i above = _mm256_add_epi8(sixteens, _mm256_and_si256(_mm256_srli_epi16(sums, 4), nibble));
        const __m256i low5 =
            _mm256_or_si256(_mm256_and_si256(sums, nibble), _mm256_slli_epi16(_mm256_and_si256(above, one), 4));
        const __m256i high5 = _mm256_and_si256(_mm256_srli_epi16(above, 1), _mm256_set1_epi8(31));
        store_256(tables, _mm256_permute2x128_si256(low5, high5, 0x20));
        tables += 32;
      }
    }
  };
  const __m256i flip = _mm256_set1_epi8(std::is_signed_v<Code> ? -128 : 0);
  for (; k >= 32; k -= 32, x += 32)
    make(_mm256_xor_si256(load_256(x), flip));
  if (k != 0) {
    std::uint8_t rest[32] = {};
    for (std::size_t i = 0; i < k; ++i) rest[i] = static_cast<std::uint8_t>(x[i] ^ (std::is_signed_v<Code> ? -128 : 0));
    make(load_256(rest));
  }
  std::int64_t lanes[4];
  store_256(lanes, total);
  return static_cast<std::int32_t>(lanes[0] + lanes[1] + lanes[2] + lanes[3]);
}

/// Halves of 16 channels' words, bytes j and j + 1 of channel i beside those of channel i + 8. j is 0 or 2.
SPARQ_INLINE __m256i channel_halves(const std::uint32_t* words, int j) {
  const auto at = [bytes = reinterpret_cast<const char*>(words)](int offset) SPARQ_LAMBDA_INLINE {
    return load_256(bytes + offset);
  };
  return _mm256_blend_epi16(at(j), at(32 - 2 + j), 0xaa);
}

/// Of 32 k's each, that sums of halves hold in 16 bits.
inline constexpr std::size_t sign_table_steps = 65535 / (8 * 31);

/// Bytes of a strip's words that are asked for ahead. They are used once: _MM_HINT_T0 is up to 8 % slower.
inline constexpr std::size_t sign_words_ahead = 2048;

/// Adds those x whose weight is -1 to the sums of two strips, 32 channels.
/// - `low`, `high`: words of the strips, 16 for every 32 k's
/// - `count`: of 32 k's each, at most sign_table_steps
SPARQ_APART inline void add_by_sign_tables(const std::uint8_t* tables, const std::uint32_t* low,
                                           const std::uint32_t* high, std::size_t count, std::int32_t* sums) noexcept {
  const __m256i nibble = _mm256_set1_epi8(15), odd_bytes = _mm256_set1_epi16(static_cast<short>(0xff00));
  const __m256i take_odd = _mm256_set1_epi16(0x0100);
  const auto ask_ahead = [](const std::uint32_t* words) SPARQ_LAMBDA_INLINE {
    _mm_prefetch(reinterpret_cast<const char*>(reinterpret_cast<std::uintptr_t>(words) + sign_words_ahead),
                 _MM_HINT_NTA);
  };
  __m256i all_low = _mm256_setzero_si256(), all_high = all_low, odd_low = all_low, odd_high = all_low;
  SPARQ_KEEP_LOOP for (; count != 0; --count) {
    ask_ahead(low);
    ask_ahead(high);
    __m256i sum_low = _mm256_setzero_si256(), sum_high = _mm256_setzero_si256();
    const auto look_up = [&](const std::uint8_t* table, __m256i index) SPARQ_LAMBDA_INLINE {
      sum_low = _mm256_add_epi8(sum_low, _mm256_shuffle_epi8(load_128_twice(table), index));
      sum_high = _mm256_add_epi8(sum_high, _mm256_shuffle_epi8(load_128_twice(table + 16), index));
    };
    SPARQ_UNROLL for (int j = 0; j < 4; j += 2) {
      // bytes j and j + 1 of 16 channels each; a load 2 bytes off shifts words by 16 bits
      const __m256i p = channel_halves(low, j), q = channel_halves(high, j);
      const __m256i r0 = _mm256_blendv_epi8(p, _mm256_slli_epi16(q, 8), odd_bytes);
      const __m256i r1 = _mm256_blendv_epi8(_mm256_srli_epi16(p, 8), q, odd_bytes);
      const std::uint8_t* table = tables + j * 64;
      look_up(table, _mm256_and_si256(r0, nibble));
      look_up(table + 32, _mm256_and_si256(_mm256_srli_epi16(r0, 4), nibble));
      look_up(table + 64, _mm256_and_si256(r1, nibble));
      look_up(table + 96, _mm256_and_si256(_mm256_srli_epi16(r1, 4), nibble));
    }
    all_low = _mm256_add_epi16(all_low, sum_low);
    all_high = _mm256_add_epi16(all_high, sum_high);
    odd_low = _mm256_add_epi16(odd_low, _mm256_maddubs_epi16(sum_low, take_odd));
    odd_high = _mm256_add_epi16(odd_high, _mm256_maddubs_epi16(sum_high, take_odd));
    tables += sign_table_bytes;
    low += 16;
    high += 16;
  }
  const auto add_to = [sums](int i, __m256i of_low, __m256i of_high) SPARQ_LAMBDA_INLINE {
    add_eight(sums + 8 * i, _mm256_add_epi32(of_low, _mm256_slli_epi32(of_high, 5)));
  };
  const auto add_pair = [&](int i, __m256i of_low, __m256i of_high) SPARQ_LAMBDA_INLINE {
    const __m256i lower = _mm256_set1_epi32(0xffff);
    add_to(i, _mm256_and_si256(of_low, lower), _mm256_and_si256(of_high, lower));
    add_to(i + 1, _mm256_srli_epi32(of_low, 16), _mm256_srli_epi32(of_high, 16));
  };
  add_pair(0, _mm256_sub_epi16(all_low, _mm256_slli_epi16(odd_low, 8)),
           _mm256_sub_epi16(all_high, _mm256_slli_epi16(odd_high, 8)));
  add_pair(2, odd_low, odd_high);
}

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2
