// SPDX-License-Identifier: MIT
#pragma once
// Atoms for AVX2 with FMA. Bytes are widened to 16 bits and multiplied by vpmaddwd, exact for every input: vpmaddubsw
// would saturate for |w| > 64. A word of W serves two steps, bytes 0 and 2 first, then 1 and 3, because two shifts
// separate those without a shuffle; a packed row of X has its k's in the same order.

#include <sparq/simd/copy.hpp>
#include <sparq/simd/rows/atom.hpp>
#include <sparq/simd/rows/x86_avx2_compact.hpp>
#include <sparq/simd/x86_registers.hpp>

#if SPARQ_HAS_AVX2

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Widens k bytes of X to 16 bits, [0 2 1 3] within every four when `grouped`; writes round_up(k, 16) elements.
template <class Code>
inline void widen_row(const Code* x, std::size_t k, bool grouped, std::int16_t* out) {
  const __m256i order = grouped ? _mm256_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15, 0, 1, 4, 5, 2,
                                                   3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15)
                                : _mm256_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4,
                                                   5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const auto widen = [&](const Code* from, std::int16_t* to) {
    const __m128i bytes = load_128(from);
    const __m256i wide = std::is_signed_v<Code> ? _mm256_cvtepi8_epi16(bytes) : _mm256_cvtepu8_epi16(bytes);
    store_256(to, _mm256_shuffle_epi8(wide, order));
  };
  std::size_t i = 0;
  for (; i + 16 <= k; i += 16) widen(x + i, out + i);
  if (i < k) {
    Code rest[16] = {};
    std::memcpy(rest, x + i, k - i);
    widen(rest, out + i);
  }
}

}  // namespace machine

/// Four products of bytes as two vpmaddwd.
template <integer_numeric X, integer_numeric W>
struct dot4_avx2 {
  static constexpr std::string_view name = machine::atom_name<"dot4_", X, W, "_avx2">;
  static constexpr isa needs = feature::avx2;
  using x_code = typename X::code;
  using acc_type = std::int32_t;
  static constexpr std::size_t lanes = 8, group_k = 4, steps = 2, block_rows = 6;
  static constexpr std::int32_t weight_sum_factor = 0;
  using packed_x = std::int16_t;
  static constexpr bool in_place = false;
  using acc = __m256i;
  using w_word = __m256i;
  using x_word = __m256i;

  static void pack_row(const x_code* x, std::size_t k, bool grouped, packed_x* out) {
    machine::widen_row(x, k, grouped, out);
  }
  static SPARQ_INLINE acc zero() { return _mm256_setzero_si256(); }
  static SPARQ_INLINE x_word broadcast(const packed_x* p) {
    return _mm256_set1_epi32(machine::load_as<std::int32_t>(p));
  }
  static SPARQ_INLINE acc dot(acc c, w_word w, x_word x) {
    const __m256i products = _mm256_madd_epi16(x, w);
    machine::add_in_place(c, products);
    return c;
  }
  /// dot() of two registers of channels, both products first.
  static SPARQ_INLINE void dot_both(acc& a, acc& b, w_word wa, w_word wb, x_word x) {
    SPARQ_ADD_PRODUCTS(a, b, wa, wb, x, "vpmaddwd", "vpaddd", _mm256_madd_epi16, _mm256_add_epi32);
  }
  static SPARQ_INLINE void store(acc_type* p, acc c) { machine::store_256(p, c); }

  template <integer_numeric N>
  struct loader {
    static constexpr std::size_t groups = 8 / static_cast<std::size_t>(N::bits);
    using raw = __m256i;
    static SPARQ_INLINE raw load(const std::uint32_t* words) { return machine::load_256(words); }
    template <std::size_t Step>
    static SPARQ_INLINE w_word decode(raw r) {
      constexpr int left = machine::half_word_field<N::bits, steps>::left_shift(Step);
      const __m256i top = left == 0 ? r : _mm256_slli_epi16(r, left);
      if constexpr (N::bits == 1 && N::is_signed)
        return _mm256_or_si256(_mm256_srai_epi16(top, 15), _mm256_set1_epi16(1));
      return N::is_signed ? _mm256_srai_epi16(top, 16 - N::bits) : _mm256_srli_epi16(top, 16 - N::bits);
    }
  };

