// SPDX-License-Identifier: MIT
#pragma once
// Atoms of the columns loop for AVX-512: four k's of 64 rows are interleaved in registers, then vpdpbusd; and fused
// multiply-adds. Without VNNI, bytes are served by AVX2's atom.

#include <sparq/base/schedule.hpp>
#include <sparq/simd/columns/column_atom.hpp>
#include <sparq/simd/columns/x86_avx2_columns.hpp>
#include <sparq/simd/transpose.hpp>
#include <sparq/simd/x86_registers.hpp>

#if SPARQ_HAS_AVX512

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sparq {
SPARQ_ABI_BEGIN

#if SPARQ_HAS_AVX512VNNI

namespace machine {

/// Which bytes of a register that begins `at` bytes into `count` of them are there. A load under this mask waits for
/// nothing; a copy to a whole register would wait for its own stores.
constexpr std::uint64_t bytes_there(std::size_t count, std::size_t at = 0) {
  const std::size_t there = count > at ? count - at : 0;
  return there < 64 ? (std::uint64_t{1} << there) - 1 : ~std::uint64_t{0};
}

}  // namespace machine

/// Four products of bytes in one vpdpbusd; signs as in dot4_avx512vnni.
template <integer_numeric X, integer_numeric W>
struct columns4_avx512vnni {
  static constexpr std::string_view name = machine::atom_name<"columns4_", X, W, "_avx512vnni">;
  static constexpr isa needs = feature::avx2 | feature::avx512 | isa(feature::avx512vnni);
  static constexpr bool flips = X::is_signed == W::is_signed;
  using x_code = typename X::code;
  using acc_type = std::int32_t;
  static constexpr std::size_t lanes = 16, registers = 4, group_k = 4;
  static constexpr std::int32_t weight_sum_factor = !flips ? 0 : X::is_signed ? -128 : 128;
  using packed_x = std::uint8_t;
  using weight = typename W::code;
  template <numeric N>
  static constexpr bool in_place = N::bits == 8;
  using acc = __m512i;
  /// Quads of k's, interleaved.
  template <std::size_t V>
  struct x_group {
    __m512i quad[V];
  };

  /// The row that a block keeps in a lane of 16 bytes at a place: interleaving takes four places of all lanes at once,
  /// and register j of the elements is to have the rows 16 j to 16 j + 15.
  static constexpr std::size_t row_at(std::size_t lane, std::size_t place) {
    return 16 * (place / 4) + 4 * lane + place % 4;
  }
  static void pack_rows(const x_code* const* rows, std::size_t k, packed_x* block) {
    for (std::size_t g = 0; g < 4; ++g) {
      const std::uint8_t* order[16];
      for (std::size_t r = 0; r < 16; ++r) order[r] = reinterpret_cast<const std::uint8_t*>(rows[row_at(g, r)]);
      machine::for_transposed_bytes(order, k, [&](std::size_t at, __m256i two) {
        two = _mm256_xor_si256(two, _mm256_set1_epi8(flips ? static_cast<char>(0x80) : 0));
        packed_x* to = block + at * 64 + 16 * g;
        machine::store_128(to, _mm256_castsi256_si128(two));
        if (at + 1 < k) machine::store_128(to + 64, _mm256_extracti128_si256(two, 1));
      });
    }
  }
  static void pack_columns(const x_code* x, std::size_t stride, std::size_t k, std::size_t count, packed_x* block) {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i top = _mm512_set1_epi8(flips ? static_cast<char>(0x80) : 0);
    const __mmask64 rows = machine::bytes_there(count);
    for (std::size_t i = 0; i < k; ++i, x += stride, block += 64) {
      const __m512i row = _mm512_xor_si512(_mm512_maskz_loadu_epi8(rows, x), top);
      _mm512_storeu_si512(block, _mm512_permutexvar_epi32(order, row));
    }
  }
  /// Interleaves four k's.
  template <std::size_t V>
  static SPARQ_INLINE x_group<V> load(const packed_x* block, const std::uint16_t* k) {
    const auto at = [&](std::size_t i) SPARQ_LAMBDA_INLINE {
      return _mm512_loadu_si512(block + std::size_t{k[i]} * 64);
    };
    const __m512i a = at(0), b = at(1), c = at(2), d = at(3);
    const __m512i ab = _mm512_unpacklo_epi8(a, b), cd = _mm512_unpacklo_epi8(c, d);
    x_group<V> x;
    x.quad[0] = _mm512_unpacklo_epi16(ab, cd);
    if constexpr (V > 1) x.quad[1] = _mm512_unpackhi_epi16(ab, cd);
    if constexpr (V > 2) {
      const __m512i high_ab = _mm512_unpackhi_epi8(a, b), high_cd = _mm512_unpackhi_epi8(c, d);
      x.quad[2] = _mm512_unpacklo_epi16(high_ab, high_cd);
      x.quad[3] = _mm512_unpackhi_epi16(high_ab, high_cd);
    }
    return x;
  }
  static SPARQ_INLINE acc zero() { return _mm512_setzero_si512(); }
  template <std::size_t V>
  static SPARQ_INLINE void add(acc (&sums)[V], const weight* w, const x_group<V>& x) {
    const __m512i broadcast = _mm512_set1_epi32(machine::load_as<std::int32_t>(w));
    SPARQ_UNROLL for (std::size_t v = 0; v < V; ++v)
      sums[v] = W::is_signed ? _mm512_dpbusd_epi32(sums[v], x.quad[v], broadcast)
                             : _mm512_dpbusd_epi32(sums[v], broadcast, x.quad[v]);
  }
  static SPARQ_INLINE acc load_sums(const acc_type* p) { return _mm512_loadu_si512(p); }
  static SPARQ_INLINE void store_sums(acc_type* p, acc sums) { _mm512_storeu_si512(p, sums); }
};

#if SPARQ_HAS_AVX512VBMI

/// The same for blocks of at most 16 rows, as the last one often is: a k is 16 bytes, so loads are a quarter as wide,
/// and one permute interleaves four of them.
template <integer_numeric X, integer_numeric W>
struct columns4_few_avx512vbmi : columns4_avx512vnni<X, W> {
  using base = columns4_avx512vnni<X, W>;
  using x_code = typename X::code;
  static constexpr std::size_t registers = 1, least_k = 0, gathered_rows = 1;
  using packed_x = std::uint8_t;
  template <std::size_t V>
  using x_group = typename base::template x_group<V>;

  static void pack_rows(const x_code* const* rows, std::size_t k, packed_x* block) {
    const std::uint8_t* bytes[16];
    for (std::size_t r = 0; r < 16; ++r) bytes[r] = reinterpret_cast<const std::uint8_t*>(rows[r]);
    machine::for_transposed_bytes(bytes, k, [&](std::size_t at, __m256i two) {
      two = _mm256_xor_si256(two, _mm256_set1_epi8(base::flips ? static_cast<char>(0x80) : 0));
      packed_x* to = block + at * 16;
      machine::store_128(to, _mm256_castsi256_si128(two));
      if (at + 1 < k) machine::store_128(to + 16, _mm256_extracti128_si256(two, 1));
    });
  }
  static void pack_columns(const x_code* x, std::size_t stride, std::size_t k, std::size_t count, packed_x* block) {
    const __m128i top = _mm_set1_epi8(base::flips ? static_cast<char>(0x80) : 0);
    const __mmask64 rows = machine::bytes_there(count);
    for (std::size_t i = 0; i < k; ++i, x += stride, block += 16) {
      const __m256i row = _mm512_castsi512_si256(_mm512_maskz_loadu_epi8(rows, x));
      machine::store_128(block, _mm_xor_si128(_mm256_castsi256_si128(row), top));
    }
  }
  template <std::size_t V>
  static SPARQ_INLINE x_group<V> load(const packed_x* block, const std::uint16_t* k) {
    const auto in_all_lanes = [&](std::size_t i) SPARQ_LAMBDA_INLINE {
      return _mm512_broadcast_i32x4(machine::load_128(block + std::size_t{k[i]} * 16));
    };
    __m512i order = _mm512_loadu_si512(row_by_row.data());
    SPARQ_KEEP_ORDER(order);  // clang would load it again in each turn
    __m512i four = in_all_lanes(0);
    const auto take = [&](__mmask16 lane, std::size_t i) SPARQ_LAMBDA_INLINE {
      SPARQ_KEEP_ORDER(four);  // clang would insert lanes, which is a permute
      four = _mm512_mask_blend_epi32(lane, four, in_all_lanes(i));
    };
    take(0x00f0, 1), take(0x0f00, 2), take(0xf000, 3);
    x_group<V> x;
    x.quad[0] = _mm512_permutexvar_epi8(order, four);
    return x;
  }

 private:
  /// Byte 4 r + i: row r of the i-th k, which lies in lane i.
  alignas(64) static constexpr std::array<std::uint8_t, 64> row_by_row = [] {
    std::array<std::uint8_t, 64> places{};
    for (std::size_t b = 0; b < 64; ++b) places[b] = static_cast<std::uint8_t>(b % 4 * 16 + b / 4);
    return places;
  }();
};

#endif  // SPARQ_HAS_AVX512VBMI

namespace machine {

/// A block of 64 rows and up to 16 behind it, which Block and Few have packed.
template <class Block, class Few>
struct tall_avx512 : Block {
  static constexpr std::size_t registers = Block::registers + Few::registers;
  /// Both at the same k.
  struct packed_x {
    const typename Block::packed_x* block;
    const typename Few::packed_x* few;
  };
  template <std::size_t V>
  using x_group = typename Block::template x_group<V>;

  template <std::size_t V>
  static SPARQ_INLINE x_group<V> load(const packed_x* both, const std::uint16_t* k) {
    const auto of_block = Block::template load<V - 1>(both->block, k);
    x_group<V> x;
    SPARQ_UNROLL for (std::size_t v = 0; v + 1 < V; ++v) x.quad[v] = of_block.quad[v];
    x.quad[V - 1] = Few::template load<1>(both->few, k).quad[0];
    return x;
  }
};

/// X is packed as bytes that have no sign any more.
template <integer_numeric X, integer_numeric W>
struct section_atom<columns4_avx512vnni<X, W>> {
  using type = columns4_avx512vnni<u8, W>;
};
#if SPARQ_HAS_AVX512VBMI
template <integer_numeric X, integer_numeric W>
struct section_atom<columns4_few_avx512vbmi<X, W>> {
  using type = columns4_few_avx512vbmi<u8, W>;
};
template <integer_numeric X, integer_numeric W>
struct tall_atom<columns4_avx512vnni<X, W>> {
  using type = tall_avx512<columns4_avx512vnni<u8, W>, columns4_few_avx512vbmi<u8, W>>;
};
#endif

}  // namespace machine

#endif  // SPARQ_HAS_AVX512VNNI

namespace machine {

/// A register of sixteen floats.
struct floats_avx512 {
  using type = __m512;
  static constexpr std::size_t lanes = 16;
  static SPARQ_INLINE type zero() { return _mm512_setzero_ps(); }
  static SPARQ_INLINE type load(const float* p) { return _mm512_loadu_ps(p); }
  static SPARQ_INLINE void store(float* p, type v) { _mm512_storeu_ps(p, v); }
  static SPARQ_INLINE type broadcast(const float* p) { return _mm512_set1_ps(*p); }
  static SPARQ_INLINE type multiply_add(type a, type b, type c) { return _mm512_fmadd_ps(a, b, c); }
};

}  // namespace machine

/// One fused multiply-add, as on AVX2.
template <numeric X, numeric W>
struct columns1_avx512 : machine::columns1_fma<typename X::code, machine::floats_avx512, 4> {
  static constexpr std::string_view name = machine::atom_name<"columns1_", X, W, "_avx512">;
  static constexpr isa needs = feature::avx2 | feature::avx512;
};

/// The same for blocks of at most 16 rows, as the last one often is: its k's follow each other, 64 bytes each.
template <numeric X, numeric W>
struct columns1_few_avx512 : machine::columns1_fma<typename X::code, machine::floats_avx512, 1> {
  static constexpr std::string_view name = columns1_avx512<X, W>::name;
  static constexpr isa needs = columns1_avx512<X, W>::needs;
  static constexpr std::size_t least_k = 0, gathered_rows = 1;
};

namespace machine {

/// X is packed as f32, and so are weights.
template <numeric X, numeric W>
struct section_atom<columns1_avx512<X, W>> {
  using type = columns1_avx512<f32, f32>;
};
template <numeric X, numeric W>
struct section_atom<columns1_few_avx512<X, W>> {
  using type = columns1_few_avx512<f32, f32>;
};

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX512
