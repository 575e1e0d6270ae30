// SPDX-License-Identifier: MIT
#pragma once
// The atom of the columns loop for runs of four k's, AVX2: pairs of k's are interleaved once, when a block is packed,
// and not for every panel.
//
//   block: [quad of k's][pair][register][row][2 k's]

#include <sparq/base/math.hpp>
#include <sparq/simd/columns/x86_avx2_columns.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#if SPARQ_HAS_AVX2

namespace sparq {
SPARQ_ABI_BEGIN

/// Four products of bytes as two vpmaddwd; sums as in columns4_avx2.
template <integer_numeric X, integer_numeric W>
struct quads4_avx2 : columns4_avx2<X, W> {
  using base = columns4_avx2<X, W>;
  static constexpr std::string_view name = machine::atom_name<"quads4_", X, W, "_avx2">;
  static constexpr std::size_t run = 4;
  using typename base::packed_x;
  using typename base::x_code;
  template <std::size_t V>
  using x_group = typename base::template x_group<V>;

  static void pack_rows(const x_code* const* rows, std::size_t k, packed_x* block) {
    const std::uint8_t* bytes[16];
    for (std::size_t r = 0; r < 16; ++r) bytes[r] = reinterpret_cast<const std::uint8_t*>(rows[r]);
    machine::for_transposed_bytes(bytes, k, [&](std::size_t at, __m256i two) {
      store_pair(block + at * 16, _mm256_castsi256_si128(two), _mm256_extracti128_si256(two, 1));
    });
    fill(block, k);
  }
  static void pack_columns(const x_code* x, std::size_t stride, std::size_t k, std::size_t count, packed_x* block) {
    const auto column = [&](std::size_t i) {
      return i < k ? machine::load_128(x + i * stride, count) : _mm_setzero_si128();
    };
    for (std::size_t i = 0; i < k; i += 2) store_pair(block + i * 16, column(i), column(i + 1));
    fill(block, k);
  }
  /// X in quads: 4 k's of row r at x[quad * stride + 4 r], r < count.
  static void pack_quads(const x_code* x, std::size_t stride, std::size_t quads, std::size_t count, packed_x* block) {
    const __m128i pairs = _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
    for (std::size_t q = 0; q < quads; ++q, x += stride, block += 64) {
      x_code rest[64] = {};
      const x_code* from = x;
      if (count < 16) {
        std::memcpy(rest, x, 4 * count);
        from = rest;
      }
      SPARQ_UNROLL for (std::size_t v = 0; v < 2; ++v) {
        const auto* rows = reinterpret_cast<const __m128i*>(from + 32 * v);
        const __m128i a = _mm_shuffle_epi8(_mm_loadu_si128(rows), pairs);      // rows 0..3, pair by pair
        const __m128i b = _mm_shuffle_epi8(_mm_loadu_si128(rows + 1), pairs);  // rows 4..7
        machine::store_128(block + 16 * v, _mm_unpacklo_epi64(a, b));
        machine::store_128(block + 32 + 16 * v, _mm_unpackhi_epi64(a, b));
      }
    }
  }
  template <std::size_t V>
  static SPARQ_INLINE x_group<V> load(const packed_x* block, const std::uint16_t* k) {
    x_group<V> x;
    const packed_x* quad = block + std::size_t{*k} * 16;
    SPARQ_UNROLL for (std::size_t p = 0; p < 2; ++p) {
      SPARQ_UNROLL for (std::size_t v = 0; v < V; ++v)
        x.pair[p][v] = base::widen(machine::load_128(quad + p * 32 + v * 16));
    }
    return x;
  }

 private:
  static SPARQ_INLINE void store_pair(packed_x* to, __m128i a, __m128i b) {
    machine::store_128(to, _mm_unpacklo_epi8(a, b));
    machine::store_128(to + 16, _mm_unpackhi_epi8(a, b));
  }
  /// The second pair of a last quad of one or two k's.
  static void fill(packed_x* block, std::size_t k) {
    if (k % 4 == 1 || k % 4 == 2) std::memset(block + k / 4 * 64 + 32, 0, 32);
  }
};

template <class X, class W>
struct machine::section_atom<quads4_avx2<X, W>> {
  using type = quads4_avx2<X, s8>;
};

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2
