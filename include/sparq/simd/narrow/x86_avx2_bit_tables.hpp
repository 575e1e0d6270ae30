// SPDX-License-Identifier: MIT
#pragma once
// Bits counted by tables of X: for every 4 k's of two rows of X a register of sixteen bytes says what each nibble of W
// adds to the sums of both, the first row's count in the low four bits, the second row's above. One vpshufb looks up 4
// k's of two rows and 32 channels, and one addition sums them; the two counts part when three lookups are added.
//
//   for each field:                                            // as many lookups as four bits can count
//     for each pair of rows:  v = lookup + lookup + lookup     // bytes: low + 16 high, both at most 12
//                             all += v  (64 bits)              high += v >> 4 & 15
//   row 0: all - (high << 4), where no byte borrows            row 1: high
//
// With x = 1 - 2 b, where b is the bit of x, the counts of 4 k's are
//
//   binary    count(p0 ^ b)                                                sum w x = K       - 2 counts
//   ternary   count(1 & b), count(-1 & ~b): a lookup each                  sum w x = sum |w| - 2 counts
//   s2        count(p0 & b), 8 - 2 count(p1 & b)                           sum w x = sum w   - 2 (counts - 8 each)
//   u2        count(p0 & b), 2 count(p1 & b)                               sum w x = sum w   - 2 counts

#include <sparq/base/schedule.hpp>
#include <sparq/simd/bits.hpp>
#include <sparq/simd/rows/popcount.hpp>
#include <sparq/simd/x86_registers.hpp>

#if SPARQ_HAS_AVX2

#include <bit>
#include <cstddef>
#include <cstdint>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// What one lookup counts, and how many of them a field of four bits holds.
template <integer_numeric W>
struct bit_counts {
  static constexpr std::size_t planes = static_cast<std::size_t>(W::bits);
  static constexpr bool is_sign = planes == 2 && is_sign_v<W>;
  static constexpr std::size_t field_lookups = planes == 1 || is_sign ? 3 : 2;
  static constexpr std::int32_t offset = planes == 2 && !is_sign && W::is_signed ? 8 : 0;  // of 4 k's
  /// Fields whose counts, of up to 12, fit into a byte.
  static constexpr std::size_t part_fields = 21;
  /// Of 32 k's.
  static constexpr std::size_t word_lookups = 8 * planes;
};

/// A table for every two nibbles of X, that of the first row in the low four bits of the index, and every plane.
template <integer_numeric W>
struct bit_tables {
  std::uint8_t entries[bit_counts<W>::planes][256][16];

  constexpr bit_tables() : entries{} {
    for (unsigned plane = 0; plane < bit_counts<W>::planes; ++plane)
      for (unsigned x = 0; x < 256; ++x)
        for (unsigned w = 0; w < 16; ++w)
          entries[plane][x][w] = static_cast<std::uint8_t>(count(plane, x & 15, w) | count(plane, x >> 4, w) << 4);
  }

 private:
  static constexpr int count(unsigned plane, unsigned x, unsigned w) {
    using counts = bit_counts<W>;
    if (counts::planes == 1) return std::popcount(w ^ x);
    if (plane == 0) return std::popcount(w & x);
    if (counts::is_sign) return std::popcount(w & ~x);
    return counts::offset + (W::is_signed ? -2 : 2) * std::popcount(w & x);
  }
};
template <integer_numeric W>
alignas(64) inline constexpr bit_tables<W> bit_tables_of{};

/// The tables of P pairs of rows, 16 bytes for each 4 k's, plane and pair, in this order.
/// - `rows`: 2 P of them, `stride` apart, `bytes` long
template <integer_numeric W, std::size_t P>
void make_bit_tables(const eight_bits* rows, std::size_t stride, std::size_t bytes, std::uint8_t* out) noexcept {
  for (std::size_t i = 0; i < bytes; ++i) {
    unsigned x[2][P];
    SPARQ_UNROLL for (std::size_t p = 0; p < P; ++p) {
      const auto a = static_cast<unsigned>(rows[2 * p * stride + i]),
                 b = static_cast<unsigned>(rows[(2 * p + 1) * stride + i]);
      x[0][p] = (a & 15) | (b & 15) << 4;
      x[1][p] = a >> 4 | (b & 0xf0);
    }
    SPARQ_UNROLL for (std::size_t half = 0; half < 2; ++half) {
      SPARQ_UNROLL for (std::size_t plane = 0; plane < bit_counts<W>::planes; ++plane) {
        SPARQ_UNROLL for (std::size_t p = 0; p < P; ++p, out += 16) {
          const std::uint8_t* entries = bit_tables_of<W>.entries[plane][x[half][p]];
          _mm_store_si128(reinterpret_cast<__m128i*>(out), _mm_load_si128(reinterpret_cast<const __m128i*>(entries)));
        }
      }
    }
  }
}

