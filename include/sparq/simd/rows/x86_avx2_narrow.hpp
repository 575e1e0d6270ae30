// SPDX-License-Identifier: MIT
#pragma once
// Atoms for narrow weights on AVX2. vpmaddubsw adds pairs of products in 16 bits and saturates, but not where |w| <=
// 64, or x <= 127: one instruction multiplies 32 bytes then, twice what vpmaddwd does. Sums stay in 16 bits for as many
// groups as cannot overflow, eight of s4 or sixty-four of ternary, and are widened when the part is stored. The first
// operand is unsigned: a signed X is read with its top bit flipped, which is taken back with the sums of the weights.

#include <sparq/base/schedule.hpp>
#include <sparq/numeric/codec.hpp>
#include <sparq/simd/copy.hpp>
#include <sparq/simd/rows/atom.hpp>
#include <sparq/simd/rows/x86_avx2_compact.hpp>
#include <sparq/simd/x86_registers.hpp>

#if SPARQ_HAS_AVX2

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// The largest magnitude of a code.
template <integer_numeric N>
inline constexpr std::int32_t magnitude_of = (std::max)(-N::min_code, N::max_code);

/// The largest element of X as vpmaddubsw reads it: a signed one with its top bit flipped.
template <integer_numeric X>
inline constexpr std::int32_t largest_byte_of = X::is_signed ? 255 : X::max_code;

/// 32 bytes of X so.
template <integer_numeric X>
SPARQ_INLINE __m256i unsigned_bytes(__m256i x) {
  return X::is_signed ? _mm256_xor_si256(x, _mm256_set1_epi8(static_cast<char>(0x80))) : x;
}

/// Groups whose pairs of products, each at most 2 * 255 * |w|, or 2 * 127 * |w|, fit into 16 bits together.
template <integer_numeric W, integer_numeric X = u8>
inline constexpr std::size_t narrow_groups =
    32767 / (2 * static_cast<std::size_t>(largest_byte_of<X> * magnitude_of<W>));

/// The part of a selector that makes controls of vpshufb from positions in a window, `Reach` k's in a chunk of X.
template <std::size_t Window, std::size_t Reach>
struct byte_controls {
  static constexpr std::size_t chunk = 16;  // elements
  static constexpr std::size_t chunks = (Window + Reach - 1) / Reach;
  static SPARQ_INLINE __m256i make(const std::uint8_t* p, std::size_t, std::size_t c) {
    const __m256i positions = load_256(p);
    if constexpr (chunks == 1) return positions;
    const __m256i in_chunk = _mm256_sub_epi8(positions, _mm256_set1_epi8(static_cast<char>(Reach * c)));
    return _mm256_or_si256(in_chunk, _mm256_cmpgt_epi8(in_chunk, _mm256_set1_epi8(Reach - 1)));  // a top bit gives 0
  }
};

/// Words of weights that fill bytes, as they lie.
template <integer_numeric N>
struct byte_loader_avx2 {
  static_assert(N::bits == 8, "sparq: this atom takes weights of 8 bits; narrower ones have dot4_narrow_avx2");
  static constexpr std::size_t groups = 1;
  using raw = __m256i;
  static SPARQ_INLINE raw load(const std::uint32_t* words) { return load_256(words); }
  template <std::size_t>
  static SPARQ_INLINE __m256i decode(raw r) {
    return r;
  }
};

/// The side of X of atoms whose weights are narrow: bytes without sign, which a permute reaches sixteen of.
template <integer_numeric X>
struct bytes_of_x_avx2 {
  static constexpr isa needs = feature::avx2;
  using x_code = typename X::code;
  using acc_type = std::int32_t;
  static constexpr std::size_t lanes = 8, group_k = 4, steps = 1, block_rows = 6;
  static constexpr bool rows_in_turn = true;  // 12 sums, 2 words, an x and its product
  static constexpr std::int32_t weight_sum_factor = X::is_signed ? -128 : 0;
  using packed_x = x_code;
  static constexpr bool in_place = !X::is_signed;
  using acc = __m256i;
  using w_word = __m256i;
  using x_word = __m256i;

