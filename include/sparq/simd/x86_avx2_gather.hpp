// SPDX-License-Identifier: MIT
#pragma once
// Atoms of the columns loop for few rows of X, on AVX2. A group has four k's: 64 bits of X, widened to 16 bits a k. A
// register has room for four groups of codes: of the channels of a step, or of several turns where those are fewer.
//
//   sets of one channel    x [g0 g1 g2 g3]      four groups of the list
//   sets of two            x [g0 g0 g1 g1]      two groups
//   larger sets            x [g0 g0 g0 g0]      one group; of three channels, the last quarter counts for nothing

#include <sparq/simd/copy.hpp>
#include <sparq/simd/scalar_gather.hpp>
#include <sparq/simd/x86_registers.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

#if SPARQ_HAS_AVX2

namespace sparq {
SPARQ_ABI_BEGIN

/// Four products of bytes as two vpmaddwd.
template <integer_numeric X, integer_numeric W>
struct gather4_avx2 {
  static constexpr std::string_view name = machine::atom_name<"gather4_", X, W, "_avx2">;
  static constexpr isa needs = feature::avx2;
  using x_code = typename X::code;
  using acc_type = std::int32_t;
  static constexpr std::size_t group_k = 4;
  using packed_x = std::int16_t;
  using weight = typename W::code;
  template <numeric N>
  static constexpr bool in_place = N::bits == 8;

  static void pack_row(const x_code* x, std::size_t k, packed_x* out) {
    for (std::size_t i = 0; i < k; ++i) out[i] = x[i];
  }

  template <std::size_t Sets, std::size_t Members>
  class step_sums {
   public:
    SPARQ_INLINE void add(std::size_t groups, const packed_x* x, const std::uint16_t* list, const weight* w) {
      std::size_t g = 0;
      SPARQ_KEEP_LOOP for (; g + turns <= groups; g += turns, list += 4 * turns * Sets, w += 4 * turns * total) {
        if constexpr (Members == 1)
          add_products(_mm256_set_m128i(two_groups(x, list + 8), two_groups(x, list)), w);
        else if constexpr (Members == 2)
          add_products(_mm256_permute4x64_epi64(_mm256_castsi128_si256(two_groups(x, list)), 0x50), w);
        else
          add_products(_mm256_broadcastq_epi64(one_group(x, list)), w);
      }
      if constexpr (turns > 1)
        for (; g < groups; ++g, list += 4 * Sets, w += 4 * total) {
          const __m128i bytes = total == 1 ? _mm_cvtsi32_si128(machine::load_as<std::int32_t>(w)) : machine::load_64(w);
          const __m128i codes = _mm256_castsi256_si128(widen(bytes));
          __m128i xs = Sets == 2 ? two_groups(x, list) : one_group(x, list);
          if constexpr (Members == 2) xs = _mm_unpacklo_epi64(xs, xs);
          sums_ = _mm256_add_epi32(sums_, _mm256_zextsi128_si256(_mm_madd_epi16(xs, codes)));
        }
    }
    std::int32_t channel(std::size_t i) const {
      alignas(32) std::int32_t lanes[8];
      _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), sums_);
      std::int32_t sum = 0;
      for (std::size_t block = i; block < used; block += total) sum += lanes[2 * block] + lanes[2 * block + 1];
      return sum;
    }

   private:
    static constexpr std::size_t total = Sets * Members;
    static constexpr std::size_t turns = 4 / total;
    static constexpr std::size_t used = turns * total;

    SPARQ_INLINE void add_products(__m256i groups, const weight* w) {
      // twelve codes of a step of three channels may be the last ones in memory
      const __m128i codes = total == 3 ? _mm_insert_epi32(machine::load_64(w), machine::load_as<std::int32_t>(w + 8), 2)
                                       : machine::load_128(w);
      sums_ = _mm256_add_epi32(sums_, _mm256_madd_epi16(groups, widen(codes)));
    }
    static SPARQ_INLINE __m256i widen(__m128i codes) {
      return W::is_signed ? _mm256_cvtepi8_epi16(codes) : _mm256_cvtepu8_epi16(codes);
    }
    static SPARQ_INLINE __m128i one_group(const packed_x* x, const std::uint16_t* k) {
      __m128i group = _mm_cvtsi32_si128(static_cast<std::uint16_t>(x[k[0]]));
      group = _mm_insert_epi16(group, x[k[1]], 1);
      group = _mm_insert_epi16(group, x[k[2]], 2);
      return _mm_insert_epi16(group, x[k[3]], 3);
    }
    static SPARQ_INLINE __m128i two_groups(const packed_x* x, const std::uint16_t* k) {
      return _mm_unpacklo_epi64(one_group(x, k), one_group(x, k + 4));
    }

    __m256i sums_ = _mm256_setzero_si256();
  };
};

/// Fused multiply-adds of floats; groups of one k. Narrow floats become f32 on the way.
template <numeric X, numeric W>
struct gather1_avx2 {
  static constexpr std::string_view name = machine::atom_name<"gather1_", X, W, "_avx2">;
  static constexpr isa needs = feature::avx2;
  using x_code = typename X::code;
  using acc_type = float;
  static constexpr std::size_t group_k = 1;
  using packed_x = float;
  using weight = float;
  template <numeric N>
  static constexpr bool in_place = N::bits == 32;

  static void pack_row(const x_code* x, std::size_t k, float* out) { machine::widen_floats(x, k, out); }

  template <std::size_t Sets, std::size_t Members>
  class step_sums {
   public:
    SPARQ_INLINE void add(std::size_t groups, const float* x, const std::uint16_t* k, const float* w) {
      std::size_t g = 0;
      SPARQ_KEEP_LOOP for (; g + turns <= groups; g += turns, k += turns * Sets, w += turns * total) {
        if constexpr (Members == 1)
          add_products(_mm_setr_ps(x[k[0]], x[k[1]], x[k[2]], x[k[3]]), _mm_loadu_ps(w));
        else if constexpr (Members == 2)
          add_products(_mm_setr_ps(x[k[0]], x[k[0]], x[k[1]], x[k[1]]), _mm_loadu_ps(w));
        else if constexpr (Members == 3)
          add_products(_mm_set1_ps(x[k[0]]), _mm_setr_ps(w[0], w[1], w[2], 0.0F));
        else
          add_products(_mm_set1_ps(x[k[0]]), _mm_loadu_ps(w));
      }
      if constexpr (turns > 1)
        for (; g < groups; ++g, k += Sets, w += total) {  // the other lanes add 0 * 0
          if constexpr (total == 1)
            add_products(_mm_set_ss(x[k[0]]), _mm_set_ss(w[0]));
          else
            add_products(_mm_setr_ps(x[k[0]], x[k[Sets - 1]], 0.0F, 0.0F), _mm_setr_ps(w[0], w[1], 0.0F, 0.0F));
        }
    }
    float channel(std::size_t i) const {
      alignas(16) float lanes[4];
      _mm_store_ps(lanes, sums_);
      float sum = lanes[i];
      for (std::size_t lane = i + total; lane < used; lane += total) sum += lanes[lane];
      return sum;
    }

   private:
    static constexpr std::size_t total = Sets * Members;
    static constexpr std::size_t turns = 4 / total;
    static constexpr std::size_t used = turns * total;

    SPARQ_INLINE void add_products(__m128 xs, __m128 ws) { sums_ = _mm_fmadd_ps(xs, ws, sums_); }

    __m128 sums_ = _mm_setzero_ps();
  };
};

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2
