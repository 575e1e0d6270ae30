// SPDX-License-Identifier: MIT
#pragma once
// Atoms for activations of -1 and 1, 32 to a word: products are counted, not multiplied. A word of W is one bit of 32
// codes, a plane; weights of 2 bits have two, one strip of words behind the other. With x = 1 - 2 b,
// where b is the bit of x:
//
//   binary    sum w x = K          - 2 count(p0 ^ b)                     K: the channel's k's
//   ternary   sum w x = sum |w|    - 2 count(p0 & (p1 ^ b))              p0: not zero, p1: negative
//   s2, u2    sum w x = sum w      - 2 (count(p0 & b) -+ 2 count(p1 & b))
//
// The packed form keeps the first term as the channel's weight sum (packed.hpp), so what is beyond K needs no care:
// there all bits are 0. AVX2 counts by looking up nibbles; W is split into nibbles when it is loaded, X when it is
// packed, and repeated for every channel there.

#include <sparq/base/schedule.hpp>
#include <sparq/simd/bits.hpp>
#include <sparq/simd/rows/scalar.hpp>
#include <sparq/simd/x86_registers.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Words of a strip of panel_shape<16, 32>.
inline constexpr std::size_t plane_words = 16;

/// -1 and 1, and 0 if there are two planes: the second plane is the sign.
template <integer_numeric W>
inline constexpr bool is_sign_v = W::min_code == -1 && W::max_code == 1;

/// What names say of W.
template <integer_numeric W>
inline constexpr name_part plane_name = W::bits == 1 ? "b1" : is_sign_v<W> ? "ternary" : W::is_signed ? "s2" : "u2";

}  // namespace machine

/// 32 products, counted by the CPU's scalar instruction or what stands for it.
template <integer_numeric W>
struct popcnt32_scalar {
  static constexpr std::size_t planes = static_cast<std::size_t>(W::bits);
  static constexpr std::string_view name = machine::joined_name<"popcnt32_b1", machine::plane_name<W>, "_scalar">;
  static constexpr isa needs{};
  using x_code = eight_bits;
  using acc_type = std::int32_t;
  static constexpr std::size_t lanes = 4, group_k = 32, group_x = 4, steps = 1, block_rows = 4;
  static constexpr std::int32_t weight_sum_factor = 1;
  using packed_x = eight_bits;
  static constexpr bool in_place = true;
  using acc = machine::lanes4<std::int32_t>;
  struct w_word {
    std::uint32_t plane[planes][4];
  };
  using x_word = std::uint32_t;

  static void pack_row(const x_code* x, std::size_t k, bool, packed_x* out) { copy_bits(x, k, out); }
  static SPARQ_INLINE acc zero() { return {}; }
  static SPARQ_INLINE x_word broadcast(const packed_x* p) { return machine::load_as<x_word>(p); }
  static SPARQ_INLINE acc dot(acc c, const w_word& w, x_word x) {
    for (std::size_t l = 0; l < 4; ++l) {
      if constexpr (planes == 1)
        c.lane[l] += std::popcount(w.plane[0][l] ^ x);
      else if constexpr (machine::is_sign_v<W>)
        c.lane[l] += std::popcount(w.plane[0][l] & (w.plane[1][l] ^ x));
      else
        c.lane[l] += std::popcount(w.plane[0][l] & x) + (W::is_signed ? -2 : 2) * std::popcount(w.plane[1][l] & x);
    }
    return c;
  }
  static SPARQ_INLINE acc sums(acc c) {
    for (std::size_t l = 0; l < 4; ++l) c.lane[l] *= -2;
    return c;
  }
  static SPARQ_INLINE void store(acc_type* p, const acc& c) {
    const acc whole = sums(c);
    std::memcpy(p, whole.lane, sizeof whole.lane);
  }

  template <integer_numeric N>
  struct loader {
    static constexpr std::size_t groups = 1;
    using raw = w_word;
    static SPARQ_INLINE raw load(const std::uint32_t* words) {
      raw r;
      for (std::size_t i = 0; i < planes; ++i)
        std::memcpy(r.plane[i], words + i * machine::plane_words, sizeof r.plane[i]);
      return r;
    }
    template <std::size_t>
    static SPARQ_INLINE w_word decode(const raw& r) { return r; }
  };
};

