// SPDX-License-Identifier: MIT
#pragma once
// Few rows of X times weights that are packed as a bitmask, where one instruction expands the bytes of 16 channels: words
// go from there to the multiplication in registers, four strips at a time.
//
//   for each 4 k's:
//     for each strip:  w = expand(codes, mask)                       // codes += bits of the mask
//       for each row:  acc[row][strip] = dot(acc[row][strip], w, x)  // x: broadcast, shared by the strips

#include <sparq/kernel/few_rows.hpp>
#include <sparq/kernel/select.hpp>
#include <sparq/simd/expand.hpp>

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

/// R rows times S strips, all k's.
/// - `masks`: of the first strip, `count` words, those of the next strip behind them; `codes`: of each strip
/// - `tile`: R rows of S * 16 sums, `ldt` elements apart, overwritten
template <class Atom, numeric N, std::size_t R, std::size_t S>
SPARQ_APART void expand_and_multiply(const typename Atom::packed_x* x, std::size_t ldx, const std::uint64_t* masks,
                                     std::size_t count, std::array<const std::uint8_t*, S> codes,
                                     typename Atom::acc_type* tile, std::size_t ldt) noexcept {
  SPARQ_ALIGN_FRAME;
  using loader = typename Atom::template loader<N>;
  typename Atom::acc acc[R][S];
  SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
    SPARQ_UNROLL for (std::size_t s = 0; s < S; ++s) acc[r][s] = Atom::zero();
  }
  SPARQ_KEEP_LOOP for (std::size_t g = 0; g < count; ++g, x += Atom::group_k) {
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
  SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
    SPARQ_UNROLL for (std::size_t s = 0; s < S; ++s) Atom::store(tile + r * ldt + s * Atom::lanes, acc[r][s]);
  }
}

#endif

}  // namespace machine

#if SPARQ_HAS_AVX512VBMI2 && SPARQ_HAS_AVX512VNNI

/// Multiplies `rows` rows of X by `strips` strips of weights from strip s on: four at once, or one by one.
/// - `x`: packed rows, `ldx` elements apart; `tile`: rows of sums, `ldt` elements apart, overwritten
/// @pre machine::multiplies_expanded_v<Atom>, rows <= expanded_rows; the codes of w are bytes
template <class Atom, class Packed>
void expand_rows(const Packed& w, std::size_t s, std::size_t strips, std::size_t rows, const typename Atom::packed_x* x,
                 std::size_t ldx, typename Atom::acc_type* tile, std::size_t ldt) noexcept {
  static_assert(machine::multiplies_expanded_v<Atom>, "sparq: this atom has no words that are expanded; use expand_loop");
  const auto run = [&]<std::size_t S>(std::integral_constant<std::size_t, S>, std::size_t first) {
    std::array<const std::uint8_t*, S> codes;
    for (std::size_t i = 0; i < S; ++i) codes[i] = reinterpret_cast<const std::uint8_t*>(w.codes(first + i, 0));
    const std::uint64_t* masks = w.masks(first, 0).data();
    typename Atom::acc_type* to = tile + (first - s) * Atom::lanes;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      ((rows == I + 1 ? machine::expand_and_multiply<Atom, typename Packed::numeric_type, I + 1, S>(
                            x, ldx, masks, w.strip_masks(), codes, to, ldt)
                      : void()),
       ...);
    }(std::make_index_sequence<expanded_rows>{});
  };
  const std::size_t end = s + strips;
  std::size_t next = s;
  for (; next + 4 <= end; next += 4) run(std::integral_constant<std::size_t, 4>{}, next);
  for (; next < end; ++next) run(std::integral_constant<std::size_t, 1>{}, next);
}

#else

template <class Atom, class Packed>
void expand_rows(const Packed&, std::size_t, std::size_t, std::size_t, const typename Atom::packed_x*, std::size_t,
                 typename Atom::acc_type*, std::size_t) = delete;

#endif

SPARQ_ABI_END
}  // namespace sparq
