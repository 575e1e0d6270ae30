// SPDX-License-Identifier: MIT
#pragma once
// Atoms of the columns loop for AVX2 where two products fit into 16 bits: weights up to 64, or X up to 127. Four k's of
// a row lie in one lane as bytes; vpmaddubsw and a vpmaddwd with ones take three instructions for what columns4_avx2
// does in four. The first operand is unsigned: a signed X is read with its top bit flipped, which is taken back with
// the sums of the weights.
//
//   block: [k][rows 0..3, 8..11, eight unused | rows 4..7, 12..15, eight unused]   so that interleaving makes rows rise
//          [quad of k's][row][4 k's]                                               quads: as X in quads lies in memory

#include <sparq/base/math.hpp>
#include <sparq/base/schedule.hpp>
#include <sparq/simd/columns/column_atom.hpp>
#include <sparq/simd/rows/x86_avx2_narrow.hpp>
#include <sparq/simd/transpose.hpp>
#include <sparq/simd/x86_registers.hpp>

#if SPARQ_HAS_AVX2

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace sparq {
SPARQ_ABI_BEGIN

/// Four products of bytes as one vpmaddubsw, exact where narrow_groups says that a pair of them fits into 16 bits.
template <integer_numeric X, integer_numeric W>
struct columns4_pairs_avx2 {
  static_assert(machine::narrow_groups<W, X> != 0, "sparq: pairs of products overflow 16 bits; take columns4_avx2");
  static constexpr std::string_view name = X::is_signed          ? "columns4_s8pairs_avx2"
                                          : X::max_code <= 127 ? "columns4_u7pairs_avx2"
                                                               : "columns4_u8pairs_avx2";
  static constexpr isa needs = feature::avx2;
  using x_code = typename X::code;
  using acc_type = std::int32_t;
  static constexpr std::size_t lanes = 8, registers = 2, group_k = 4;
  static constexpr std::int32_t weight_sum_factor = X::is_signed ? -128 : 0;
  using packed_x = std::uint16_t;  // one byte of it is used
  using weight = typename W::code;
  template <numeric N>
  static constexpr bool in_place = N::bits == 8;
  using acc = __m256i;
  /// Four k's of every row: [register].
  template <std::size_t V>
  struct x_group {
    __m256i rows[V];
  };

  static void pack_rows(const x_code* const* rows, std::size_t k, packed_x* block) {
    const std::uint8_t* order[16];
    for (std::size_t r = 0; r < 16; ++r)
      order[r] = reinterpret_cast<const std::uint8_t*>(rows[r / 4 % 2 == r / 8 ? r : r ^ 12]);
    machine::for_transposed_bytes(order, k, [&](std::size_t at, __m256i two) {
      store_halves(block + at * 16, _mm256_castsi256_si128(two));
      if (at + 1 < k) store_halves(block + (at + 1) * 16, _mm256_extracti128_si256(two, 1));
    });
  }
  static void pack_columns(const x_code* x, std::size_t stride, std::size_t k, std::size_t count, packed_x* block) {
    for (std::size_t i = 0; i < k; ++i, x += stride, block += 16)
      store_halves(block, _mm_shuffle_epi32(machine::load_128(x, count), 0xd8));
  }
  template <std::size_t V>
  static SPARQ_INLINE x_group<V> load(const packed_x* block, const std::uint16_t* k) {
    const __m256i first = _mm256_unpacklo_epi8(at(block, k[0]), at(block, k[1]));
    const __m256i second = _mm256_unpacklo_epi8(at(block, k[2]), at(block, k[3]));
    x_group<V> x;
    x.rows[0] = _mm256_unpacklo_epi16(first, second);
    if constexpr (V == 2) x.rows[1] = _mm256_unpackhi_epi16(first, second);
    return x;
  }
  static SPARQ_INLINE acc zero() { return _mm256_setzero_si256(); }
  template <std::size_t V>
  static SPARQ_INLINE void add(acc (&sums)[V], const weight* w, const x_group<V>& x) {
    const __m256i broadcast = _mm256_set1_epi32(machine::load_as<std::int32_t>(w));
    SPARQ_UNROLL for (std::size_t v = 0; v < V; ++v) {
      const __m256i pairs = _mm256_maddubs_epi16(x.rows[v], broadcast);
      sums[v] = _mm256_add_epi32(sums[v], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
      SPARQ_KEEP_ORDER(sums[v]);
    }
  }
  static SPARQ_INLINE acc load_sums(const acc_type* p) { return machine::load_256(p); }
  static SPARQ_INLINE void store_sums(acc_type* p, acc sums) { machine::store_256(p, sums); }

 private:
  static SPARQ_INLINE __m256i at(const packed_x* block, std::size_t k) {
    return _mm256_load_si256(reinterpret_cast<const __m256i*>(block + k * 16));
  }
  static SPARQ_INLINE void store_halves(packed_x* p, __m128i bytes) {
    const __m256i halves = _mm256_permute4x64_epi64(_mm256_castsi128_si256(bytes), 0x50);
    _mm256_store_si256(reinterpret_cast<__m256i*>(p), machine::unsigned_bytes<X>(halves));
  }
};

/// The same for runs of four k's, which lie together already.
template <integer_numeric X, integer_numeric W>
struct quads4_pairs_avx2 : columns4_pairs_avx2<X, W> {
  static constexpr std::string_view name = X::is_signed          ? "quads4_s8pairs_avx2"
                                          : X::max_code <= 127 ? "quads4_u7pairs_avx2"
                                                               : "quads4_u8pairs_avx2";
  static constexpr std::size_t run = 4;
  using base = columns4_pairs_avx2<X, W>;
  using typename base::x_code;
  using packed_x = std::uint8_t;
  template <std::size_t V>
  using x_group = typename base::template x_group<V>;

  static void pack_rows(const x_code* const* rows, std::size_t k, packed_x* block) {
    const float* words[16];  // the bits of four k's each
    for (std::size_t r = 0; r < 16; ++r) words[r] = reinterpret_cast<const float*>(rows[r]);
    std::size_t at = 0;
    for (; at + 32 <= k; at += 32)
      for (std::size_t r = 0; r < 16; r += 8) {
        const float* from[8];
        for (std::size_t i = 0; i < 8; ++i) from[i] = words[r + i] + at / 4;
        machine::transpose_8x8(from, reinterpret_cast<float*>(block + at * 16) + r, 16);
      }
    for (; at < k; at += 4)
      for (std::size_t r = 0; r < 16; ++r) {
        std::int32_t word = 0;
        std::memcpy(&word, rows[r] + at, k - at < 4 ? k - at : 4);
        std::memcpy(block + at * 16 + 4 * r, &word, sizeof word);
      }
    if constexpr (X::is_signed)
      for (std::size_t i = 0; i < round_up(k, std::size_t{4}) * 16; i += 32) flip(block + i);
  }
  static void pack_columns(const x_code* x, std::size_t stride, std::size_t k, std::size_t count, packed_x* block) {
    for (std::size_t i = 0; i < k; i += 4, block += 64) {
      const auto column = [&](std::size_t j) {
        return i + j < k ? machine::load_128(x + (i + j) * stride, count) : _mm_setzero_si128();
      };
      const __m128i a = column(0), b = column(1), c = column(2), d = column(3);
      const __m128i first = _mm_unpacklo_epi8(a, b), second = _mm_unpacklo_epi8(c, d);
      const __m128i third = _mm_unpackhi_epi8(a, b), fourth = _mm_unpackhi_epi8(c, d);
      store(block, _mm_unpacklo_epi16(first, second), _mm_unpackhi_epi16(first, second));
      store(block + 32, _mm_unpacklo_epi16(third, fourth), _mm_unpackhi_epi16(third, fourth));
    }
  }
  /// X in quads: 4 k's of row r at x[quad * stride + 4 r], r < count.
  static void pack_quads(const x_code* x, std::size_t stride, std::size_t quads, std::size_t count, packed_x* block) {
    for (std::size_t q = 0; q < quads; ++q, x += stride, block += 64) {
      if (count < 16) std::memset(block, 0, 64);
      std::memcpy(block, x, 4 * (count < 16 ? count : 16));
      if constexpr (X::is_signed) flip(block), flip(block + 32);
    }
  }
  template <std::size_t V>
  static SPARQ_INLINE x_group<V> load(const packed_x* block, const std::uint16_t* k) {
    x_group<V> x;
    SPARQ_UNROLL for (std::size_t v = 0; v < V; ++v)
      x.rows[v] = _mm256_load_si256(reinterpret_cast<const __m256i*>(block + std::size_t{*k} * 16 + v * 32));
    return x;
  }

 private:
  static SPARQ_INLINE void flip(packed_x* p) {
    auto* to = reinterpret_cast<__m256i*>(p);
    _mm256_store_si256(to, machine::unsigned_bytes<X>(_mm256_load_si256(to)));
  }
  static SPARQ_INLINE void store(packed_x* p, __m128i a, __m128i b) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(p), machine::unsigned_bytes<X>(_mm256_set_m128i(b, a)));
  }
};

namespace machine {

template <class X, class W>
struct section_atom<columns4_pairs_avx2<X, W>> {
  using type = columns4_pairs_avx2<u8_up_to_127, s8>;
};
template <class X, class W>
struct section_atom<quads4_pairs_avx2<X, W>> {
  using type = quads4_pairs_avx2<u8_up_to_127, s8>;
};

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2