#if SPARQ_HAS_AVX2

namespace machine {

/// One register for each plane.
template <std::size_t Planes>
struct planes_avx2 {
  __m256i p0;
};
template <>
struct planes_avx2<2> {
  __m256i p0, p1;
};

/// Nibble Part (0: low, 1: high) of every byte.
template <std::size_t Part>
SPARQ_INLINE __m256i nibbles(__m256i v) {
  return _mm256_and_si256(Part == 0 ? v : _mm256_srli_epi16(v, 4), _mm256_set1_epi8(15));
}
/// Factor * (bits of a nibble), looked up.
template <int Factor>
SPARQ_INLINE __m256i count_nibbles(__m256i v) {
  const __m128i table =
      _mm_setr_epi8(0, Factor, Factor, 2 * Factor, Factor, 2 * Factor, 2 * Factor, 3 * Factor, Factor, 2 * Factor,
                    2 * Factor, 3 * Factor, 2 * Factor, 3 * Factor, 3 * Factor, 4 * Factor);
  return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), v);
}

/// a ^ 32 bytes in memory, in one instruction: compilers would keep the bytes in a register for the next use.
SPARQ_INLINE __m256i xor_in_memory(__m256i a, const eight_bits* p) {
  const auto* bytes = reinterpret_cast<const __m256i_u*>(p);
#if defined(__GNUC__)
  __m256i result;
  __asm__("vpxor %2, %1, %0" : "=x"(result) : "x"(a), "m"(*bytes));
  return result;
#else
  return _mm256_xor_si256(a, _mm256_loadu_si256(bytes));
#endif
}

/// Splits k bits into nibbles, for each word of 32 bits a register of its low ones and one of its high ones: the four
/// bytes eight times. Writes whole words.
inline void split_row(const eight_bits* x, std::size_t k, eight_bits* out) {
  const __m256i mask = _mm256_set1_epi8(15);
  const auto split = [&](std::uint32_t word) SPARQ_LAMBDA_INLINE {
    const __m256i bytes = _mm256_set1_epi32(static_cast<int>(word));
    store_256(out, _mm256_and_si256(bytes, mask));
    store_256(out + 32, _mm256_and_si256(_mm256_srli_epi16(bytes, 4), mask));
    out += 64;
  };
  std::size_t i = 0;
  for (; i + 32 <= k; i += 32) {
    split(load_as<std::uint32_t>(x + i / 8));
  }
  if (i == k) return;
  eight_bits rest[4] = {};
  copy_bits(x + i / 8, k - i, rest);
  split(load_as<std::uint32_t>(rest));
}

}  // namespace machine

/// 32 products in two lookups of nibbles; bytes count, and add to the tile before they overflow.
template <integer_numeric W>
struct popcnt32_avx2 {
  static constexpr std::size_t planes = static_cast<std::size_t>(W::bits);
  static constexpr bool counts_once = planes == 1 || machine::is_sign_v<W>;
  static constexpr std::string_view name = machine::joined_name<"popcnt32_b1", machine::plane_name<W>, "_avx2">;
  static constexpr isa needs = feature::avx2;
  using x_code = eight_bits;
  using acc_type = std::int32_t;
  /// The lookup, its result and the split planes leave registers for twelve sums or eight.
  static constexpr std::size_t lanes = 8, group_k = 32, group_x = 64, steps = 2, block_rows = planes == 1 ? 6 : 8,
                               block_registers = planes == 1 ? 2 : 1;
  static constexpr std::size_t max_groups = counts_once ? 31 : W::is_signed ? 8 : 10;
  static constexpr std::int32_t weight_sum_factor = 1;
  using packed_x = eight_bits;
  static constexpr bool in_place = false;
  using acc = __m256i;
  using w_word = machine::planes_avx2<planes>;
  /// Repeated when it was packed, so it is an operand in memory: a broadcast would be an instruction for each product,
  /// and a register for it is one of the sums'.
  using x_word = const packed_x*;