  static void pack_row(const x_code* x, std::size_t k, bool, packed_x* out) {
    if constexpr (X::is_signed) {
      for (std::size_t i = 0; i < k; ++i) out[i] = static_cast<x_code>(x[i] ^ 0x80);
    } else {
      copy_elements(x, k, out);
    }
  }
  static SPARQ_INLINE acc zero() { return _mm256_setzero_si256(); }
  static SPARQ_INLINE x_word broadcast(const packed_x* p) { return _mm256_set1_epi32(load_as<std::int32_t>(p)); }

  template <class Window>
  using compaction = machine::compaction_avx2<x_code, x_code, Window, false>;

  /// vpshufb reaches sixteen bytes, the same for both halves of the register; positions are its control as they are.
  template <std::size_t Window>
  struct selector : byte_controls<Window, 16> {
    using control = __m256i;
    static SPARQ_INLINE x_word select(const packed_x* x, control c) {
      return _mm256_shuffle_epi8(load_128_twice(x), c);
    }
    static SPARQ_INLINE x_word combine(x_word a, x_word b) { return _mm256_or_si256(a, b); }
  };
};

}  // namespace machine

/// Four products of bytes in one vpmaddubsw, exact for weights of 4 bits and fewer.
template <integer_numeric X, integer_numeric W>
struct dot4_narrow_avx2 : machine::bytes_of_x_avx2<X> {
  static_assert(W::bits <= 4, "sparq: this atom adds in 16 bits; take dot4_avx2 for wider weights");
  static constexpr std::string_view name = X::is_signed ? "dot4_s8narrow_avx2" : "dot4_u8narrow_avx2";
  static constexpr std::size_t max_groups = machine::narrow_groups<W, X>;
  using base = machine::bytes_of_x_avx2<X>;
  using typename base::acc;
  using typename base::acc_type;
  using typename base::w_word;
  using typename base::x_word;

  static constexpr bool starts_with_products = max_groups <= 8;
  static SPARQ_INLINE acc product(w_word w, x_word x) {
#if defined(__GNUC__) && !defined(__clang__)  // it would copy every second sum
    acc c;
    __asm__("vpmaddubsw {%2, %1, %0|%0, %1, %2}" : "=x"(c) : "x"(x), "x"(w));
    return c;
#else
    return _mm256_maddubs_epi16(x, w);
#endif
  }
  static SPARQ_INLINE acc dot(acc c, w_word w, x_word x) {
    c = _mm256_add_epi16(c, _mm256_maddubs_epi16(x, w));
    SPARQ_KEEP_ORDER(c);
    return c;
  }
#if defined(__clang__)
  // It spills sums for others: u4 1.25 and 1.04 of the peak.
  static constexpr bool has_dot_both = W::is_signed && W::bits > 1;
#else
  static constexpr bool has_dot_both = true;
#endif
  /// dot() of two registers of channels, both products first.
  static SPARQ_INLINE void dot_both(acc& a, acc& b, w_word wa, w_word wb, x_word x)
    requires has_dot_both
  {
    SPARQ_ADD_PRODUCTS(a, b, wa, wb, x, "vpmaddubsw", "vpaddw", _mm256_maddubs_epi16, _mm256_add_epi16);
  }
  /// The accumulator's sums of 16 bits, widened.
  static SPARQ_INLINE __m256i sums(acc c) { return _mm256_madd_epi16(c, _mm256_set1_epi16(1)); }
  static SPARQ_INLINE void store(acc_type* p, acc c) { machine::store_256(p, sums(c)); }
  static SPARQ_INLINE void add(acc_type* p, acc c) { machine::add_eight(p, sums(c)); }

