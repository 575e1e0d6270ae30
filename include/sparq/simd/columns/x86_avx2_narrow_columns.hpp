// SPDX-License-Identifier: MIT
#pragma once
// Atoms of the columns loop for narrow weights on AVX2. X stays bytes, two k's are interleaved, and vpmaddubsw
// multiplies 32 bytes at once, twice what vpmaddwd does. Sums of 16 bits hold a few groups; then what lies above their
// low byte is carried into sums beside them, in memory, and the low byte stays: four instructions for 16 sums, where
// widening takes six. The first operand is unsigned: a signed X is read with its top bit flipped, which is taken back
// with the sums of the weights.
//
//   block: [k][32 rows, in groups of four: 0 2 4 6 1 3 5 7]     two k's interleaved are rows 0..15, 16..31, ascending
//          [quad of k's][pair][register][row][2 k's]            quads: interleaved once, when a block is packed

#include <sparq/base/math.hpp>
#include <sparq/base/schedule.hpp>
#include <sparq/simd/columns/column_atom.hpp>
#include <sparq/simd/rows/x86_avx2_narrow.hpp>
#include <sparq/simd/transpose.hpp>
#include <sparq/simd/x86_registers.hpp>

#if SPARQ_HAS_AVX2

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Groups of four k's that sums of 16 bits hold beside what a carry leaves of them, 0 to 255. A sum of codes without
/// sign is read without sign.
template <integer_numeric N>
inline constexpr std::size_t column_groups = [] {
  constexpr std::int32_t most = N::is_signed ? 32767 : 65535, products = 4 * 255;
  std::int32_t groups = (most - 255) / (products * N::max_code);
  if constexpr (N::is_signed) groups = (std::min)(groups, 32768 / (products * -N::min_code));
  return static_cast<std::size_t>(groups);
}();

}  // namespace machine

/// Four products of bytes as two vpmaddubsw, for codes of which `Groups` groups fit into 16 bits. Types with as many
/// share an atom.
template <integer_numeric X, bool IsSigned, std::size_t Groups>
struct columns4_narrow_avx2 {
  static constexpr std::string_view name = X::is_signed ? "columns4_s8narrow_avx2" : "columns4_u8narrow_avx2";
  static constexpr isa needs = feature::avx2;
  using x_code = typename X::code;
  using acc_type = std::int32_t;
  static constexpr std::size_t lanes = 16, registers = 2, group_k = 4;
  static constexpr std::int32_t weight_sum_factor = X::is_signed ? -128 : 0;
  static constexpr std::size_t max_groups = Groups;
  static constexpr std::size_t max_carries = 127;  // of at most 255, one more when sums are added
  using packed_x = std::uint8_t;
  using weight = std::conditional_t<IsSigned, std::int8_t, std::uint8_t>;
  template <numeric N>
  static constexpr bool in_place = N::bits == 8;
  using acc = __m256i;
  /// Pairs of k's, interleaved: [pair][register].
  template <std::size_t V>
  struct x_group {
    __m256i pair[2][V];
  };

