// SPDX-License-Identifier: MIT
#pragma once
// Lookups in tables of at most sixteen entries by vpshufb, for kernel/loop/look_up.hpp: the tables of two channels lie
// in one register, and codes come sixteen for each of them.

#include <sparq/base/config.hpp>
#include <sparq/numeric/codebook.hpp>
#include <sparq/simd/copy.hpp>
#include <sparq/simd/x86_registers.hpp>

#if SPARQ_HAS_AVX2

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// The tables of two channels, one in each half of a register: byte j of every entry in plane j, for vpshufb.
template <class N>
class table_pair {
 public:
  using entry = typename N::entry::code;
  static constexpr std::size_t planes = sizeof(entry);

  table_pair(const entry* low, const entry* high) {
    __m128i of_low[planes], of_high[planes];
    split(low, of_low);
    split(high, of_high);
    for (std::size_t j = 0; j < planes; ++j) plane_[j] = _mm256_set_m128i(of_high[j], of_low[j]);
  }
  /// One channel's, in both halves.
  explicit table_pair(const entry* both) {
    __m128i of_both[planes];
    split(both, of_both);
    for (std::size_t j = 0; j < planes; ++j) plane_[j] = _mm256_broadcastsi128_si256(of_both[j]);
  }

  /// Entries of sixteen codes for each half, four bytes of them in words[0], the next in words[1], ...
  SPARQ_INLINE void look_up(__m256i codes, __m256i (&words)[planes]) const {
    if constexpr (planes == 1) {
      words[0] = _mm256_shuffle_epi8(plane_[0], codes);
    } else {
      const __m256i a = _mm256_shuffle_epi8(plane_[0], codes), b = _mm256_shuffle_epi8(plane_[1], codes);
      const __m256i c = _mm256_shuffle_epi8(plane_[2], codes), d = _mm256_shuffle_epi8(plane_[3], codes);
      const __m256i ab[2] = {_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b)};
      const __m256i cd[2] = {_mm256_unpacklo_epi8(c, d), _mm256_unpackhi_epi8(c, d)};
      SPARQ_UNROLL for (std::size_t i = 0; i < 2; ++i) {
        words[2 * i] = _mm256_unpacklo_epi16(ab[i], cd[i]);
        words[2 * i + 1] = _mm256_unpackhi_epi16(ab[i], cd[i]);
      }
    }
  }

 private:
  static void split(const entry* table, __m128i (&out)[planes]) {
    static_assert(planes == 1 || planes == 4, "sparq: entries of a codebook are bytes or floats");
    alignas(16) entry entries[16] = {};
    std::memcpy(entries, table, N::entries * sizeof(entry));
    const auto* from = reinterpret_cast<const __m128i*>(entries);
    if constexpr (planes == 1) {
      out[0] = _mm_load_si128(from);
    } else {
      const __m128i by_byte = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
      __m128i w[4];
      SPARQ_UNROLL for (std::size_t i = 0; i < 4; ++i) w[i] = _mm_shuffle_epi8(_mm_load_si128(from + i), by_byte);
      const __m128i a = _mm_unpacklo_epi32(w[0], w[1]), b = _mm_unpackhi_epi32(w[0], w[1]);
      const __m128i c = _mm_unpacklo_epi32(w[2], w[3]), d = _mm_unpackhi_epi32(w[2], w[3]);
      out[0] = _mm_unpacklo_epi64(a, c);
      out[1] = _mm_unpackhi_epi64(a, c);
      out[2] = _mm_unpacklo_epi64(b, d);
      out[3] = _mm_unpackhi_epi64(b, d);
    }
  }

  __m256i plane_[planes];
};

/// A chunk of 32 codes from each of two rows: sixteen of each in the low bits of bytes, the others four bits above.
/// - `Bits`: of a packed code, 2 or 4
template <int Bits>
SPARQ_INLINE __m256i codes_of_two_rows(const std::uint8_t* low, const std::uint8_t* high) {
  if constexpr (Bits == 4) return load_halves(low, high);
  const auto a = load_as<long long>(low), b = load_as<long long>(high);
  return _mm256_srlv_epi64(_mm256_setr_epi64x(a, a, b, b), _mm256_setr_epi64x(0, 2, 0, 2));
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

/// Eight channels of a strip, each with a table and a row of codes in chunks of 32.
/// - `Bits`: of a packed code, 2 or 4
template <class N, int Bits>
class eight_tables {
  using pair = table_pair<N>;

 public:
  /// Groups of the rows loop, four bytes of each channel, in a chunk of codes.
  static constexpr std::size_t chunk_groups = 8 * pair::planes;

  eight_tables(const typename N::entry::code* const (&tables)[8], const std::uint8_t* const (&rows)[8])
      : pairs_{pair(tables[0], tables[4]), pair(tables[1], tables[5]), pair(tables[2], tables[6]),
               pair(tables[3], tables[7])} {
    for (std::size_t i = 0; i < 8; ++i) rows_[i] = rows[i];
  }

  /// The words of groups [g, g + chunk_groups), as far as there are so many, to out[group * stride].
  /// @pre g % chunk_groups == 0
  SPARQ_INLINE void look_up_chunk(std::size_t g, std::size_t groups, std::size_t stride, std::uint32_t* out) const {
    const std::size_t at = g / chunk_groups * 4 * Bits;
    const __m256i of_code = _mm256_set1_epi8(static_cast<char>(N::entries - 1));
    __m256i codes[4];
    SPARQ_UNROLL for (std::size_t i = 0; i < 4; ++i)
      codes[i] = codes_of_two_rows<Bits>(rows_[i] + at, rows_[i + 4] + at);
    const auto look_up_part = [&](std::size_t part) SPARQ_LAMBDA_INLINE {
      __m256i words[4][pair::planes];
      SPARQ_UNROLL for (std::size_t i = 0; i < 4; ++i) {
        pairs_[i].look_up(_mm256_and_si256(codes[i], of_code), words[i]);
        codes[i] = _mm256_srli_epi16(codes[i], 4);
      }
      std::size_t first = g + part * chunk_groups / 2;
      SPARQ_UNROLL for (std::size_t j = 0; j < pair::planes; ++j, first += 4) {
        const __m256i four[4] = {words[0][j], words[1][j], words[2][j], words[3][j]};
        __m256i of_eight[4];
        transpose_words(four, of_eight);
        std::uint32_t* to = out + first * stride;
        if (first + 4 <= groups) {
          SPARQ_UNROLL for (std::size_t i = 0; i < 4; ++i, to += stride) store_256(to, of_eight[i]);
        } else {
          for (std::size_t i = 0; i < 4 && first + i < groups; ++i, to += stride) store_256(to, of_eight[i]);
        }
      }
    };
    if constexpr (pair::planes == 1) {
      look_up_part(0);
      look_up_part(1);
    } else {  // clang spills what both parts have alive
      SPARQ_KEEP_LOOP for (std::size_t part = 0; part < 2; ++part) look_up_part(part);
    }
  }

 private:
  pair pairs_[4];
  const std::uint8_t* rows_[8];
};

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2
