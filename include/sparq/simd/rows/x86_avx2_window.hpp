// SPDX-License-Identifier: MIT
#pragma once
// The atoms for windows of unstructured k's and weights of 8 bits, AVX2. One operand is cut into its lower and its
// upper four bits, so that products never saturate vpmaddubsw: X, as for one row (x86_avx2_one_row.hpp), but into two
// planes, so that a window may start anywhere; or W, once for all rows of a block, where one register of X is permuted
// instead of two.
//
//   32 weights, X cut, window of 16:  2 vpshufb, 2 vpmaddubsw, 2 additions, and 4 more for eight groups
//                      window of 32:  2 more vpshufb, 2 OR; a control more, which all rows share
//               W cut, window of 32:  2 vpshufb, 1 OR, 2 vpmaddubsw, 2 additions, and 4 for four groups; 4 to cut W

#include <sparq/base/schedule.hpp>
#include <sparq/simd/rows/x86_avx2_one_row.hpp>
#include <sparq/simd/x86_registers.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#if SPARQ_HAS_AVX2

namespace sparq {
SPARQ_ABI_BEGIN

/// Four products of bytes that a permute of a window brings together; exact for every input.
template <integer_numeric X, integer_numeric W>
struct dot4_window_avx2 : dot4_cut_avx2<X, W> {
  using base = dot4_cut_avx2<X, W>;
  static constexpr std::string_view name = machine::atom_name<"dot4_", X, W, "window_avx2">;
  using typename base::packed_x;
  using typename base::x_code;
  using typename base::x_word;
  static constexpr std::size_t group_x = 4, block_rows = 2;
  static constexpr bool in_planes = true;

  /// Writes round_up(k, 16) elements of each plane, the upper halves `distance` behind the lower ones.
  static void pack_row(const x_code* x, std::size_t k, std::size_t distance, packed_x* out) {
    std::size_t i = 0;
    for (; i + 16 <= k; i += 16) cut(machine::load_128(x + i), distance, out + i);
    if (i < k) {
      x_code rest[16] = {};
      std::memcpy(rest, x + i, k - i);
      cut(machine::load_128(rest), distance, out + i);
    }
  }
  static x_word broadcast(const packed_x*) = delete;

  /// vpshufb reaches sixteen k's; a control with its top bit set gives 0.
  template <std::size_t Window>
  struct selector {
    static constexpr std::size_t chunk = 16;
    static constexpr std::size_t chunks = (Window + 15) / 16;
    using control = __m256i;
    static SPARQ_INLINE control make(const std::uint8_t* p, std::size_t, std::size_t c) {
      __m256i at = machine::load_256(p);
      if (c != 0) at = _mm256_sub_epi8(at, _mm256_set1_epi8(static_cast<char>(16 * c)));
      if (c + 1 != chunks) at = _mm256_adds_epu8(at, _mm256_set1_epi8(0x70));  // beyond the chunk: a top bit
      return at;
    }
    static SPARQ_INLINE x_word select(const packed_x* x, std::size_t distance, control c) {
      return {_mm256_shuffle_epi8(plane(x), c), _mm256_shuffle_epi8(plane(x + distance), c)};
    }
    static SPARQ_INLINE x_word combine(x_word a, x_word b) {
      return {_mm256_or_si256(a.low, b.low), _mm256_or_si256(a.high, b.high)};
    }

   private:
    static SPARQ_INLINE __m256i plane(const packed_x* x) { return machine::load_128_twice(x); }
  };

 private:
  static SPARQ_INLINE void cut(__m128i bytes, std::size_t distance, packed_x* out) {
    if constexpr (X::is_signed) bytes = _mm_xor_si128(bytes, _mm_set1_epi8(static_cast<char>(0x80)));
    const __m128i low = _mm_and_si128(bytes, _mm_set1_epi8(15));
    const __m128i high = _mm_and_si128(_mm_srli_epi16(bytes, 4), _mm_set1_epi8(15));
    machine::store_128(out, low);
    machine::store_128(out + distance, high);
  }
};

/// The same for windows that take several permutes, and rows that share W: W is cut instead of X.
template <integer_numeric X, integer_numeric W>
struct dot4_window_rows_avx2 : machine::cut_sums_avx2 {
  static constexpr std::string_view name = machine::atom_name<"dot4_", X, W, "window_rows_avx2">;
  static constexpr isa needs = feature::avx2;
  using x_code = typename X::code;
  using acc_type = std::int32_t;
  static constexpr std::size_t lanes = 8, group_k = 4, steps = 1, block_rows = 6, block_registers = 1;
  static constexpr std::size_t least_window = 32;
  /// Pairs of products are at most 2 * 255 * 15.
  static constexpr std::size_t max_groups = 32767 / (2 * 255 * 15);
  static constexpr std::int32_t weight_sum_factor = X::is_signed ? -128 : 0;
  using packed_x = std::uint8_t;
  static constexpr bool in_place = false;
  struct w_word {
    __m256i low, high;
  };
  using x_word = __m256i;

  /// A signed X gets its top bit flipped, which adds 128.
  static void pack_row(const x_code* x, std::size_t k, bool, packed_x* out) {
    for (std::size_t i = 0; i < k; ++i) out[i] = static_cast<packed_x>(X::is_signed ? x[i] + 128 : x[i]);
  }
  static x_word broadcast(const packed_x*) = delete;
  static SPARQ_INLINE acc dot(acc c, const w_word& w, x_word x) {
    c.low = _mm256_add_epi16(c.low, _mm256_maddubs_epi16(x, w.low));
    SPARQ_KEEP_ORDER(c.low);
    c.high = _mm256_add_epi16(c.high, _mm256_maddubs_epi16(x, w.high));
    SPARQ_KEEP_ORDER(c.high);
    return c;
  }

  template <integer_numeric N>
  struct loader {
    static_assert(N::bits == 8, "sparq: this atom takes weights of 8 bits; narrower ones have dot4_narrow_avx2");
    static constexpr std::size_t groups = 1;
    using raw = __m256i;
    static SPARQ_INLINE raw load(const std::uint32_t* words) { return machine::load_256(words); }
    template <std::size_t>
    static SPARQ_INLINE w_word decode(raw r) {
      const __m256i mask = _mm256_set1_epi8(15), upper = _mm256_and_si256(_mm256_srli_epi16(r, 4), mask);
      const __m256i signs = _mm256_broadcastsi128_si256(
          _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4, -3, -2, -1));
      return {_mm256_and_si256(r, mask), W::is_signed ? _mm256_shuffle_epi8(signs, upper) : upper};
    }
  };

  template <std::size_t Window>
  struct selector : dot4_window_avx2<X, W>::template selector<Window> {
    static SPARQ_INLINE x_word select(const packed_x* x, __m256i control) {
      return _mm256_shuffle_epi8(machine::load_128_twice(x), control);
    }
    static SPARQ_INLINE x_word combine(x_word a, x_word b) { return _mm256_or_si256(a, b); }
  };
};

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2