  static void pack_rows(const x_code* const* rows, std::size_t k, packed_x* block) {
    for (std::size_t half = 0; half < 2; ++half) {
      const std::uint8_t* order[16];
      for (std::size_t r = 0; r < 16; ++r)
        order[r] = reinterpret_cast<const std::uint8_t*>(rows[r / 4 * 8 + half * 4 + r % 4]);
      machine::for_transposed_bytes(order, k, [&](std::size_t at, __m256i two) {
        two = machine::unsigned_bytes<X>(two);
        packed_x* to = block + at * 32 + half * 16;
        store_half(to, _mm256_castsi256_si128(two));
        if (at + 1 < k) store_half(to + 32, _mm256_extracti128_si256(two, 1));
      });
    }
  }
  static void pack_columns(const x_code* x, std::size_t stride, std::size_t k, std::size_t count, packed_x* block) {
    const __m256i order = _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7);
    for (std::size_t i = 0; i < k; ++i, x += stride, block += 32)
      store(block, _mm256_permutevar8x32_epi32(column(x, count), order));
  }
  template <std::size_t V>
  static SPARQ_INLINE x_group<V> load(const packed_x* block, const std::uint16_t* k) {
    x_group<V> x;
    SPARQ_UNROLL for (std::size_t p = 0; p < 2; ++p) {
      const __m256i a = at(block + std::size_t{k[2 * p]} * 32);
      const __m256i b = at(block + std::size_t{k[2 * p + 1]} * 32);
      x.pair[p][0] = _mm256_unpacklo_epi8(a, b);
      if constexpr (V == 2) x.pair[p][1] = _mm256_unpackhi_epi8(a, b);
    }
    return x;
  }
  static SPARQ_INLINE acc zero() { return _mm256_setzero_si256(); }
  template <std::size_t V>
  static SPARQ_INLINE void add(acc (&sums)[V], const weight* w, const x_group<V>& x) {
    SPARQ_UNROLL for (std::size_t p = 0; p < 2; ++p) {
      const __m256i broadcast = _mm256_set1_epi16(machine::load_as<std::int16_t>(w + 2 * p));
      SPARQ_UNROLL for (std::size_t v = 0; v < V; ++v) {
        sums[v] = _mm256_add_epi16(sums[v], _mm256_maddubs_epi16(x.pair[p][v], broadcast));
        SPARQ_KEEP_ORDER(sums[v]);
      }
    }
  }
  static SPARQ_INLINE void carry(acc& sums, acc* high) {
    const __m256i above = IsSigned ? _mm256_srai_epi16(sums, 8) : _mm256_srli_epi16(sums, 8);
    _mm256_store_si256(high, _mm256_add_epi16(_mm256_load_si256(high), above));
    sums = _mm256_and_si256(sums, _mm256_set1_epi16(255));
    SPARQ_KEEP_ORDER(sums);
  }
  static SPARQ_INLINE void add_sums(acc_type* p, acc sums, acc* high) {
    if constexpr (!IsSigned) carry(sums, high);
    const __m256i carried = _mm256_load_si256(high);
    const __m256i places = _mm256_set1_epi32(1 | 256 << 16);
    machine::add_eight(p, _mm256_madd_epi16(_mm256_unpacklo_epi16(sums, carried), places));
    machine::add_eight(p + 8, _mm256_madd_epi16(_mm256_unpackhi_epi16(sums, carried), places));
  }

 protected:
  /// `count` rows of one k; beyond them whatever.
  static SPARQ_INLINE __m256i column(const x_code* x, std::size_t count) {
    return machine::unsigned_bytes<X>(machine::load_256(x, count));
  }
  static SPARQ_INLINE __m256i at(const packed_x* p) { return _mm256_load_si256(reinterpret_cast<const __m256i*>(p)); }
  static SPARQ_INLINE void store(packed_x* p, __m256i v) { _mm256_store_si256(reinterpret_cast<__m256i*>(p), v); }
  static SPARQ_INLINE void store_half(packed_x* p, __m128i v) { _mm_store_si128(reinterpret_cast<__m128i*>(p), v); }

};

/// The same for runs of four k's; sums as in columns4_narrow_avx2.
template <integer_numeric X, bool IsSigned, std::size_t Groups>
struct quads4_narrow_avx2 : columns4_narrow_avx2<X, IsSigned, Groups> {
  static constexpr std::string_view name = X::is_signed ? "quads4_s8narrow_avx2" : "quads4_u8narrow_avx2";
  static constexpr std::size_t run = 4;
  using base = columns4_narrow_avx2<X, IsSigned, Groups>;
  using typename base::packed_x;
  using typename base::x_code;
  template <std::size_t V>
  using x_group = typename base::template x_group<V>;

