// SPDX-License-Identifier: MIT
#pragma once
// The atom of the columns loop for runs of four k's, AVX-512 VNNI: a register of X is 4 k's of 16 rows as X in quads
// holds them, so that nothing is interleaved.
//
//   block: [quad of k's][register][row][4 k's]

#include <sparq/base/schedule.hpp>
#include <sparq/simd/columns/x86_avx512_columns.hpp>
#include <sparq/simd/x86_registers.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#if SPARQ_HAS_AVX512VNNI

namespace sparq {
SPARQ_ABI_BEGIN

/// Four products of bytes in one vpdpbusd; sums as in columns4_avx512vnni.
/// - Registers: of 16 rows in a block; of one is the last block where it has few rows
template <integer_numeric X, integer_numeric W, std::size_t Registers = 4>
struct quads4_avx512vnni : columns4_avx512vnni<X, W> {
  using base = columns4_avx512vnni<X, W>;
  static constexpr std::string_view name = machine::atom_name<"quads4_", X, W, "_avx512vnni">;
  static constexpr std::size_t registers = Registers, run = 4, least_k = 0, gathered_rows = 0;
  using x_code = typename X::code;
  using packed_x = std::uint8_t;
  template <std::size_t V>
  using x_group = typename base::template x_group<V>;

  static void pack_rows(const x_code* const* rows, std::size_t k, packed_x* block) {
    const std::uint32_t top = base::flips ? 0x80808080U : 0;
    std::size_t at = 0;
    for (; at + 32 <= k; at += 32) {
      packed_x* const first = block + at * block_rows;
      for (std::size_t r = 0; r < block_rows; r += 8) {
        const float* words[8];
        for (std::size_t i = 0; i < 8; ++i) words[i] = reinterpret_cast<const float*>(rows[r + i] + at);
        machine::transpose_8x8(words, reinterpret_cast<float*>(first) + r, block_rows);
      }
      for (std::size_t i = 0; base::flips && i < 8 * Registers; ++i) {
        packed_x* to = first + 64 * i;
        _mm512_storeu_si512(to, _mm512_xor_si512(_mm512_loadu_si512(to), _mm512_set1_epi32(static_cast<int>(top))));
      }
    }
    for (; at < k; at += 4)
      for (std::size_t r = 0; r < block_rows; ++r) {
        std::uint32_t quad = 0;
        std::memcpy(&quad, rows[r] + at, k - at < 4 ? k - at : 4);
        quad ^= top;
        std::memcpy(block + at * block_rows + 4 * r, &quad, 4);
      }
  }
  static void pack_columns(const x_code* x, std::size_t stride, std::size_t k, std::size_t count, packed_x* block) {
    alignas(64) packed_x four[4 * 64];
    for (std::size_t at = 0; at < k; at += 4, block += 4 * block_rows) {
      const std::size_t left = k - at < 4 ? k - at : 4;
      if (left < 4) std::memset(four, 0, sizeof four);
      base::pack_columns(x + at * stride, stride, left, count, four);
      const std::uint16_t list[4] = {0, 1, 2, 3};
      const auto quads = base::template load<Registers>(four, list);
      for (std::size_t v = 0; v < Registers; ++v) _mm512_storeu_si512(block + 64 * v, quads.quad[v]);
    }
  }
  /// X in quads: 4 k's of row r at x[quad * stride + 4 r], r < count.
  static void pack_quads(const x_code* x, std::size_t stride, std::size_t quads, std::size_t count, packed_x* block) {
    const __m512i top = _mm512_set1_epi8(base::flips ? static_cast<char>(0x80) : 0);
    for (std::size_t q = 0; q < quads; ++q, x += stride, block += 4 * block_rows) {
      for (std::size_t v = 0; v < Registers; ++v) {
        const __m512i row = _mm512_maskz_loadu_epi8(machine::bytes_there(4 * count, 64 * v), x + 64 * v);
        _mm512_storeu_si512(block + 64 * v, _mm512_xor_si512(row, top));
      }
    }
  }
  template <std::size_t V>
  static SPARQ_INLINE x_group<V> load(const packed_x* block, const std::uint16_t* k) {
    x_group<V> x;
    const packed_x* quad = block + std::size_t{*k} * block_rows;
    SPARQ_UNROLL for (std::size_t v = 0; v < V; ++v) x.quad[v] = _mm512_loadu_si512(quad + 64 * v);
    return x;
  }
  /// Quads of weights of four channels, once for every 16 bytes of a register.
  static SPARQ_INLINE __m512i four_weights(const typename base::weight* w) {
    __m512i four = _mm512_broadcast_i32x4(machine::load_128(w));
    SPARQ_KEEP_ORDER(four);  // compilers would load each channel's again
    return four;
  }
  /// Adds the products of channel C's quad.
  template <std::size_t C, std::size_t V>
  static SPARQ_INLINE void add_one_of(typename base::acc (&sums)[V], __m512i four, const x_group<V>& x) {
    const __m512i weights = _mm512_shuffle_epi32(four, static_cast<_MM_PERM_ENUM>(C * 0x55));
    SPARQ_UNROLL for (std::size_t v = 0; v < V; ++v)
      sums[v] = W::is_signed ? _mm512_dpbusd_epi32(sums[v], x.quad[v], weights)
                             : _mm512_dpbusd_epi32(sums[v], weights, x.quad[v]);
  }

 private:
  static constexpr std::size_t block_rows = 16 * Registers;
};

namespace machine {

/// As for columns4_avx512vnni.
template <integer_numeric X, integer_numeric W, std::size_t Registers>
struct section_atom<quads4_avx512vnni<X, W, Registers>> {
  using type = quads4_avx512vnni<u8, W, Registers>;
};
template <integer_numeric X, integer_numeric W>
struct tall_atom<quads4_avx512vnni<X, W>> {
  using type = tall_avx512<quads4_avx512vnni<u8, W>, quads4_avx512vnni<u8, W, 1>>;
};

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX512VNNI
