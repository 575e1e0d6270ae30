// SPDX-License-Identifier: MIT
#pragma once
// The atom for one row of X and weights of 8 bits, AVX2. Weights are used once, so widening them costs more than the
// products. X, which every channel shares, is cut instead: into its lower and its upper four bits. Products of those
// with W never saturate vpmaddubsw, and sums stay in 16 bits for eight groups.
//
//   32 weights:  widened   3 shifts, 2 vpmaddwd, 2 additions                         7
//                cut       2 vpmaddubsw, 2 additions, and 4 more for eight groups    4.5

#include <sparq/base/schedule.hpp>
#include <sparq/simd/rows/x86_avx2.hpp>
#include <sparq/simd/rows/x86_avx2_narrow.hpp>
#include <sparq/simd/x86_registers.hpp>

#if SPARQ_HAS_AVX2

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// What the atoms share that cut one operand into halves of a byte: sums of 16 bits for either half, of eight channels.
struct cut_sums_avx2 {
  struct acc {
    __m256i low, high;
  };
  static SPARQ_INLINE acc zero() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  /// The accumulator's sums of 16 bits, widened and joined.
  static SPARQ_INLINE __m256i sums(acc c) {
    return _mm256_add_epi32(_mm256_madd_epi16(c.low, _mm256_set1_epi16(1)),
                            _mm256_madd_epi16(c.high, _mm256_set1_epi16(16)));
  }
  static SPARQ_INLINE void store(std::int32_t* p, acc c) { store_256(p, sums(c)); }
  static SPARQ_INLINE void add(std::int32_t* p, acc c) { add_eight(p, sums(c)); }
};

}  // namespace machine

/// Four products of bytes as two vpmaddubsw with four bits of X each; exact for every input.
template <integer_numeric X, integer_numeric W>
struct dot4_cut_avx2 : machine::cut_sums_avx2 {
  static constexpr std::string_view name = machine::atom_name<"dot4_", X, W, "cut_avx2">;
  static constexpr isa needs = feature::avx2;
  using x_code = typename X::code;
  using acc_type = std::int32_t;
  static constexpr std::size_t lanes = 8, group_k = 4, group_x = 8, steps = 1, block_rows = 1;
  /// Pairs of products are at most 2 * 15 * |w|.
  static constexpr std::size_t max_groups = 32767 / (2 * 15 * static_cast<std::size_t>(machine::magnitude_of<W>));
  static constexpr std::int32_t weight_sum_factor = X::is_signed ? -128 : 0;
  using packed_x = std::uint8_t;  // of every four k's the lower halves, then the upper ones; of every eight to permute
  static constexpr std::string_view x_form = "cut into halves of a byte";
  static constexpr bool in_place = false;
  using w_word = __m256i;
  struct x_word {
    __m256i low, high;
  };

  /// A signed X gets its top bit flipped, which adds 128.
  static void pack_row(const x_code* x, std::size_t k, bool grouped, packed_x* out) {
    std::size_t i = 0;
    for (; i + 16 <= k; i += 16) cut(machine::load_128(x + i), grouped, out + 2 * i);
    if (i < k) {
      x_code rest[16] = {};
      packed_x halves[32];
      std::memcpy(rest, x + i, k - i);
      cut(machine::load_128(rest), grouped, halves);
      std::memcpy(out + 2 * i, halves, grouped ? (k - i + 3) / 4 * 8 : (k - i + 7) / 8 * 16);
    }
  }
  static SPARQ_INLINE x_word broadcast(const packed_x* p) {
    return {_mm256_set1_epi32(machine::load_as<std::int32_t>(p)),
            _mm256_set1_epi32(machine::load_as<std::int32_t>(p + 4))};
  }
  static SPARQ_INLINE acc dot(acc c, w_word w, x_word x) {
    c.low = _mm256_add_epi16(c.low, products(x.low, w));
    SPARQ_KEEP_ORDER(c.low);
    c.high = _mm256_add_epi16(c.high, products(x.high, w));
    SPARQ_KEEP_ORDER(c.high);
    return c;
  }

  template <integer_numeric N>
  using loader = machine::byte_loader_avx2<N>;

  template <class Window>
  using compaction = machine::compaction_avx2<x_code, x_code, Window, false>;

  /// vpshufb reaches the halves of eight k's, two elements for each; positions are its control as they are.
  template <std::size_t Window>
  struct selector : machine::byte_controls<Window, 8> {
    using control = __m256i;
    static SPARQ_INLINE x_word select(const packed_x* x, control c) {
      return {_mm256_shuffle_epi8(half(x), c), _mm256_shuffle_epi8(half(x + 8), c)};
    }
    static SPARQ_INLINE x_word combine(x_word a, x_word b) {
      return {_mm256_or_si256(a.low, b.low), _mm256_or_si256(a.high, b.high)};
    }

   private:
    static SPARQ_INLINE __m256i half(const packed_x* x) {
      return _mm256_set1_epi64x(machine::load_as<std::int64_t>(x));
    }
  };

 private:
  static SPARQ_INLINE __m256i products(__m256i x, __m256i w) {
    return W::is_signed ? _mm256_maddubs_epi16(x, w) : _mm256_maddubs_epi16(w, x);
  }
  static SPARQ_INLINE void cut(__m128i bytes, bool grouped, packed_x* out) {
    if constexpr (X::is_signed) bytes = _mm_xor_si128(bytes, _mm_set1_epi8(static_cast<char>(0x80)));
    const __m128i low = _mm_and_si128(bytes, _mm_set1_epi8(15));
    const __m128i high = _mm_and_si128(_mm_srli_epi16(bytes, 4), _mm_set1_epi8(15));
    const __m128i first = grouped ? _mm_unpacklo_epi32(low, high) : _mm_unpacklo_epi64(low, high);
    const __m128i second = grouped ? _mm_unpackhi_epi32(low, high) : _mm_unpackhi_epi64(low, high);
    machine::store_128(out, first);
    machine::store_128(out + 16, second);
  }
};

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2