  static void pack_row(const x_code* x, std::size_t k, bool, packed_x* out) { machine::split_row(x, k, out); }
  static SPARQ_INLINE acc zero() { return _mm256_setzero_si256(); }
  static SPARQ_INLINE x_word broadcast(const packed_x* p) { return p; }
  static SPARQ_INLINE acc dot(acc c, const w_word& w, x_word x) {
    if constexpr (planes == 1) {
      c = _mm256_add_epi8(c, machine::count_nibbles<1>(machine::xor_in_memory(w.p0, x)));
    } else if constexpr (counts_once) {
      c = _mm256_add_epi8(c, machine::count_nibbles<1>(_mm256_and_si256(w.p0, machine::xor_in_memory(w.p1, x))));
    } else {
      const __m256i bits = machine::load_256(x);
      c = _mm256_add_epi8(c, machine::count_nibbles<1>(_mm256_and_si256(w.p0, bits)));
      SPARQ_KEEP_ORDER(c);
      c = _mm256_add_epi8(c, machine::count_nibbles<W::is_signed ? -2 : 2>(_mm256_and_si256(w.p1, bits)));
    }
    SPARQ_KEEP_ORDER(c);
    return c;
  }
  /// -2 times the counts of a channel's four bytes.
  static SPARQ_INLINE __m256i sums(acc c) {
    const __m256i ones = _mm256_set1_epi8(1);
    constexpr bool is_signed = !counts_once && W::is_signed;
    const __m256i pairs = is_signed ? _mm256_maddubs_epi16(ones, c) : _mm256_maddubs_epi16(c, ones);
    return _mm256_madd_epi16(pairs, _mm256_set1_epi16(-2));
  }
  static SPARQ_INLINE void store(acc_type* p, acc c) { machine::store_256(p, sums(c)); }
  static SPARQ_INLINE void add(acc_type* p, acc c) { machine::add_eight(p, sums(c)); }

  template <integer_numeric N>
  struct loader {
    static constexpr std::size_t groups = 1;
    using raw = w_word;
    static SPARQ_INLINE raw load(const std::uint32_t* words) {
      raw r;
      r.p0 = machine::load_256(words);
      if constexpr (planes == 2)
        r.p1 = machine::load_256(words + machine::plane_words);
      return r;
    }
    template <std::size_t Step>
    static SPARQ_INLINE w_word decode(raw r) {
      r.p0 = machine::nibbles<Step>(r.p0);
      if constexpr (planes == 2) r.p1 = machine::nibbles<Step>(r.p1);
      return r;
    }
  };
};

/// The same for one row of X, which no split planes would serve twice: their bits meet first and are split then. Of 32
/// k's that is 8 instructions instead of 9, with two planes 9 instead of 14.
template <integer_numeric W>
struct popcnt32_row_avx2 : popcnt32_avx2<W> {
  using base = popcnt32_avx2<W>;
  using typename base::acc;
  using typename base::packed_x;
  using typename base::w_word;
  using typename base::x_code;
  static constexpr std::size_t group_x = 4, steps = 1, block_rows = 1, block_registers = 2;
  static constexpr bool in_place = true;
  using x_word = __m256i;

  static void pack_row(const x_code* x, std::size_t k, bool, packed_x* out) { copy_bits(x, k, out); }
  static SPARQ_INLINE x_word broadcast(const packed_x* p) {
    return _mm256_set1_epi32(machine::load_as<std::int32_t>(p));
  }
  static SPARQ_INLINE acc dot(acc c, const w_word& w, x_word x) {
    if constexpr (base::planes == 1)
      return add_counts<1>(c, _mm256_xor_si256(w.p0, x));
    else if constexpr (base::counts_once)
      return add_counts<1>(c, _mm256_and_si256(w.p0, _mm256_xor_si256(w.p1, x)));
    else
      return add_counts<W::is_signed ? -2 : 2>(add_counts<1>(c, _mm256_and_si256(w.p0, x)), _mm256_and_si256(w.p1, x));
  }