/// One word of 32 channels as nibbles: 32 bytes for each 4 k's and plane.
/// Bytes lie as count_by_tables takes them apart:
/// channels 0-7, 16-23, 8-15, 24-31.
/// - `low`, `high`: the words of channels 0-15 and 16-31, their planes one behind the other
template <integer_numeric W>
SPARQ_INLINE void split_bit_word(const std::uint32_t* low, const std::uint32_t* high, std::uint8_t* out) {
  constexpr std::size_t planes = bit_counts<W>::planes;
  const __m256i by_byte =
      _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
  const __m256i mask = _mm256_set1_epi8(15);
  __m256i words[planes][4];
  SPARQ_UNROLL for (std::size_t q = 0; q < planes; ++q) {
    const std::uint32_t *from = low + q * plane_words, *rest = high + q * plane_words;
    words[q][0] = load_halves(from, from + 8);
    words[q][1] = load_halves(from + 4, from + 12);
    words[q][2] = load_halves(rest, rest + 8);
    words[q][3] = load_halves(rest + 4, rest + 12);
  }
  if constexpr (bit_counts<W>::is_sign) {
    SPARQ_UNROLL for (std::size_t i = 0; i < 4; ++i) {  // "not zero", "negative" become 1 and -1
      const __m256i some = words[0][i], negative = words[1][i];
      words[0][i] = _mm256_andnot_si256(negative, some);
      words[1][i] = _mm256_and_si256(negative, some);
    }
  }
  SPARQ_UNROLL for (std::size_t q = 0; q < planes; ++q) {
    __m256i w[4];
    SPARQ_UNROLL for (std::size_t i = 0; i < 4; ++i) w[i] = _mm256_shuffle_epi8(words[q][i], by_byte);
    const __m256i a = _mm256_unpacklo_epi32(w[0], w[1]), b = _mm256_unpackhi_epi32(w[0], w[1]);
    const __m256i c = _mm256_unpacklo_epi32(w[2], w[3]), d = _mm256_unpackhi_epi32(w[2], w[3]);
    const __m256i bytes[4] = {_mm256_unpacklo_epi64(a, c), _mm256_unpackhi_epi64(a, c), _mm256_unpacklo_epi64(b, d),
                              _mm256_unpackhi_epi64(b, d)};
    SPARQ_UNROLL for (std::size_t i = 0; i < 4; ++i) {
      std::uint8_t* to = out + (2 * i * planes + q) * 32;
      store_256(to, _mm256_and_si256(bytes[i], mask));
      store_256(to + 32 * planes, _mm256_and_si256(_mm256_srli_epi16(bytes[i], 4), mask));
    }
  }
}

/// a += b, in the register that a is in: gcc adds elsewhere and moves.
SPARQ_INLINE void add_bytes_in_place(__m256i& a, __m256i b) {
#if defined(__GNUC__)
  __asm__("vpaddb %1, %0, %0" : "+x"(a) : "x"(b));
#else
  a = _mm256_add_epi8(a, b);
#endif
}

/// Counts of 2 P rows and 32 channels, in 16 bits.
/// - `tables`: of P pairs for each lookup
/// - `fields`: at most bit_counts::part_fields
/// - `sums`: 2 P rows, `ldt` apart; set, or added to unless `first`
template <std::size_t FieldLookups, std::size_t P>
void count_by_tables(const std::uint8_t* tables, const std::uint8_t* nibbles, std::size_t fields, bool first,
                     std::uint16_t* sums, std::size_t ldt) noexcept {
  const __m256i mask = _mm256_set1_epi8(15);
  __m256i all[P], high[P];
  SPARQ_UNROLL for (std::size_t p = 0; p < P; ++p) all[p] = high[p] = _mm256_setzero_si256();
  SPARQ_KEEP_LOOP for (std::size_t f = 0; f < fields; ++f) {
    __m256i w[FieldLookups];
    SPARQ_UNROLL for (std::size_t i = 0; i < FieldLookups; ++i) {
      w[i] = _mm256_load_si256(reinterpret_cast<const __m256i*>(nibbles + 32 * i));
      SPARQ_KEEP_ORDER(w[i]);  // a register: loads are the limit
    }
    SPARQ_UNROLL for (std::size_t p = 0; p < P; ++p) {
      const auto looked_up = [&](std::size_t i) SPARQ_LAMBDA_INLINE {
        const auto* at = reinterpret_cast<const __m128i*>(tables + 16 * (i * P + p));
        return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_load_si128(at)), w[i]);
      };
      __m256i field = looked_up(0);
      SPARQ_UNROLL for (std::size_t i = 1; i < FieldLookups; ++i) field = _mm256_add_epi8(field, looked_up(i));
      all[p] = _mm256_add_epi64(all[p], field);
      add_bytes_in_place(high[p], _mm256_and_si256(_mm256_srli_epi16(field, 4), mask));
    }
    nibbles += 32 * FieldLookups;
    tables += 16 * FieldLookups * P;
  }
  const auto store = [&](std::uint16_t* row, __m256i bytes) SPARQ_LAMBDA_INLINE {
    auto* to = reinterpret_cast<__m256i*>(row);
    __m256i low = _mm256_unpacklo_epi8(bytes, _mm256_setzero_si256());
    __m256i rest = _mm256_unpackhi_epi8(bytes, _mm256_setzero_si256());
    if (!first) {
      low = _mm256_add_epi16(low, _mm256_load_si256(to));
      rest = _mm256_add_epi16(rest, _mm256_load_si256(to + 1));
    }
    _mm256_store_si256(to, low);
    _mm256_store_si256(to + 1, rest);
  };
  SPARQ_UNROLL for (std::size_t p = 0; p < P; ++p) {
    store(sums + 2 * p * ldt, _mm256_sub_epi64(all[p], _mm256_slli_epi64(high[p], 4)));
    store(sums + (2 * p + 1) * ldt, high[p]);
  }
}

/// -2 times sixteen counts, plus `offset`.
SPARQ_INLINE void sums_of_counts(const std::uint16_t* counts, std::int32_t offset, std::int32_t* sums) {
  SPARQ_UNROLL for (std::size_t i = 0; i < 16; i += 8) {
    const __m256i c = _mm256_cvtepu16_epi32(_mm_load_si128(reinterpret_cast<const __m128i*>(counts + i)));
    store_256(sums + i, _mm256_sub_epi32(_mm256_set1_epi32(offset), _mm256_slli_epi32(c, 1)));
  }
}

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2
