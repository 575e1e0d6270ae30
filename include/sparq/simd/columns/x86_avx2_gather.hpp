// SPDX-License-Identifier: MIT
#pragma once
// Atoms of the columns loop for few rows of X, on AVX2. A group of integers has four k's: 64 bits of X, widened to 16
// bits a k. A register has room for four groups of codes: of the channels of a step, or of several turns where those
// are fewer.
//
//   sets of one channel    x [g0 g1 g2 g3]      four groups of the list
//   sets of two            x [g0 g0 g1 g1]      two groups
//   larger sets            x [g0 g0 g0 g0]      one group; of three channels, the last quarter counts for nothing

#include <sparq/numeric/floating.hpp>
#include <sparq/simd/columns/scalar_gather.hpp>
#include <sparq/simd/copy.hpp>
#include <sparq/simd/x86_registers.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#if SPARQ_HAS_AVX2

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// What shuffles a step's sums, the first lanes, to the channels of a panel; a channel without one takes the lane
/// behind them, which is zero.
template <std::size_t... Channel>
inline constexpr int places_in_panel = [] {
  int result = 0;
  for (std::size_t c = 4; c-- > 0;) {
    std::size_t lane = 0, place = sizeof...(Channel) % 4;
    ((place = Channel == c ? lane : place, ++lane), ...);
    result = result << 2 | static_cast<int>(place);
  }
  return result;
}();

}  // namespace machine

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
    template <std::size_t... Channel>
    SPARQ_INLINE void add_to(std::int32_t* sums) const {
      const __m128i all = _mm_shuffle_epi32(channel_sums(), (machine::places_in_panel<Channel...>));
      machine::store_128(sums, _mm_add_epi32(machine::load_128(sums), all));
    }
    /// The sums of the step's channels, zeros behind them.
    SPARQ_INLINE __m128i channel_sums() const {
      __m128i all = _mm_hadd_epi32(_mm256_castsi256_si128(sums_), _mm256_extracti128_si256(sums_, 1));
      if constexpr (total <= 2) all = _mm_add_epi32(all, _mm_unpackhi_epi64(all, all));
      if constexpr (total == 2) all = _mm_move_epi64(all);
      if constexpr (total == 1) all = _mm_srli_epi64(_mm_move_epi64(_mm_add_epi32(all, _mm_slli_epi64(all, 32))), 32);
      return all;
    }

   private:
    static constexpr std::size_t total = Sets * Members;
    static constexpr std::size_t turns = 4 / total;

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

/// Fused multiply-adds of floats; groups of one k. X becomes f32 when a row is packed, bf16 weights when they are
/// loaded, others beforehand.
template <numeric X, numeric W>
struct gather1_avx2 {
  static constexpr std::string_view name = machine::atom_name<"gather1_", X, W, "_avx2">;
  static constexpr isa needs = feature::avx2;
  using x_code = typename X::code;
  using acc_type = float;
  static constexpr std::size_t group_k = 1;
  using packed_x = float;
  using weight = std::conditional_t<std::is_same_v<W, bf16>, brain_float, float>;
  template <numeric N>
  static constexpr bool in_place = std::is_same_v<typename N::code, weight>;

  static void pack_row(const x_code* x, std::size_t k, float* out) { machine::widen_floats(x, k, out); }

  template <std::size_t Sets, std::size_t Members>
  class step_sums {
   public:
    SPARQ_INLINE void add(std::size_t groups, const float* x, const std::uint16_t* k, const weight* w) {
      SPARQ_KEEP_LOOP for (; groups >= turns; groups -= turns, k += turns * Sets, w += turns * total) {
        if constexpr (Sets == 2 && Members == 1)
          add_products(_mm_setr_ps(x[k[0]], x[k[1]], 0.0F, 0.0F), first<total>(w));
        else if constexpr (Members == 1)
          add_products(_mm_setr_ps(x[k[0]], x[k[1]], x[k[2]], x[k[3]]), first<4>(w));
        else if constexpr (Sets == 2)
          add_products(twice(x[k[0]], x[k[1]]), first<4>(w));
        else
          add_products(_mm_broadcast_ss(x + k[0]), first<total>(w));
      }
      if constexpr (total == 1)
        SPARQ_KEEP_LOOP for (; groups > 0; --groups, ++k, ++w) add_products(_mm_set_ss(x[k[0]]), first<1>(w));
    }
    template <std::size_t... Channel>
    SPARQ_INLINE void add_to(float* sums) const {
      __m128 all = _mm_add_ps(sum_, next_sum_);
      if constexpr (total == 1) {
        all = _mm_add_ps(all, _mm_movehl_ps(all, all));
        all = _mm_move_ss(_mm_setzero_ps(), _mm_add_ss(all, _mm_movehdup_ps(all)));
      }
      _mm_storeu_ps(sums, _mm_add_ps(_mm_loadu_ps(sums), _mm_permute_ps(all, (machine::places_in_panel<Channel...>))));
    }

   private:
    static constexpr std::size_t total = Sets * Members;
    static constexpr std::size_t turns = total == 1 ? 4 : 1;  // groups at once

    static SPARQ_INLINE __m128 twice(float a, float b) {
      return _mm_moveldup_ps(_mm_setr_ps(a, 0.0F, b, 0.0F));
    }
    /// So many weights and zeros; those behind may be beyond the end of memory.
    template <std::size_t Count>
    static SPARQ_INLINE __m128 first(const float* w) {
      if constexpr (Count == 4) return _mm_loadu_ps(w);
      if constexpr (Count == 3) return _mm_maskload_ps(w, _mm_setr_epi32(-1, -1, -1, 0));
      if constexpr (Count == 2) return _mm_castsi128_ps(machine::load_64(w));
      return _mm_load_ss(w);
    }
    template <std::size_t Count>
    static SPARQ_INLINE __m128 first(const brain_float* w) {
      __m128i codes = Count == 4   ? machine::load_64(w)
                      : Count == 1 ? _mm_cvtsi32_si128(w->bits)
                                   : _mm_cvtsi32_si128(machine::load_as<std::int32_t>(w));
      if constexpr (Count == 3) codes = _mm_insert_epi16(codes, w[2].bits, 2);
      return _mm_castsi128_ps(_mm_unpacklo_epi16(_mm_setzero_si128(), codes));
    }

    /// To two sums in turn: each waits 4 cycles for what was added to it before, and products come every 1.5 to 3.
    SPARQ_INLINE void add_products(__m128 xs, __m128 ws) {
      const __m128 sum = _mm_fmadd_ps(xs, ws, sum_);
      sum_ = next_sum_;
      next_sum_ = sum;
    }

    __m128 sum_ = _mm_setzero_ps(), next_sum_ = _mm_setzero_ps();
  };
};

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2