  template <class Window>
  using compaction = machine::compaction_avx2<x_code, packed_x, Window, true>;

  /// vpshufb reaches eight 16-bit elements, the same for both halves of the register.
  template <std::size_t Window>
  struct selector {
    static constexpr std::size_t chunk = 8;
    static constexpr std::size_t chunks = (Window + 7) / 8;
    using control = __m256i;
    static SPARQ_INLINE control make(const std::uint8_t* p, std::size_t step, std::size_t c) {
      const __m256i positions = machine::load_256(p);
      const __m256i at = _mm256_and_si256(step == 0 ? positions : _mm256_srli_epi16(positions, 8),
                                          _mm256_set1_epi16(0xff));
      const __m256i in_chunk = _mm256_sub_epi16(at, _mm256_set1_epi16(static_cast<short>(8 * c)));
      const __m256i bytes = _mm256_add_epi16(_mm256_mullo_epi16(in_chunk, _mm256_set1_epi16(0x0202)),
                                             _mm256_set1_epi16(0x0100));
      if (chunks == 1) return bytes;
      const __m256i outside = _mm256_or_si256(_mm256_cmpgt_epi16(in_chunk, _mm256_set1_epi16(7)),
                                              _mm256_cmpgt_epi16(_mm256_setzero_si256(), in_chunk));
      return _mm256_or_si256(bytes, _mm256_and_si256(outside, _mm256_set1_epi16(static_cast<short>(0x8080))));
    }
    static SPARQ_INLINE x_word select(const packed_x* x, control c) {
      return _mm256_shuffle_epi8(machine::load_128_twice(x), c);
    }
    static SPARQ_INLINE x_word combine(x_word a, x_word b) { return _mm256_or_si256(a, b); }
  };
};

/// The same for strips whose words were widened beforehand, which pays for many rows: the shifts that separate the
/// steps of a word are a ninth of a block's vector instructions.
///
///   strip:  [group 0: c0 c1 .. c15] [group 1: ..]
///       ->  [group 0, step 0: c0 c1 .. c15] [group 0, step 1: ..] [group 1, step 0: ..]
///
/// - `Channels`: of a strip
template <integer_numeric X, integer_numeric W, std::size_t Channels>
struct dot4_widened_avx2 : dot4_avx2<X, W> {
  using base = dot4_avx2<X, W>;
  using base_loader = typename base::template loader<W>;
  static constexpr std::size_t words_of_word = base::steps;
  static_assert(base_loader::groups == 1, "sparq: narrow words are not widened; take dot4_avx2 for them");

  /// Widens `count` words, whole groups of a strip, into twice as many.
  static void widen(const std::uint32_t* words, std::size_t count, std::uint32_t* out) {
    for (const std::uint32_t* end = words + count; words != end; words += Channels, out += base::steps * Channels) {
      SPARQ_UNROLL for (std::size_t c = 0; c < Channels; c += base::lanes) {
        const auto raw = base_loader::load(words + c);
        machine::store_256(out + c, base_loader::template decode<0>(raw));
        machine::store_256(out + Channels + c, base_loader::template decode<1>(raw));
      }
    }
  }

  template <integer_numeric N>
  struct loader {
    static constexpr std::size_t groups = 1;
    using raw = const std::uint32_t*;
    static SPARQ_INLINE raw load(const std::uint32_t* words) { return words; }
    template <std::size_t Step>
    static SPARQ_INLINE typename base::w_word decode(raw words) {
      return base_loader::load(words + Step * Channels);
    }
  };
};

