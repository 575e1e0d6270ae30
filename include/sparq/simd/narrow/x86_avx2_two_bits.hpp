// SPDX-License-Identifier: MIT
#pragma once
// One row of bytes times signed weights of 2 bits, without looking codes up. With its upper bit flipped a code is w +
// 2, 0 to 3, and a factor where it lies: once in place, once times 4, and after one shift by 4 again. Products with
// either have sums of 16 bits of their own, which hold five words.
//
//   for each 16 k's of 16 channels:                        // 256 products
//     u = words ^ 0xaa..                                    // byte j of a word: k's j, j + 4, j + 8, j + 12
//     ones  += (u & 3) x[0..3],        fours += (u & 12) x[4..7]
//     ones  += (u >> 4 & 3) x[8..11],  fours += (u >> 4 & 12) x[12..15]
//
//   sum w x = ones + fours / 4 - 2 sum x

#include <sparq/base/config.hpp>
#include <sparq/base/schedule.hpp>
#include <sparq/simd/copy.hpp>
#include <sparq/simd/x86_registers.hpp>

#if SPARQ_HAS_AVX2

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Words of a channel that sums of 16 bits hold: 10 pairs of products, of at most 2 * 255 * 12 each, stay below 2^16.
inline constexpr std::size_t two_bit_words = 5;

/// Bytes of a strip's words that are asked for ahead.
inline constexpr std::size_t two_bits_ahead = 2048;

/// Copies k codes of X, signed ones 128 greater, and zeros up to whole 16 k's. Returns their sum.
template <class Code>
std::int32_t copy_row_and_sum(const Code* x, std::size_t k, std::uint8_t* out) noexcept {
  const __m128i flip = _mm_set1_epi8(std::is_signed_v<Code> ? -128 : 0);
  __m128i total = _mm_setzero_si128();
  for (std::size_t i = 0; i < k; i += 16) {
    Code rest[16];
    const Code* from = x + i;
    if (k - i < 16) {
      std::memset(rest, std::is_signed_v<Code> ? -128 : 0, sizeof rest);
      std::memcpy(rest, from, k - i);
      from = rest;
    }
    const __m128i bytes = _mm_xor_si128(load_128(from), flip);
    store_128(out + i, bytes);
    total = _mm_add_epi64(total, _mm_sad_epu8(bytes, _mm_setzero_si128()));
  }
  return _mm_cvtsi128_si32(_mm_add_epi64(total, _mm_unpackhi_epi64(total, total)));
}

/// Adds (w + 2) x of up to two_bit_words words for each channel of a strip.
SPARQ_INLINE void add_two_bit_words(const std::uint8_t* x, const std::uint32_t* words, std::size_t count,
                                    std::int32_t* sums) noexcept {
  const __m256i flip = _mm256_set1_epi8(static_cast<char>(0xaa)), in_place = _mm256_set1_epi8(3),
                times_4 = _mm256_set1_epi8(12);
  __m256i ones[2], fours[2];
  SPARQ_UNROLL for (int j = 0; j < 2; ++j) ones[j] = fours[j] = _mm256_setzero_si256();
  const auto plus = [](__m256i sum, __m256i bytes, __m256i factors) SPARQ_LAMBDA_INLINE {
    sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(bytes, factors));
    SPARQ_KEEP_ORDER(sum);
    return sum;
  };
  SPARQ_KEEP_LOOP for (; count != 0; --count, x += 16, words += 16) {
    _mm_prefetch(reinterpret_cast<const char*>(reinterpret_cast<std::uintptr_t>(words) + two_bits_ahead), _MM_HINT_T0);
    __m256i xs[4];
    SPARQ_UNROLL for (int i = 0; i < 4; ++i) {
      xs[i] = _mm256_set1_epi32(load_as<std::int32_t>(x + 4 * i));
    }
    SPARQ_UNROLL for (int j = 0; j < 2; ++j) {
      const __m256i low = _mm256_xor_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(words) + j), flip);
      const __m256i high = _mm256_srli_epi16(low, 4);
      ones[j] = plus(ones[j], xs[0], _mm256_and_si256(low, in_place));
      fours[j] = plus(fours[j], xs[1], _mm256_and_si256(low, times_4));
      ones[j] = plus(ones[j], xs[2], _mm256_and_si256(high, in_place));
      fours[j] = plus(fours[j], xs[3], _mm256_and_si256(high, times_4));
    }
  }
  SPARQ_UNROLL for (int j = 0; j < 2; ++j) {  // together below 2^15
    const __m256i sum = _mm256_add_epi16(ones[j], _mm256_srli_epi16(fours[j], 2));
    add_eight(sums + 8 * j, _mm256_madd_epi16(sum, _mm256_set1_epi16(1)));
  }
}

/// Adds (w + 2) x to the sums of two strips, 32 channels, whose words are read in turns: two streams of memory.
/// - `low`, `high`: words of the strips, 16 for every 16 k's, `count` of those
SPARQ_APART inline void add_two_bits(const std::uint8_t* x, const std::uint32_t* low, const std::uint32_t* high,
                                     std::size_t count, std::int32_t* sums) noexcept {
  SPARQ_ALIGN_FRAME;
  SPARQ_KEEP_LOOP while (count != 0) {
    const std::size_t part = (std::min)(count, two_bit_words);
    add_two_bit_words(x, low, part, sums);
    add_two_bit_words(x, high, part, sums + 16);
    x += 16 * part, low += 16 * part, high += 16 * part, count -= part;
  }
}

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2