  static void pack_rows(const x_code* const* rows, std::size_t k, packed_x* block) {
    for (std::size_t v = 0; v < 2; ++v) {
      const std::uint8_t* order[16];
      for (std::size_t r = 0; r < 16; ++r)
        order[r] = reinterpret_cast<const std::uint8_t*>(rows[16 * v + r / 4 % 2 * 8 + r / 8 * 4 + r % 4]);
      machine::for_transposed_bytes(order, k, [&](std::size_t at, __m256i two) {
        two = machine::unsigned_bytes<X>(two);
        const __m128i a = _mm256_castsi256_si128(two), b = _mm256_extracti128_si256(two, 1);
        packed_x* to = block + at * 32 + v * 32;  // a pair takes 64 bytes
        base::store_half(to, _mm_unpacklo_epi8(a, b));
        base::store_half(to + 16, _mm_unpackhi_epi8(a, b));
      });
    }
    fill(block, k);
  }
  static void pack_columns(const x_code* x, std::size_t stride, std::size_t k, std::size_t count, packed_x* block) {
    packed_x* to = block;
    for (std::size_t i = 0; i < k; i += 2, to += 64) {
      const __m256i a = _mm256_shuffle_epi32(base::column(x + i * stride, count), 0xd8);
      const __m256i b =
          _mm256_shuffle_epi32(i + 1 < k ? base::column(x + (i + 1) * stride, count) : base::zero(), 0xd8);
      const __m256i low = _mm256_unpacklo_epi8(a, b), high = _mm256_unpackhi_epi8(a, b);
      base::store(to, _mm256_permute2x128_si256(low, high, 0x20));
      base::store(to + 32, _mm256_permute2x128_si256(low, high, 0x31));
    }
    fill(block, k);
  }
  /// X in quads: 4 k's of row r at x[quad * stride + 4 r], r < count.
  static void pack_quads(const x_code* x, std::size_t stride, std::size_t quads, std::size_t count, packed_x* block) {
    const __m256i pairs =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15));
    for (std::size_t q = 0; q < quads; ++q, x += stride, block += 128) {
      x_code rest[128] = {};
      const x_code* from = x;
      if (count < 32) {
        std::memcpy(rest, x, 4 * count);
        from = rest;
      }
      // first pairs of four rows, second pairs of them, the same of the next four
      const auto eight = [&](std::size_t i) {
        const __m256i rows = machine::load_256(from + 32 * i);
        return _mm256_shuffle_epi8(machine::unsigned_bytes<X>(rows), pairs);
      };
      SPARQ_UNROLL for (std::size_t v = 0; v < 2; ++v) {
        const __m256i a = eight(2 * v), b = eight(2 * v + 1);
        base::store(block + 32 * v, _mm256_unpacklo_epi64(a, b));
        base::store(block + 64 + 32 * v, _mm256_unpackhi_epi64(a, b));
      }
    }
  }
  template <std::size_t V>
  static SPARQ_INLINE x_group<V> load(const packed_x* block, const std::uint16_t* k) {
    x_group<V> x;
    const packed_x* quad = block + std::size_t{*k} * 32;
    SPARQ_UNROLL for (std::size_t p = 0; p < 2; ++p) {
      SPARQ_UNROLL for (std::size_t v = 0; v < V; ++v) x.pair[p][v] = base::at(quad + p * 64 + v * 32);
    }
    return x;
  }

 private:
  /// The second pair of a last quad of one or two k's.
  static void fill(packed_x* block, std::size_t k) {
    if (k % 4 == 1 || k % 4 == 2) std::memset(block + k / 4 * 128 + 64, 0, 64);
  }
};

namespace machine {

template <class X, bool IsSigned, std::size_t Groups>
struct section_atom<columns4_narrow_avx2<X, IsSigned, Groups>> {
  using type = columns4_narrow_avx2<u8, IsSigned, Groups>;
};
template <class X, bool IsSigned, std::size_t Groups>
struct section_atom<quads4_narrow_avx2<X, IsSigned, Groups>> {
  using type = quads4_narrow_avx2<u8, IsSigned, Groups>;
};

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2
