// SPDX-License-Identifier: MIT
#pragma once
// One row of bytes times weights of 4, 2 or 1 bits on AVX-512 VNNI, without decoding: masked, a code is a factor where
// it lies in its byte, times a power of two that has sums of its own, which are divided by it at the end.
//
//   for each word of k's:  for each strip:  for each field f of a byte:     // byte j: k's j, j + 4, ... of one channel
//     sums[f] += (w & mask of f) * x[4 f..]
//
// The uppermost field is signed as the instruction reads bytes; in fields below it, signed codes get their upper bit
// flipped, which adds half of their range, unsigned ones in the uppermost field lose it. The sum of the x's that meet
// such fields makes up for that. Bits of `binary` are added where they are set, those of four fields, then of the
// other four after one shift: sum w x = sum x - 2 (sum of those x whose weight is -1).

#include <sparq/base/config.hpp>
#include <sparq/base/schedule.hpp>
#include <sparq/numeric/numeric.hpp>
#include <sparq/simd/copy.hpp>
#include <sparq/simd/strips_ahead.hpp>

#if SPARQ_HAS_AVX512VNNI

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// How codes of N lie in a byte.
template <integer_numeric N>
struct codes_in_place {
  static constexpr std::size_t bits = static_cast<std::size_t>(N::bits), fields = bits == 1 ? 4 : 8 / bits;
  static constexpr std::size_t word_k = 32 / bits;
  /// k's up to which sums of the uppermost field, of bytes times 128, stay below 2^31.
  static constexpr std::size_t most_k = std::size_t{1} << 17;
  static constexpr unsigned mask(std::size_t field) { return ((1U << bits) - 1) << (bits * field); }
  /// The bits of a byte that are flipped.
  static constexpr unsigned flipped = [] {
    if (bits == 1) return 0U;
    unsigned all = 0;
    for (std::size_t f = 0; f < fields; ++f)
      if ((f + 1 < fields) == N::is_signed) all |= 1U << (bits * f + bits - 1);
    return all;
  }();
  /// What flipping adds to the code of a field.
  static constexpr int added(std::size_t field) {
    if (bits == 1) return 1;  // all x's count
    const int half = 1 << (bits - 1);
    return field + 1 < fields ? (N::is_signed ? half : 0) : (N::is_signed ? 0 : -half);
  }
};

/// Copies k codes of X, signed ones 128 greater, and zeros up to whole 64 k's. Returns the sum of x times what flipping
/// adds to its weight.
template <integer_numeric N, class X>
std::int32_t copy_for_codes(const X* x, std::size_t k, std::uint8_t* out) noexcept {
  using codes = codes_in_place<N>;
  const __m512i top = _mm512_set1_epi8(std::is_signed_v<X> ? static_cast<char>(0x80) : char{0});
  alignas(64) std::int8_t added[64];
  for (std::size_t i = 0; i < 64; ++i) added[i] = static_cast<std::int8_t>(codes::added(i / 4 % codes::fields));
  const __m512i factors = _mm512_loadu_si512(added);
  __m512i sums = _mm512_setzero_si512();
  for (std::size_t i = 0; i < k; i += 64) {
    if (k - i >= 64) {
      _mm512_storeu_si512(out + i, _mm512_xor_si512(_mm512_loadu_si512(x + i), top));
    } else {
      std::memset(out + i, 0, 64);
      for (std::size_t j = i; j < k; ++j) out[j] = static_cast<std::uint8_t>(x[j] ^ (std::is_signed_v<X> ? 0x80 : 0));
    }
    sums = _mm512_dpbusd_epi32(sums, _mm512_loadu_si512(out + i), factors);
  }
  std::uint32_t lanes[16], total = 0;
  _mm512_storeu_si512(lanes, sums);
  for (const std::uint32_t lane : lanes) total += lane;
  return static_cast<std::int32_t>(total);
}

/// Sums of x times the codes of N as they lie, for S strips of 16 channels that follow each other.
/// - `words`: of the first strip, `count` times 16; `sums`: S * 16, overwritten
/// @pre count * word_k < most_k + word_k
template <integer_numeric N, std::size_t S>
SPARQ_APART void add_codes_in_place(const std::uint8_t* x, const std::uint32_t* words, std::size_t count,
                                    std::int32_t* sums) noexcept {
  SPARQ_ALIGN_FRAME;
  using codes = codes_in_place<N>;
  constexpr std::size_t fields = codes::fields, turns = codes::word_k / 4 / fields;
  [[maybe_unused]] const __m512i flip = _mm512_set1_epi8(static_cast<char>(codes::flipped));
  __m512i acc[S][fields];
  SPARQ_UNROLL for (std::size_t s = 0; s < S; ++s) {
    SPARQ_UNROLL for (std::size_t f = 0; f < fields; ++f) acc[s][f] = _mm512_setzero_si512();
  }
  const std::uint32_t* strips[S];
  SPARQ_UNROLL for (std::size_t s = 0; s < S; ++s) strips[s] = words + s * count * 16;
  SPARQ_KEEP_LOOP for (std::size_t i = 0; i < count; ++i, x += codes::word_k) {
    const std::size_t ahead = 16 * (i + strip_lines_ahead(S, i, count));
    __m512i w[S];
    SPARQ_UNROLL for (std::size_t s = 0; s < S; ++s) {
      w[s] = _mm512_loadu_si512(strips[s] + 16 * i);
      if constexpr (codes::flipped != 0) w[s] = _mm512_xor_si512(w[s], flip);
      fetch_ahead(strips[s], ahead);
    }
    SPARQ_UNROLL for (std::size_t turn = 0; turn < turns; ++turn) {
      SPARQ_UNROLL for (std::size_t f = 0; f < fields; ++f) {
        const __m512i xs = _mm512_set1_epi32(load_as<std::int32_t>(x + 4 * (turn * fields + f)));
        const __m512i mask = _mm512_set1_epi8(static_cast<char>(codes::mask(f)));
        SPARQ_UNROLL for (std::size_t s = 0; s < S; ++s) {
          acc[s][f] = _mm512_dpbusd_epi32(acc[s][f], xs, _mm512_and_si512(w[s], mask));
          SPARQ_KEEP_ORDER(acc[s][f]);
        }
      }
      if constexpr (turns > 1) {
        SPARQ_UNROLL for (std::size_t s = 0; s < S; ++s) w[s] = _mm512_srli_epi16(w[s], 4);
      }
    }
  }
  SPARQ_UNROLL for (std::size_t s = 0; s < S; ++s) {
    __m512i total = acc[s][0];
    SPARQ_UNROLL for (unsigned f = 1; f < fields; ++f)
      total = _mm512_add_epi32(total, _mm512_srai_epi32(acc[s][f], codes::bits * f));
    _mm512_storeu_si512(sums + 16 * s, total);
  }
}

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX512VNNI
