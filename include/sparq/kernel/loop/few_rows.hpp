// SPDX-License-Identifier: MIT
#pragma once
// What the rows loop does differently for few rows of X. Weights are read once then, so memory is the limit, and one
// stream of it delivers less than memory can: 0.6 of what four do (Zen 3). One row therefore meets four strips of
// channels at once, of 32 registers eight, and blocks that read one or two ask for those of the next block meanwhile.

#include <sparq/base/config.hpp>
#include <sparq/simd/rows/atom.hpp>
#include <sparq/simd/strips_ahead.hpp>

#include <cstddef>
#include <cstdint>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Words of one group or two leave registers to X; of 32 registers, those of eight groups.
template <class Atom, numeric N>
inline constexpr bool few_words =
    Atom::template loader<N>::groups * Atom::steps <= (SPARQ_HAS_AVX512 && Atom::lanes == 16 ? 8 : 2);

/// Whether a register of packed words is multiplied as it is: sums and x's have all others.
template <class Atom, numeric N>
inline constexpr bool words_are_registers = Atom::template loader<N>::groups == 1 && Atom::steps == 1;

/// Strips of channels that few rows of X meet at once: four, unless words of many codes, or two sums for each channel,
/// need the registers.
template <class Atom, numeric N>
inline constexpr std::size_t few_rows_strips =
    few_words<Atom, N> && (Atom::group_k == 32 || sizeof(typename Atom::acc) == sizeof(typename Atom::w_word)) ? 4 : 2;

/// Rows of the tallest block that always asks ahead.
template <class Atom>
inline constexpr std::size_t asking_rows = SPARQ_HAS_AVX512 && Atom::lanes == 16 ? 8 : 5;

/// Blocks of R rows that ask for the words and positions of the next block. Strips of bits are so short that the CPU
/// hardly gets to know their streams: one row asks for them as well, and for all narrow codes where registers are wide,
/// so that instructions are not the limit. Taller blocks ask where their atom says so, asking_atom.
template <class Atom, numeric N, std::size_t R, bool Permutes>
inline constexpr bool fetches_ahead = [] {
  if constexpr (requires { Atom::asks_ahead; })
    return true;
  else
    return R <= asking_rows<Atom> && (R > 1 || Permutes || !few_words<Atom, N> || Atom::group_k == 32 ||
                      (SPARQ_HAS_AVX512 && Atom::lanes == 16 && Atom::template loader<N>::groups > 1));
}();

/// What tall blocks ask for ahead.
enum class asked : std::uint8_t { nothing, strip, next_strip };

/// An atom for tall blocks that ask for the next strip: in a cache, that takes 3 % (bytes) to 28 % (floats).
template <class Atom>
struct asking_atom : Atom {
  static constexpr bool asks_ahead = true;
};

/// An atom for tall blocks that ask for what follows in their own strip, which costs nothing in a cache.
template <class Atom>
struct strip_asking_atom : asking_atom<Atom> {
  static constexpr std::size_t strip_ahead = 4096;  // bytes
};

/// Bytes of weights that come from memory, because no cache holds them.
inline constexpr std::size_t far_bytes = std::size_t{8} << 20;

/// Bytes of weights that leave the second-level cache between two calls, and with other weights the third, too.
inline constexpr std::size_t near_bytes = std::size_t{256} << 10;

constexpr asked asked_for_weights_of(std::size_t bytes) {
  return bytes > far_bytes ? asked::next_strip : bytes > near_bytes ? asked::strip : asked::nothing;
}

/// One row of X and many registers of channels: X's words stay in registers, and every word of W is loaded once.
template <class Atom, numeric N, std::size_t R, std::size_t V, bool Permutes>
inline constexpr bool holds_x = R == 1 && V > 2 && !Permutes && few_words<Atom, N>;

/// Bytes of weights that the atom for one row is for: beyond, they come from memory, and four strips at once count more
/// than instructions.
inline constexpr std::size_t one_row_bytes = far_bytes;

/// Bytes of words, and of positions, that windows are asked for ahead.
inline constexpr std::size_t window_ahead = 1024;

/// The turn of the next block whose words turn i of n asks for. They are taken from four places of the block in turns,
/// so that memory sees four streams.
constexpr std::size_t spread_turn(std::size_t i, std::size_t n) { return i % 4 * (n / 4) + i / 4; }

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
