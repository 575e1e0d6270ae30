// SPDX-License-Identifier: MIT
#pragma once
// Atoms for activations of 16 bits: the byte atoms that widen X to 16 bits anyway, without the widening. A sum of two
// products reaches 2^23, so int32 lanes hold 255 of them; then they are added to int64 sums in memory. Exact for every
// input.

#include <sparq/simd/rows/scalar.hpp>
#include <sparq/simd/rows/x86_avx2.hpp>
#include <sparq/simd/rows/x86_avx512.hpp>
#include <sparq/simd/x86_registers.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Groups of four products that int32 holds: two to a step, two steps.
template <integer_numeric W>
inline constexpr std::size_t s16_groups_at_once =
    static_cast<std::size_t>(INT32_MAX / (2 * 32768 * (std::max)(-W::min_code, W::max_code)) / 2);

}  // namespace machine

/// Four products, summed into int64.
template <integer_numeric W>
struct dot4_s16_scalar : dot4_scalar<s16, W> {
  using base = dot4_scalar<s16, W>;
  static constexpr std::string_view name = machine::atom_name<"dot4_", s16, W, "_scalar">;
  using acc_type = std::int64_t;
  using acc = machine::lanes4<std::int64_t>;
  using packed_x = std::int16_t;
  using x_word = typename base::x_word;

  static void pack_row(const std::int16_t* x, std::size_t k, bool, packed_x* out) {
    copy_elements(x, k, out);
  }
  static SPARQ_INLINE acc zero() { return {}; }
  static SPARQ_INLINE x_word broadcast(const packed_x* p) {
    x_word x;
    for (auto& lane : x.at) std::memcpy(&lane, p, sizeof lane);
    return x;
  }
  template <class XWord>
  static SPARQ_INLINE acc dot(acc c, const typename base::w_word& w, const XWord& x) {
    for (std::size_t l = 0; l < 4; ++l)
      for (std::size_t i = 0; i < 4; ++i) c.lane[l] += w.at[l][i] * x.at[l][i];
    return c;
  }
  static SPARQ_INLINE void store(acc_type* p, const acc& c) { std::memcpy(p, c.lane, sizeof c.lane); }
};

#if SPARQ_HAS_AVX2

namespace machine {

/// Stores eight int32 sums as int64 sums, or adds them to those.
template <bool Adds>
SPARQ_INLINE void store_wide(std::int64_t* p, __m256i sums) {
  SPARQ_UNROLL for (int half = 0; half < 2; ++half, p += 4) {
    const __m256i four =
        _mm256_cvtepi32_epi64(half == 0 ? _mm256_castsi256_si128(sums) : _mm256_extracti128_si256(sums, 1));
    store_256(p, Adds ? _mm256_add_epi64(load_256(p), four) : four);
  }
}

/// Copies k elements of 16 bits, [0 2 1 3] within every four when `grouped`; writes round_up(k, 16) elements.
inline void order_row(const std::int16_t* x, std::size_t k, bool grouped, std::int16_t* out) {
  const auto order = [&](const std::int16_t* from, std::int16_t* to) {
    __m256i v = load_256(from);
    if (grouped) v = _mm256_shufflehi_epi16(_mm256_shufflelo_epi16(v, 0xd8), 0xd8);
    store_256(to, v);
  };
  std::size_t i = 0;
  for (; i + 16 <= k; i += 16) order(x + i, out + i);
  if (i < k) {
    std::int16_t rest[16] = {};
    std::memcpy(rest, x + i, (k - i) * sizeof *x);
    order(rest, out + i);
  }
}

}  // namespace machine

/// Four products as two vpmaddwd.
template <integer_numeric W>
struct dot4_s16_avx2 : dot4_avx2<s8, W> {
  static constexpr std::string_view name = machine::atom_name<"dot4_", s16, W, "_avx2">;
  using x_code = std::int16_t;
  using acc_type = std::int64_t;
  static constexpr std::size_t max_groups = machine::s16_groups_at_once<W>;
  template <class Window>
  using compaction = machine::compaction_avx2<x_code, std::int16_t, Window, true>;

  static void pack_row(const x_code* x, std::size_t k, bool grouped, std::int16_t* out) {
    machine::order_row(x, k, grouped, out);
  }
  static SPARQ_INLINE void store(acc_type* p, __m256i c) { machine::store_wide<false>(p, c); }
  static SPARQ_INLINE void add(acc_type* p, __m256i c) { machine::store_wide<true>(p, c); }
};

#endif  // SPARQ_HAS_AVX2

#if SPARQ_HAS_AVX512

/// The same on sixteen channels.
template <integer_numeric W>
struct dot4_s16_avx512 : dot4_avx512<s8, W> {
  static constexpr std::string_view name = machine::atom_name<"dot4_", s16, W, "_avx512">;
  using x_code = std::int16_t;
  using acc_type = std::int64_t;
  static constexpr std::size_t max_groups = machine::s16_groups_at_once<W>;

  static void pack_row(const x_code* x, std::size_t k, bool grouped, std::int16_t* out) {
    machine::order_row(x, k, grouped, out);
  }
  static SPARQ_INLINE void store(acc_type* p, __m512i c) { store_both<false>(p, c); }
  static SPARQ_INLINE void add(acc_type* p, __m512i c) { store_both<true>(p, c); }

 private:
  template <bool Adds>
  static SPARQ_INLINE void store_both(acc_type* p, __m512i c) {
    machine::store_wide<Adds>(p, _mm512_castsi512_si256(c));
    machine::store_wide<Adds>(p + 8, _mm512_extracti64x4_epi64(c, 1));
  }
};

#endif  // SPARQ_HAS_AVX512

SPARQ_ABI_END
}  // namespace sparq
