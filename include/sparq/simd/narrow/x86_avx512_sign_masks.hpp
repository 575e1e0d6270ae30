// SPDX-License-Identifier: MIT
#pragma once
// One row of bytes times weights of -1 and 1 on AVX-512 VNNI, without decoding: sum w x = sum x - 2 (sum of those x
// whose weight is -1), and a bit of W is a factor as it lies in its byte. Bits 0 to 3 of all bytes make factors 1, 2, 4
// and 8, each with sums of its own, which are divided by them at the end; bits 4 to 7 follow after one shift.
//
//   for each 32 k's:  for each strip:
//     w = words                                      // byte j of a word: k's j, j + 4, ... of one channel
//     for each half of the bits:  for each factor f:  sums[f] += (w & f) * x

#include <sparq/base/config.hpp>
#include <sparq/base/schedule.hpp>
#include <sparq/simd/copy.hpp>

#if SPARQ_HAS_AVX512VNNI

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// k's up to which sums times 8 stay below 2^32.
inline constexpr std::size_t sign_mask_k = std::size_t{1} << 22;

/// Copies k codes of X, signed ones 128 greater, and zeros up to whole 64 k's. Returns their sum.
template <class X>
std::int32_t copy_and_sum(const X* x, std::size_t k, std::uint8_t* out) noexcept {
  const __m512i top = _mm512_set1_epi8(static_cast<X>(-1) < 0 ? static_cast<char>(0x80) : char{0});
  const __m512i ones = _mm512_set1_epi8(1);
  __m512i sums = _mm512_setzero_si512();
  for (std::size_t i = 0; i < k; i += 64) {
    if (k - i >= 64) {
      _mm512_storeu_si512(out + i, _mm512_xor_si512(_mm512_loadu_si512(x + i), top));
    } else {
      std::memset(out + i, 0, 64);
      for (std::size_t j = i; j < k; ++j)
        out[j] = static_cast<std::uint8_t>(x[j] ^ (static_cast<X>(-1) < 0 ? 0x80 : 0));
    }
    sums = _mm512_dpbusd_epi32(sums, _mm512_loadu_si512(out + i), ones);
  }
  std::uint32_t lanes[16], total = 0;
  _mm512_storeu_si512(lanes, sums);
  for (const std::uint32_t lane : lanes) total += lane;
  return static_cast<std::int32_t>(total);
}

/// Sums of those x whose bit is set, for S strips of 16 channels.
/// - `words`: of each strip, `count` times 32 k's; `ahead`: words from one block of strips to the next,
///   which is asked for
/// - `sums`: S * 16, overwritten. @pre count <= sign_mask_k / 32
template <std::size_t S>
SPARQ_APART void add_by_sign_masks(const std::uint8_t* x, std::array<const std::uint32_t*, S> words, std::size_t count,
                                   std::size_t ahead, std::int32_t* sums) noexcept {
  SPARQ_ALIGN_FRAME;
  __m512i acc[S][4];
  SPARQ_UNROLL for (std::size_t s = 0; s < S; ++s) {
    SPARQ_UNROLL for (std::size_t f = 0; f < 4; ++f) acc[s][f] = _mm512_setzero_si512();
  }
  SPARQ_KEEP_LOOP for (std::size_t i = 0; i < count; ++i, x += 32) {
    __m512i w[S];
    SPARQ_UNROLL for (std::size_t s = 0; s < S; ++s) {
      w[s] = _mm512_loadu_si512(words[s] + 16 * i);
      _mm_prefetch(reinterpret_cast<const char*>(reinterpret_cast<std::uintptr_t>(words[s]) +
                                                 (16 * i + ahead) * sizeof *words[s]),
                   _MM_HINT_T0);
    }
    SPARQ_UNROLL for (unsigned half = 0; half < 2; ++half) {
      SPARQ_UNROLL for (unsigned f = 0; f < 4; ++f) {
        const __m512i xs = _mm512_set1_epi32(load_as<std::int32_t>(x + 16 * half + 4 * f));
        const __m512i factor = _mm512_set1_epi8(static_cast<char>(1 << f));
        SPARQ_UNROLL for (std::size_t s = 0; s < S; ++s) {
          acc[s][f] = _mm512_dpbusd_epi32(acc[s][f], xs, _mm512_and_si512(w[s], factor));
          SPARQ_KEEP_ORDER(acc[s][f]);
        }
      }
      SPARQ_UNROLL for (std::size_t s = 0; s < S; ++s) w[s] = _mm512_srli_epi16(w[s], 4);
    }
  }
  SPARQ_UNROLL for (std::size_t s = 0; s < S; ++s) {
    __m512i total = acc[s][0];
    SPARQ_UNROLL for (unsigned f = 1; f < 4; ++f) total = _mm512_add_epi32(total, _mm512_srli_epi32(acc[s][f], f));
    _mm512_storeu_si512(sums + 16 * s, total);
  }
}

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX512VNNI
