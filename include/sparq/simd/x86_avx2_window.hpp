// SPDX-License-Identifier: MIT
#pragma once
// The atom for windows of unstructured k's and weights of 8 bits, AVX2. X is cut into its lower and its upper four bits,
// as for one row (x86_avx2_one_row.hpp), but into two planes, so that a window may start anywhere.
//
//   32 weights of a window of 16:  2 vpshufb, 2 vpmaddubsw, 2 additions, and 4 more for eight groups
//                   of a window of 32:  2 more vpshufb, 2 OR; a control more, which all rows share

#include <sparq/simd/x86_avx2_one_row.hpp>
#include <sparq/simd/x86_registers.hpp>

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

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2
