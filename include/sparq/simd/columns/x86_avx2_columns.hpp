// SPDX-License-Identifier: MIT
#pragma once
// Atoms of the columns loop for AVX2. Bytes of X are widened to 16 bits as they are loaded, which takes no instruction
// more; two k's are interleaved and multiplied by vpmaddwd, exact for every input.

#include <sparq/base/schedule.hpp>
#include <sparq/simd/columns/column_atom.hpp>
#include <sparq/simd/transpose.hpp>
#include <sparq/simd/x86_registers.hpp>

#if SPARQ_HAS_AVX2

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sparq {
SPARQ_ABI_BEGIN

/// Four products of bytes as two vpmaddwd.
template <integer_numeric X, integer_numeric W>
struct columns4_avx2 {
  static constexpr std::string_view name = machine::atom_name<"columns4_", X, W, "_avx2">;
  static constexpr isa needs = feature::avx2;
  using x_code = typename X::code;
  using acc_type = std::int32_t;
  static constexpr std::size_t lanes = 8, registers = 2, group_k = 4;
  static constexpr std::int32_t weight_sum_factor = 0;
  using packed_x = std::uint8_t;
  using weight = std::int16_t;
  template <numeric N>
  static constexpr bool in_place = false;
  using acc = __m256i;
  /// Pairs of k's, interleaved: [pair][register].
  template <std::size_t V>
  struct x_group {
    __m256i pair[2][V];
  };

  /// Interleaving takes elements 0..3 and 8..11 of two k's first: there lie the rows 0..7.
  static void pack_rows(const x_code* const* rows, std::size_t k, packed_x* block) {
    const std::uint8_t* order[16];
    for (std::size_t r = 0; r < 16; ++r)
      order[r] = reinterpret_cast<const std::uint8_t*>(rows[r / 4 % 2 == r / 8 ? r : r ^ 12]);
    machine::for_transposed_bytes(order, k, [&](std::size_t at, __m256i two) {
      if (at + 1 < k)
        machine::store_256(block + at * 16, two);
      else
        machine::store_128(block + at * 16, _mm256_castsi256_si128(two));
    });
  }
  static void pack_columns(const x_code* x, std::size_t stride, std::size_t k, std::size_t count, packed_x* block) {
    for (std::size_t i = 0; i < k; ++i, x += stride, block += 16)
      machine::store_128(block, _mm_shuffle_epi32(machine::load_128(x, count), 0xd8));
  }
  template <std::size_t V>
  static SPARQ_INLINE x_group<V> load(const packed_x* block, const std::uint16_t* k) {
    x_group<V> x;
    SPARQ_UNROLL for (std::size_t p = 0; p < 2; ++p) {
      const __m256i a = widen(machine::load_128(block + std::size_t{k[2 * p]} * 16));
      const __m256i b = widen(machine::load_128(block + std::size_t{k[2 * p + 1]} * 16));
      x.pair[p][0] = _mm256_unpacklo_epi16(a, b);
      if constexpr (V == 2) x.pair[p][1] = _mm256_unpackhi_epi16(a, b);
    }
    return x;
  }
  static SPARQ_INLINE acc zero() { return _mm256_setzero_si256(); }
  template <std::size_t V>
  static SPARQ_INLINE void add(acc (&sums)[V], const weight* w, const x_group<V>& x) {
    SPARQ_UNROLL for (std::size_t p = 0; p < 2; ++p) {
      const __m256i broadcast = _mm256_set1_epi32(machine::load_as<std::int32_t>(w + 2 * p));
      SPARQ_UNROLL for (std::size_t v = 0; v < V; ++v) {
        sums[v] = _mm256_add_epi32(sums[v], _mm256_madd_epi16(x.pair[p][v], broadcast));
        SPARQ_KEEP_ORDER(sums[v]);
      }
    }
  }
  static SPARQ_INLINE acc load_sums(const acc_type* p) { return machine::load_256(p); }
  static SPARQ_INLINE void store_sums(acc_type* p, acc sums) { machine::store_256(p, sums); }

 protected:
  static SPARQ_INLINE __m256i widen(__m128i bytes) {
    return X::is_signed ? _mm256_cvtepi8_epi16(bytes) : _mm256_cvtepu8_epi16(bytes);
  }
};

/// The same for blocks of at most 8 rows and a long k: a k is 8 bytes instead of 16, so that 4096 k's fit into the
/// first-level cache. Of a short k 16 rows fit as they are.
template <integer_numeric X, integer_numeric W>
struct columns4_few_avx2 : columns4_avx2<X, W> {
  using base = columns4_avx2<X, W>;
  using x_code = typename X::code;
  static constexpr std::size_t registers = 1, least_k = 1025;
  using typename base::packed_x;
  template <std::size_t V>
  using x_group = typename base::template x_group<V>;

  static void pack_rows(const x_code* const* rows, std::size_t k, packed_x* block) {
    const std::uint8_t* bytes[8];
    for (std::size_t r = 0; r < 8; ++r) bytes[r] = reinterpret_cast<const std::uint8_t*>(rows[r]);
    machine::transpose_eight_rows(bytes, k, block);
  }
  static void pack_columns(const x_code* x, std::size_t stride, std::size_t k, std::size_t count, packed_x* block) {
    for (std::size_t i = 0; i < k; ++i, x += stride, block += 8) machine::store_64(block, machine::load_128(x, count));
  }
  /// @pre 8 bytes behind the last k may be read
  template <std::size_t V>
  static SPARQ_INLINE x_group<V> load(const packed_x* block, const std::uint16_t* k) {
    x_group<V> x;
    SPARQ_UNROLL for (std::size_t p = 0; p < 2; ++p) {
      const __m128i a = machine::load_64(block + std::size_t{k[2 * p]} * 8);
      const __m128i b = machine::load_128(block + std::size_t{k[2 * p + 1]} * 8);
      x.pair[p][0] = base::widen(_mm_unpacklo_epi8(a, b));
    }
    return x;
  }
};

namespace machine {

/// A register of eight floats.
struct floats_avx2 {
  using type = __m256;
  static constexpr std::size_t lanes = 8;
  static SPARQ_INLINE type zero() { return _mm256_setzero_ps(); }
  static SPARQ_INLINE type load(const float* p) { return _mm256_loadu_ps(p); }
  static SPARQ_INLINE void store(float* p, type v) { _mm256_storeu_ps(p, v); }
  static SPARQ_INLINE type broadcast(const float* p) { return _mm256_broadcast_ss(p); }
  static SPARQ_INLINE type multiply_add(type a, type b, type c) { return _mm256_fmadd_ps(a, b, c); }
};

/// Blocks of Registers registers of rows, and a fused multiply-add.
template <class X, class Floats, std::size_t Registers>
struct columns1_fma {
  using x_code = X;
  using acc_type = float;
  static constexpr std::size_t lanes = Floats::lanes, registers = Registers, group_k = 1;
  static constexpr std::int32_t weight_sum_factor = 0;
  using packed_x = float;
  using weight = float;
  template <numeric N>
  static constexpr bool in_place = N::bits == 32;
  using acc = typename Floats::type;
  template <std::size_t V>
  struct x_group {
    acc rows[V];
  };

  static void pack_rows(const x_code* const* rows, std::size_t k, float* block) {
    pack_float_rows<lanes * registers>(rows, k, block);
  }
  static void pack_columns(const x_code* x, std::size_t stride, std::size_t k, std::size_t count, float* block) {
    pack_float_columns<lanes * registers>(x, stride, k, count, block);
  }
  template <std::size_t V>
  static SPARQ_INLINE x_group<V> load(const float* block, const std::uint16_t* k) {
    return load_k<V>(block, *k);
  }
  template <std::size_t V>
  static SPARQ_INLINE x_group<V> load_k(const float* block, std::size_t k) {
    x_group<V> x;
    const float* at = block + k * (lanes * registers);
    SPARQ_UNROLL for (std::size_t v = 0; v < V; ++v) x.rows[v] = Floats::load(at + v * lanes);
    return x;
  }
  static SPARQ_INLINE acc zero() { return Floats::zero(); }
  template <std::size_t V>
  static SPARQ_INLINE void add(acc (&sums)[V], const float* w, const x_group<V>& x) {
    multiply_add(sums, Floats::broadcast(w), x);
  }
  static SPARQ_INLINE acc load_sums(const float* p) { return Floats::load(p); }
  static SPARQ_INLINE void store_sums(float* p, acc sums) { Floats::store(p, sums); }

 protected:
  template <std::size_t V>
  static SPARQ_INLINE void multiply_add(acc (&sums)[V], acc weight, const x_group<V>& x) {
    SPARQ_UNROLL for (std::size_t v = 0; v < V; ++v) sums[v] = Floats::multiply_add(x.rows[v], weight, sums[v]);
  }
};

}  // namespace machine

/// One fused multiply-add. Narrow floats become f32 on the way: X when a block is packed, W when a chunk is decoded.
template <numeric X, numeric W>
struct columns1_avx2 : machine::columns1_fma<typename X::code, machine::floats_avx2, 2> {
  using base = machine::columns1_fma<typename X::code, machine::floats_avx2, 2>;
  static constexpr std::string_view name = machine::atom_name<"columns1_", X, W, "_avx2">;
  static constexpr isa needs = feature::avx2;
  template <std::size_t Count>
  using list = machine::loaded_shorts<Count>;
  template <std::size_t V>
  using x_group = typename base::template x_group<V>;

  /// The weights of four channels, in both halves of a register.
  static SPARQ_INLINE __m256 four_weights(const float* w) {
    __m256 four = _mm256_castsi256_ps(machine::load_128_twice(w));
    SPARQ_KEEP_ORDER(four);  // clang++ would load each channel's again
    return four;
  }
  template <std::size_t C, std::size_t V>
  static SPARQ_INLINE void add_one_of(__m256 (&sums)[V], __m256 four, const x_group<V>& x) {
    base::multiply_add(sums, _mm256_permute_ps(four, C * 0x55), x);
  }
};

namespace machine {

template <class X, class W>
struct section_atom<columns4_avx2<X, W>> {
  using type = columns4_avx2<X, s8>;
};
template <class X, class W>
struct section_atom<columns4_few_avx2<X, W>> {
  using type = columns4_few_avx2<X, s8>;
};
template <class X, class W>
struct section_atom<columns1_avx2<X, W>> {
  using type = columns1_avx2<f32, f32>;
};

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2
