// SPDX-License-Identifier: MIT
#pragma once
// Atoms of the columns loop for activations of 16 bits: those that widen bytes to 16 bits anyway, without the widening.
// A group of four products reaches 2^24, so int32 lanes hold 127 groups of s8 beside 16 bits that a carry leaves there;
// what lies above them is added to int32 sums in memory, and both become int64 at the end. Exact for every input.
//
//   sums = 65536 carried + lanes       |lanes| <= 65535 + 127 * 2^24 < 2^31

#include <sparq/base/schedule.hpp>
#include <sparq/simd/columns/scalar_columns.hpp>
#include <sparq/simd/columns/scalar_gather.hpp>
#include <sparq/simd/columns/x86_avx2_columns.hpp>
#include <sparq/simd/columns/x86_avx2_gather.hpp>
#include <sparq/simd/rows/dot4_s16.hpp>
#include <sparq/simd/x86_registers.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace sparq {
SPARQ_ABI_BEGIN

/// Four products, summed into int64.
template <integer_numeric W>
struct columns4_s16_scalar : machine::scalar_columns<std::int16_t, typename W::code, std::int64_t, 4> {
  static constexpr std::string_view name = machine::atom_name<"columns4_", s16, W, "_scalar">;
};

/// The same with k's in the lanes.
template <integer_numeric W>
struct gather4_s16_scalar : machine::scalar_gather<std::int16_t, typename W::code, std::int64_t, 4> {
  static constexpr std::string_view name = machine::atom_name<"gather4_", s16, W, "_scalar">;
};

#if SPARQ_HAS_AVX2

namespace machine {

/// Calls f(k, registers of column k) for eight elements of 16 bits of sixteen rows: the rows in their order.
template <class F>
SPARQ_INLINE void for_transposed_shorts(const std::int16_t* const* rows, F&& f) {
  __m256i a[8], b[8];
  SPARQ_UNROLL for (int i = 0; i < 8; ++i) {
    a[i] = load_halves(rows[i], rows[i + 8]);
  }
  SPARQ_UNROLL for (int i = 0; i < 4; ++i) {
    b[2 * i] = _mm256_unpacklo_epi16(a[2 * i], a[2 * i + 1]);      // columns 0..3 of two rows
    b[2 * i + 1] = _mm256_unpackhi_epi16(a[2 * i], a[2 * i + 1]);  // columns 4..7
  }
  SPARQ_UNROLL for (int i = 0; i < 2; ++i) {
    SPARQ_UNROLL for (int h = 0; h < 2; ++h) {
      a[4 * i + 2 * h] = _mm256_unpacklo_epi32(b[4 * i + h], b[4 * i + 2 + h]);      // columns 4h, 4h + 1 of four rows
      a[4 * i + 2 * h + 1] = _mm256_unpackhi_epi32(b[4 * i + h], b[4 * i + 2 + h]);  // columns 4h + 2, 4h + 3
    }
  }
  SPARQ_UNROLL for (std::size_t i = 0; i < 4; ++i) {
    f(2 * i, _mm256_unpacklo_epi64(a[i], a[i + 4]));
    f(2 * i + 1, _mm256_unpackhi_epi64(a[i], a[i + 4]));
  }
}

}  // namespace machine

/// Four products as two vpmaddwd.
template <integer_numeric W>
struct columns4_s16_avx2 : columns4_avx2<s8, W> {
  static constexpr std::string_view name = machine::atom_name<"columns4_", s16, W, "_avx2">;
  using x_code = std::int16_t;
  using acc_type = std::int64_t;
  using packed_x = std::int16_t;
  using acc = __m256i;
  template <std::size_t V>
  using x_group = typename columns4_avx2<s8, W>::template x_group<V>;
  static constexpr std::size_t max_groups = machine::s16_groups_at_once<W>;
  static constexpr std::size_t max_carries = 65535;  // of at most 2^15
  static_assert(max_groups * 4 * 32768 * static_cast<std::size_t>((std::max)(-W::min_code, W::max_code)) + 65535 <=
                    INT32_MAX,
                "sparq: sums of 32 bits overflow beside what a carry leaves; lessen max_groups");

