// SPDX-License-Identifier: MIT
#pragma once
// Few rows of X times weights that are packed as a bitmask, where one instruction expands the bytes of 16 channels:
// words go from there to the multiplication in registers, four strips at a time.
//
//   for each 4 k's:
//     for each strip:  w = expand(codes, mask)                       // codes += bits of the mask
//       for each row:  acc[row][strip] = dot(acc[row][strip], w, x)  // x: broadcast, shared by the strips
//
// Scales along k: sums of a group are converted, scaled and added to floats,
// then the next group follows (scaled_rows.hpp).

#include <sparq/base/schedule.hpp>
#include <sparq/kernel/loop/few_rows.hpp>
#include <sparq/kernel/loop/scaled_rows.hpp>
#include <sparq/kernel/select.hpp>
#include <sparq/simd/expand.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace sparq {
SPARQ_ABI_BEGIN

/// Rows up to which words need no memory of their own.
inline constexpr std::size_t expanded_rows = 4;

namespace machine {

/// Whether words of bytes are expanded in a register of this atom.
template <class Atom>
inline constexpr bool multiplies_expanded_v = SPARQ_HAS_AVX512VBMI2 && SPARQ_HAS_AVX512VNNI && Atom::lanes == 16 &&
                                              Atom::group_k == 4 && Atom::steps == 1;

#if SPARQ_HAS_AVX512VBMI2 && SPARQ_HAS_AVX512VNNI

/// Bytes that are asked for ahead in each strip's stream.
inline constexpr std::size_t expanded_ahead = 1024;

/// Adds the products of words [first, end) of each strip's masks; `x` and `codes` move on.
/// - `masks`: of the first strip, `count` words, those of the next strip behind them
template <class Atom, numeric N, std::size_t R, std::size_t S>
SPARQ_INLINE void add_expanded(typename Atom::acc (&acc)[R][S], const typename Atom::packed_x*& x, std::size_t ldx,
                               const std::uint64_t* masks, std::size_t count, std::size_t first, std::size_t end,
                               std::array<const std::uint8_t*, S>& codes) {
  using loader = typename Atom::template loader<N>;
  SPARQ_KEEP_LOOP for (std::size_t g = first; g < end; ++g, x += Atom::group_k) {
    typename Atom::x_word xs[R];
    SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) xs[r] = Atom::broadcast(x + r * ldx);
    SPARQ_UNROLL for (std::size_t s = 0; s < S; ++s) {
      const std::uint64_t mask = masks[s * count + g];
      __m512i raw = _mm512_loadu_si512(codes[s]);
      SPARQ_KEEP_ORDER(raw);  // a load of its own: expanding from memory is microcode on some CPUs
      fetch_ahead(codes[s], expanded_ahead);
      codes[s] += std::popcount(mask);
      const typename Atom::w_word word = loader::template decode<0>(_mm512_maskz_expand_epi8(mask, raw));
      SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) acc[r][s] = Atom::dot(acc[r][s], word, xs[r]);
    }
  }
}

/// R rows times S strips, all k's.
/// - `masks`, `count`: as above; `codes`: of each strip
/// - `tile`: R rows of S * 16 sums, `ldt` elements apart, overwritten
template <class Atom, numeric N, std::size_t R, std::size_t S>
SPARQ_APART void expand_and_multiply(const typename Atom::packed_x* x, std::size_t ldx, const std::uint64_t* masks,
                                     std::size_t count, std::array<const std::uint8_t*, S> codes,
                                     typename Atom::acc_type* tile, std::size_t ldt) noexcept {
  SPARQ_ALIGN_FRAME;
  typename Atom::acc acc[R][S];
  SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
    SPARQ_UNROLL for (std::size_t s = 0; s < S; ++s) acc[r][s] = Atom::zero();
  }
  add_expanded<Atom, N, R, S>(acc, x, ldx, masks, count, 0, count, codes);
  SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
    SPARQ_UNROLL for (std::size_t s = 0; s < S; ++s) Atom::store(tile + r * ldt + s * Atom::lanes, acc[r][s]);
  }
}

