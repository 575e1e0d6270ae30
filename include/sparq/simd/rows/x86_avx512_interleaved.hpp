// SPDX-License-Identifier: MIT
#pragma once
// Bytes of many rows for AVX-512 VNNI: vpdpbusd broadcasts its signed operand from memory, so that a dot is one
// instruction, if its address is one register and a constant. X is signed therefore, W unsigned, and the rows of a
// block lie interleaved, 32 bytes of each in turn, behind what their sums start from:
//
//   [ start of row 0, 28 bytes | of row 1 | ... ] [ k 0 .. 31 of row 0 | of row 1 | ... ] [ k 32 .. 63 of row 0 | ... ]
//
// w is w + 128 where it was signed, so a row's sums start from -128 times the sum of its x's; x is x - 128 where it was
// unsigned, which is taken back with the sums of the weights.

#include <sparq/base/schedule.hpp>
#include <sparq/simd/rows/atom.hpp>
#include <sparq/simd/rows/x86_avx512.hpp>
#include <sparq/simd/x86_registers.hpp>

#if SPARQ_HAS_AVX512VNNI

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <string_view>

namespace sparq {
SPARQ_ABI_BEGIN

template <integer_numeric X, integer_numeric W>
struct dot4_interleaved_avx512vnni {
  static constexpr std::string_view name = machine::atom_name<"dot4_", X, W, "_interleaved_avx512vnni">;
  static constexpr std::string_view x_form = "interleaved";
  static constexpr isa needs = dot4_avx512vnni<X, W>::needs;
  using x_code = typename X::code;
  using acc_type = std::int32_t;
  static constexpr std::size_t lanes = 16, group_k = 4, steps = 1, block_rows = 12;
  static constexpr std::int32_t weight_sum_factor = X::is_signed ? 0 : 128;
  using packed_x = std::int8_t;
  static constexpr bool in_place = false;
  static constexpr std::size_t interleaved_x = 32;
  using acc = __m512i;
  using w_word = __m512i;
  using x_word = const packed_x*;

  static void pack_row(const x_code* x, std::size_t k, std::size_t groups, std::size_t height, packed_x* out) {
    const __m512i ones = _mm512_set1_epi8(1), middle = _mm512_set1_epi8(X::is_signed ? 0 : static_cast<char>(0x80));
    const std::size_t step = height * interleaved_x, end = groups * group_k;
    __m512i sums = _mm512_setzero_si512();
    packed_x* to = out;
    for (std::size_t first = 0; first < end; first += 64) {
      const x_code* from = x + first;
      x_code rest[64];
      if (first + 64 > k) {
        std::memset(rest, X::is_signed ? 0 : 0x80, sizeof rest);
        if (k > first) std::memcpy(rest, from, k - first);
        from = rest;
      }
      const __m512i some = _mm512_xor_si512(_mm512_loadu_si512(from), middle);
      sums = _mm512_dpbusd_epi32(sums, ones, some);
      machine::store_256(to += step, _mm512_castsi512_si256(some));
      if (first + 32 < end) machine::store_256(to += step, _mm512_extracti64x4_epi64(some, 1));
    }
    std::int32_t lane[lanes];
    _mm512_storeu_si512(lane, sums);
    const std::uint32_t start = W::is_signed ? 0U - 128U * std::accumulate(lane, lane + lanes, 0U) : 0;  // as dots wrap
    std::memcpy(out, &start, sizeof start);
  }

  static SPARQ_INLINE acc zero() { return _mm512_setzero_si512(); }
  static SPARQ_INLINE acc start(acc c, const packed_x* p) {
    c = _mm512_add_epi32(c, _mm512_set1_epi32(machine::load_as<std::int32_t>(p)));
    SPARQ_KEEP_ORDER(c);  // equal starts are registers of their own
    return c;
  }
  static SPARQ_INLINE x_word broadcast(const packed_x* p) { return p; }
  static SPARQ_INLINE acc dot(acc c, w_word w, x_word x) {
    SPARQ_DOT_OF_BROADCAST(c, w, x);
    return c;
  }
  static SPARQ_INLINE void store(acc_type* p, acc c) { _mm512_storeu_si512(p, c); }

  /// Words of unsigned bytes.
  template <integer_numeric N>
  struct loader {
    using as_they_are = typename dot4_avx512vnni<X, W>::template loader<N>;
    static constexpr std::size_t groups = as_they_are::groups;
    using raw = __m512i;
    static SPARQ_INLINE raw load(const std::uint32_t* words) { return as_they_are::load(words); }
    template <std::size_t Step>
    static SPARQ_INLINE w_word decode(raw r) {
      const __m512i codes = as_they_are::template decode<Step>(r);
      return N::is_signed ? _mm512_xor_si512(codes, _mm512_set1_epi8(static_cast<char>(0x80))) : codes;
    }
  };
  template <integer_numeric N>
  static constexpr bool keeps_words = N::bits < 8 || N::is_signed;
  using kept = u8;
  static SPARQ_INLINE void keep(std::uint32_t* to, w_word w) { _mm512_storeu_si512(to, w); }
};

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX512VNNI