  template <integer_numeric N>
  struct loader : base::template loader<N> {
    using raw = w_word;
    template <std::size_t>
    static SPARQ_INLINE w_word decode(raw r) { return r; }
  };

 private:
  template <int Factor>
  static SPARQ_INLINE acc add_counts(acc c, __m256i bits) {
    c = _mm256_add_epi8(c, machine::count_nibbles<Factor>(machine::nibbles<0>(bits)));
    SPARQ_KEEP_ORDER(c);
    c = _mm256_add_epi8(c, machine::count_nibbles<Factor>(machine::nibbles<1>(bits)));
    SPARQ_KEEP_ORDER(c);
    return c;
  }
};

#endif  // SPARQ_HAS_AVX2

#if SPARQ_HAS_AVX512VPOPCNTDQ

namespace machine {

template <std::size_t Planes>
struct planes_avx512 {
  __m512i p0;
};
template <>
struct planes_avx512<2> {
  __m512i p0, p1;
};

}  // namespace machine

/// 32 products in one vpopcntd.
template <integer_numeric W>
struct popcnt32_avx512vpopcntdq {
  static constexpr std::size_t planes = static_cast<std::size_t>(W::bits);
  static constexpr std::string_view name =
      machine::joined_name<"popcnt32_b1", machine::plane_name<W>, "_avx512vpopcntdq">;
  static constexpr isa needs = feature::avx2 | feature::avx512 | isa(feature::avx512vpopcntdq);
  using x_code = eight_bits;
  using acc_type = std::int32_t;
  static constexpr std::size_t lanes = 16, group_k = 32, group_x = 4, steps = 1, block_rows = 12;
  static constexpr std::int32_t weight_sum_factor = 1;
  using packed_x = eight_bits;
  static constexpr bool in_place = true;
  using acc = __m512i;
  using w_word = machine::planes_avx512<planes>;
  using x_word = __m512i;

  static void pack_row(const x_code* x, std::size_t k, bool, packed_x* out) { copy_bits(x, k, out); }
  static SPARQ_INLINE acc zero() { return _mm512_setzero_si512(); }
  static SPARQ_INLINE x_word broadcast(const packed_x* p) {
    return _mm512_set1_epi32(machine::load_as<std::int32_t>(p));
  }
  static SPARQ_INLINE acc dot(acc c, const w_word& w, x_word x) {
    if constexpr (planes == 1) {
      c = _mm512_add_epi32(c, _mm512_popcnt_epi32(_mm512_xor_si512(w.p0, x)));
    } else if constexpr (machine::is_sign_v<W>) {
      c = _mm512_add_epi32(c, _mm512_popcnt_epi32(_mm512_and_si512(w.p0, _mm512_xor_si512(w.p1, x))));
    } else {
      c = _mm512_add_epi32(c, _mm512_popcnt_epi32(_mm512_and_si512(w.p0, x)));
      const __m512i twice = _mm512_slli_epi32(_mm512_popcnt_epi32(_mm512_and_si512(w.p1, x)), 1);
      c = W::is_signed ? _mm512_sub_epi32(c, twice) : _mm512_add_epi32(c, twice);
    }
    SPARQ_KEEP_ORDER(c);
    return c;
  }
  static SPARQ_INLINE acc sums(acc c) { return _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_slli_epi32(c, 1)); }
  static SPARQ_INLINE void store(acc_type* p, acc c) { _mm512_storeu_si512(p, sums(c)); }

  template <integer_numeric N>
  struct loader {
    static constexpr std::size_t groups = 1;
    using raw = w_word;
    static SPARQ_INLINE raw load(const std::uint32_t* words) {
      raw r;
      r.p0 = _mm512_loadu_si512(words);
      if constexpr (planes == 2) r.p1 = _mm512_loadu_si512(words + machine::plane_words);
      return r;
    }
    template <std::size_t>
    static SPARQ_INLINE w_word decode(raw r) { return r; }
  };
};

#endif  // SPARQ_HAS_AVX512VPOPCNTDQ

SPARQ_ABI_END
}  // namespace sparq