/// The same with scales along k: sums of a segment are scaled and added in float.
/// - `scales`: of the first strip; `segments` is not read
template <class Atom, numeric N, std::size_t R, std::size_t S>
SPARQ_APART void expand_and_scale(const typename Atom::packed_x* x, std::size_t ldx, const std::uint64_t* masks,
                                  std::size_t count, std::array<const std::uint8_t*, S> codes,
                                  const block_scales& scales, float* tile, std::size_t ldt) noexcept {
  SPARQ_ALIGN_FRAME;
  for (std::size_t r = 0; r < R; ++r) std::fill_n(tile + r * ldt, S * Atom::lanes, 0.0F);
  const std::size_t groups = scales.segment_k / Atom::group_k;
  std::size_t at = 0;  // of the segment's scales in a strip
  SPARQ_KEEP_LOOP for (std::size_t first = 0; first < count; first += groups, at += Atom::lanes) {
    typename Atom::acc acc[R][S];
    SPARQ_UNROLL for (std::size_t s = 0; s < S; ++s) {
      typename Atom::acc start = Atom::zero();
      start_sums(start, scales.sums + s * scales.strip + at, scales.factor);
      SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
        acc[r][s] = start;
        keep_register(acc[r][s]);
      }
    }
    add_expanded<Atom, N, R, S>(acc, x, ldx, masks, count, first, (std::min)(first + groups, count), codes);
    SPARQ_UNROLL for (std::size_t s = 0; s < S; ++s) {
      const auto scale = load_scales(acc[0][s], scales.scales + s * scales.strip + at);
      SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) add_scaled(tile + r * ldt + s * Atom::lanes, acc[r][s], scale);
    }
  }
}

#endif

}  // namespace machine

#if SPARQ_HAS_AVX512VBMI2 && SPARQ_HAS_AVX512VNNI

/// Multiplies `rows` rows of X by `strips` strips of weights from strip s on: four at once, or one by one.
/// - `x`: packed rows, `ldx` elements apart; `tile`: rows of sums, `ldt` elements apart, overwritten; with scales along
///   k they are floats, and `scale_factor` is block_scales::factor
/// @pre machine::multiplies_expanded_v<Atom>, rows <= expanded_rows; the codes of w are bytes
template <class Atom, class Packed, class Sum>
void expand_rows(const Packed& w, std::size_t s, std::size_t strips, std::size_t rows, const typename Atom::packed_x* x,
                 std::size_t ldx, Sum* tile, std::size_t ldt, [[maybe_unused]] std::int32_t scale_factor = 0) noexcept {
  static_assert(machine::multiplies_expanded_v<Atom>,
                "sparq: this atom has no words that are expanded; use expand_loop");
  using numeric_type = typename Packed::numeric_type;
  const auto run = [&]<std::size_t S>(std::integral_constant<std::size_t, S>, std::size_t first) {
    std::array<const std::uint8_t*, S> codes;
    for (std::size_t i = 0; i < S; ++i) codes[i] = reinterpret_cast<const std::uint8_t*>(w.codes(first + i, 0));
    const std::uint64_t* masks = w.masks(first, 0).data();
    Sum* to = tile + (first - s) * Atom::lanes;
    [[maybe_unused]] block_scales scales;
    if constexpr (scales_along_k_v<typename Packed::granularity>) {
      const std::size_t strip = w.segments_per_strip() * Atom::lanes;
      scales = block_scales::of(w, first * strip, strip, scale_factor);
    }
    const auto run_rows = [&]<std::size_t R>(std::integral_constant<std::size_t, R>) {
      if constexpr (scales_along_k_v<typename Packed::granularity>)
        machine::expand_and_scale<Atom, numeric_type, R, S>(x, ldx, masks, w.strip_masks(), codes, scales, to, ldt);
      else
        machine::expand_and_multiply<Atom, numeric_type, R, S>(x, ldx, masks, w.strip_masks(), codes, to, ldt);
    };
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      ((rows == I + 1 ? run_rows(std::integral_constant<std::size_t, I + 1>{}) : void()), ...);
    }(std::make_index_sequence<expanded_rows>{});
  };
  const std::size_t end = s + strips;
  std::size_t next = s;
  for (; next + 4 <= end; next += 4) run(std::integral_constant<std::size_t, 4>{}, next);
  for (; next < end; ++next) run(std::integral_constant<std::size_t, 1>{}, next);
}

#else

template <class Atom, class Packed, class Sum>
void expand_rows(const Packed&, std::size_t, std::size_t, std::size_t, const typename Atom::packed_x*, std::size_t,
                 Sum*, std::size_t, std::int32_t = 0) = delete;

#endif

SPARQ_ABI_END
}  // namespace sparq