  template <integer_numeric N>
  struct loader {
    static constexpr std::size_t groups = 8 / static_cast<std::size_t>(N::bits);
    using raw = __m256i;
    static SPARQ_INLINE raw load(const std::uint32_t* words) { return machine::load_256(words); }
    template <std::size_t Step>
    static SPARQ_INLINE w_word decode(raw r) {
      if constexpr (N::bits == 8) {  // unpacked already
        return r;
      } else if constexpr (!N::is_signed) {
        const __m256i shifted = Step == 0 ? r : _mm256_srli_epi16(r, static_cast<int>(Step) * N::bits);
        return _mm256_and_si256(shifted, _mm256_set1_epi8((1 << N::bits) - 1));
      } else {
        constexpr std::size_t per_nibble = 4 / static_cast<std::size_t>(N::bits);
        const __m256i shifted = Step < per_nibble ? r : _mm256_srli_epi16(r, static_cast<int>(Step / per_nibble) * 4);
#if defined(__clang__) && defined(__x86_64__)
        // with the mask and the table in registers clang spills five sums; s2 and ternary have more products for a word
        if constexpr (per_nibble == 1) {
          __m256i nibbles = shifted, codes;
          __asm__("vpand {%[mask], %[w], %[w]|%[w], %[w], %[mask]}\n\tvmovdqa {%[table], %[c]|%[c], %[table]}\n\t"
                  "vpshufb {%[w], %[c], %[c]|%[c], %[c], %[w]}"
                  : [w] "+x"(nibbles), [c] "=&x"(codes)
                  : [mask] "m"(lower_nibbles), [table] "m"(table<Step % per_nibble>));
          return codes;
        }
#endif
        const __m256i nibble = _mm256_and_si256(shifted, _mm256_set1_epi8(15));
        return _mm256_shuffle_epi8(
            _mm256_load_si256(reinterpret_cast<const __m256i*>(table<Step % per_nibble>.codes)), nibble);
      }
    }

   private:
    /// What vpshufb makes of a nibble of the word: the code of one of the groups in it.
    struct alignas(32) nibble_table {
      std::int8_t codes[32];
    };
    static constexpr nibble_table lower_nibbles = [] {
      nibble_table result{};
      for (std::int8_t& mask : result.codes) mask = 15;
      return result;
    }();
    template <std::size_t Place>
    static constexpr nibble_table table = [] {
      nibble_table result{};
      for (unsigned i = 0; i < 32; ++i)
        result.codes[i] =
            sparq::detail::code_of<N>(i >> (Place * static_cast<unsigned>(N::bits)) & ((1U << N::bits) - 1U));
      return result;
    }();
  };
};

/// Four products of bytes in one vpmaddubsw, exact for weights up to 64 and for X up to 127: a pair of products is at
/// most 2 * 255 * 64 or 2 * 127 * 128. A vpmaddwd with ones adds pairs in 32 bits.
template <integer_numeric X, integer_numeric W>
struct dot4_pairs_avx2 : machine::bytes_of_x_avx2<X> {
  static_assert(machine::narrow_groups<W, X> != 0, "sparq: pairs of products overflow 16 bits; take dot4_avx2");
  static constexpr std::string_view name = X::is_signed          ? "dot4_s8pairs_avx2"
                                          : X::max_code <= 127 ? "dot4_u7pairs_avx2"
                                                               : "dot4_u8pairs_avx2";
  static constexpr bool reloads_words = true;  // 12 sums, ones, an x and its products leave no register to W
  using base = machine::bytes_of_x_avx2<X>;
  using typename base::acc;
  using typename base::acc_type;
  using typename base::w_word;
  using typename base::x_word;

  static SPARQ_INLINE acc dot(acc c, w_word w, x_word x) {
    c = _mm256_add_epi32(c, _mm256_madd_epi16(_mm256_maddubs_epi16(x, w), _mm256_set1_epi16(1)));
    SPARQ_KEEP_ORDER(c);
    return c;
  }
  static SPARQ_INLINE void store(acc_type* p, acc c) { machine::store_256(p, c); }

  template <integer_numeric N>
  using loader = machine::byte_loader_avx2<N>;
};

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2