  static void pack_rows(const x_code* const* rows, std::size_t k, packed_x* block) {
    const x_code* order[16];
    for (std::size_t r = 0; r < 16; ++r) order[r] = rows[r / 4 % 2 == r / 8 ? r : r ^ 12];  // as columns4_avx2
    std::size_t at = 0;
    for (; at + 8 <= k; at += 8) {
      machine::for_transposed_shorts(order,
                                     [&](std::size_t i, __m256i column) { store(block + (at + i) * 16, column); });
      for (const x_code*& row : order) row += 8;
    }
    if (at == k) return;
    x_code rest[16][8] = {};
    for (std::size_t r = 0; r < 16; ++r) {
      std::memcpy(rest[r], order[r], (k - at) * sizeof(x_code));
      order[r] = rest[r];
    }
    machine::for_transposed_shorts(order, [&](std::size_t i, __m256i column) {
      if (at + i < k) store(block + (at + i) * 16, column);
    });
  }
  static void pack_columns(const x_code* x, std::size_t stride, std::size_t k, std::size_t count, packed_x* block) {
    for (std::size_t i = 0; i < k; ++i, x += stride, block += 16)
      store(block, _mm256_permute4x64_epi64(machine::load_256(x, count * sizeof(x_code)), 0xd8));
  }
  template <std::size_t V>
  static SPARQ_INLINE x_group<V> load(const packed_x* block, const std::uint16_t* k) {
    x_group<V> x;
    SPARQ_UNROLL for (std::size_t p = 0; p < 2; ++p) {
      const __m256i a = at(block, k[2 * p]);
      const __m256i b = at(block, k[2 * p + 1]);
      x.pair[p][0] = _mm256_unpacklo_epi16(a, b);
      if constexpr (V == 2) x.pair[p][1] = _mm256_unpackhi_epi16(a, b);
    }
    return x;
  }
  static SPARQ_INLINE void carry(acc& sums, acc* high) {
    _mm256_store_si256(high, _mm256_add_epi32(_mm256_load_si256(high), _mm256_srai_epi32(sums, 16)));
    sums = _mm256_and_si256(sums, _mm256_set1_epi32(65535));
    SPARQ_KEEP_ORDER(sums);
  }
  static SPARQ_INLINE void add_sums(acc_type* p, acc sums, acc* high) {
    const __m256i carried = _mm256_load_si256(high);
    add_four(p, _mm256_castsi256_si128(sums), _mm256_castsi256_si128(carried));
    add_four(p + 4, _mm256_extracti128_si256(sums, 1), _mm256_extracti128_si256(carried, 1));
  }

 private:
  static SPARQ_INLINE __m256i at(const packed_x* block, std::size_t k) {
    return _mm256_load_si256(reinterpret_cast<const __m256i*>(block + k * 16));
  }
  static SPARQ_INLINE void store(packed_x* p, __m256i v) { _mm256_store_si256(reinterpret_cast<__m256i*>(p), v); }
  static SPARQ_INLINE void add_four(acc_type* p, __m128i sums, __m128i carried) {
    const __m256i whole =
        _mm256_add_epi64(_mm256_cvtepi32_epi64(sums), _mm256_slli_epi64(_mm256_cvtepi32_epi64(carried), 16));
    machine::store_256(p, _mm256_add_epi64(machine::load_256(p), whole));
  }
};

/// The same with k's in the lanes: sums of bytes' atom for as many groups as int32 holds.
template <integer_numeric W>
struct gather4_s16_avx2 : gather4_avx2<s8, W> {
  using base = gather4_avx2<s8, W>;
  static constexpr std::string_view name = machine::atom_name<"gather4_", s16, W, "_avx2">;
  using x_code = std::int16_t;
  using acc_type = std::int64_t;
  using packed_x = std::int16_t;
  using weight = typename base::weight;

  static void pack_row(const x_code* x, std::size_t k, packed_x* out) {
    copy_elements(x, k, out);
  }
  template <std::size_t Sets, std::size_t Members>
  class step_sums {
   public:
    void add(std::size_t groups, const packed_x* x, const std::uint16_t* list, const weight* w) {
      while (groups != 0) {
        const std::size_t part = (std::min)(groups, machine::s16_groups_at_once<W>);
        typename base::template step_sums<Sets, Members> sums;
        sums.add(part, x, list, w);
        alignas(16) std::int32_t of_part[4];
        machine::store_128(of_part, sums.channel_sums());
        for (std::size_t i = 0; i < Sets * Members; ++i) sums_[i] += of_part[i];
        list += part * Sets * base::group_k;
        w += part * Sets * Members * base::group_k;
        groups -= part;
      }
    }
    template <std::size_t... Channel>
    void add_to(std::int64_t* sums) const {
      std::size_t next = 0;
      ((sums[Channel] += sums_[next++]), ...);
    }

   private:
    std::int64_t sums_[Sets * Members] = {};
  };
};

#endif  // SPARQ_HAS_AVX2

SPARQ_ABI_END
}  // namespace sparq