/// One fused multiply-add. Narrow floats become f32 on the way: X when a row is packed, W when it is loaded.
template <numeric X, numeric W>
struct fma1_avx2 {
  static constexpr std::string_view name = machine::atom_name<"fma1_", X, W, "_avx2">;
  static constexpr isa needs = feature::avx2;
  using x_code = typename X::code;
  using acc_type = float;
  static constexpr std::size_t lanes = 8, group_k = 1, steps = 1, block_rows = 6;
  static constexpr std::int32_t weight_sum_factor = 0;
  using packed_x = float;
  static constexpr bool in_place = X::bits == 32;
  using acc = __m256;
  using w_word = __m256;
  using x_word = __m256;

  static void pack_row(const x_code* x, std::size_t k, bool, float* out) { machine::widen_floats(x, k, out); }
  static SPARQ_INLINE acc zero() { return _mm256_setzero_ps(); }
  static SPARQ_INLINE x_word broadcast(const float* p) { return _mm256_broadcast_ss(p); }
  static SPARQ_INLINE acc dot(acc c, w_word w, x_word x) { return _mm256_fmadd_ps(x, w, c); }
  static SPARQ_INLINE void store(float* p, acc c) { _mm256_storeu_ps(p, c); }

  template <numeric N>
  struct loader {
    static constexpr std::size_t groups = 32 / static_cast<std::size_t>(N::bits);
    using raw = __m256i;
    static SPARQ_INLINE raw load(const std::uint32_t* words) { return machine::load_256(words); }
    template <std::size_t Step>
    static SPARQ_INLINE w_word decode(raw r) {
      if constexpr (N::bits == 32) return _mm256_castsi256_ps(r);
      const __m256i upper = Step == 0 ? _mm256_slli_epi32(r, 16) : r;
      if constexpr (std::is_same_v<N, f16>) {  // sign, and a magnitude that is 2^112 times too small
        const __m256i parts =
            _mm256_and_si256(_mm256_srai_epi32(upper, 3), _mm256_set1_epi32(static_cast<int>(0x8fffe000U)));
        return _mm256_mul_ps(_mm256_castsi256_ps(parts), _mm256_set1_ps(0x1p112F));
      }
      if constexpr (Step == 0) return _mm256_castsi256_ps(upper);
      return _mm256_castsi256_ps(_mm256_and_si256(r, _mm256_set1_epi32(static_cast<int>(0xffff0000U))));
    }
  };

  template <class Window>
  using compaction = machine::compaction_avx2<x_code, x_code, Window, false>;

  template <std::size_t Window>
  struct selector {
    static constexpr std::size_t chunk = 8;
    static constexpr std::size_t chunks = (Window + 7) / 8;
    struct control {
      __m256i index;
      __m256i inside;
    };
    static SPARQ_INLINE control make(const std::uint8_t* p, std::size_t, std::size_t c) {
      const __m256i at = _mm256_cvtepu8_epi32(machine::load_64(p));
      const __m256i in_chunk = _mm256_sub_epi32(at, _mm256_set1_epi32(static_cast<int>(8 * c)));
      return {in_chunk, _mm256_cmpeq_epi32(_mm256_srai_epi32(in_chunk, 3), _mm256_setzero_si256())};
    }
    static SPARQ_INLINE x_word select(const float* x, const control& c) {
      const __m256 permuted = _mm256_permutevar8x32_ps(_mm256_loadu_ps(x), c.index);
      return chunks == 1 ? permuted : _mm256_and_ps(permuted, _mm256_castsi256_ps(c.inside));
    }
    static SPARQ_INLINE x_word combine(x_word a, x_word b) { return _mm256_or_ps(a, b); }
  };
};

using fma1_f32f32_avx2 = fma1_avx2<f32, f32>;

/// X is 16 bits wide when it is packed.
template <integer_numeric X, integer_numeric W>
struct machine::block_atom<dot4_avx2<X, W>> {
  using type = dot4_avx2<u8, W>;
};

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2
