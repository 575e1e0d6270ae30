// SPDX-License-Identifier: MIT
#pragma once
// What an atom is: one multiply-add of the CPU, the way it wants its operands, and nothing about loops. A register
// holds `lanes` 32-bit lanes, one output channel each; a word of W (packed.hpp) fills one lane,
// a word of X is broadcast.
//
//   struct dot4_u8s8_some_isa {
//     static constexpr std::string_view name;
//     static constexpr isa needs;              // features
//     using x_code, acc_type;                  // element of X; int32_t, int64_t or float
//     static constexpr std::size_t lanes;      // channels of a register
//     static constexpr std::size_t group_k;    // k's of a word of W
//     static constexpr std::size_t group_x;    // optional: elements of packed X for these k's, if not one for each
//     static constexpr bool in_planes;         // optional: packed X is two planes, half a row apart; pack_row is told
//                                              // how far instead of `grouped`, and so is a selector's select
//     static constexpr std::size_t steps;      // words of X for one word of W (2 where W is widened on the way)
//     static constexpr std::size_t block_rows; // rows of X whose accumulators fit into the registers, 2 of W beside
//     static constexpr std::size_t block_registers; // optional: 1 if more registers of channels leave too few
//     static constexpr std::size_t least_window; // optional: k's of the smallest window that the atom is for
//     static constexpr bool reloads_words;     // optional, with rows_in_turn: every row loads its words of W again
//     static constexpr bool starts_with_products; // optional, with rows_in_turn and max_groups: whether the first
//                                              // products of a part are its sums, made by product(w_word, x_word)
//     static constexpr std::size_t words_of_word; // optional: 2 if words were widened before the loop, strip by strip
//     static constexpr std::size_t joined_groups; // optional: 2 if dot() takes both groups of a word at once
//     static constexpr bool second_group_first; // optional: of a word's two groups
//     using while_adding;                      // optional: lives while groups are added
//     static constexpr std::size_t max_groups; // optional: that acc holds; then add() stores to the tile's sums
//     static constexpr std::int32_t weight_sum_factor;  // true sum = acc + factor * (sum of the channel's codes)
//     using packed_x;                          // element of a row of X as the atom reads it
//     static constexpr bool in_place;          // ... which is X itself
//     static void pack_row(const x_code* x, std::size_t k, bool grouped, packed_x* out);
//                                              // grouped: in the order of words; otherwise in the order of k
//     template <class N> struct loader;        // register of packed words -> one register for each group and step
//     template <std::size_t Window> struct selector;  // permutes a window of X for every lane
//     template <class Window> using compaction; // optional: compacts X by positions that a panel's channels share
//     static constexpr bool rows_in_turn;      // optional: whether the compiler may not take rows of a block at once
//     template <class N, std::size_t Channels> static void decode_strip(words, count, out); // optional, narrow N: words
//     using decoded;                           // of a strip for many rows, as the loop reads those of `decoded`
//     static auto sums(acc);                   // optional: acc as sums of 32 bits, where it holds narrower ones
//     static void dot_both(acc&, acc&, w_word, w_word, x_word);
//                                              // optional: dot() of two registers of channels, in its own order
//     acc zero(); acc dot(acc, w_word, x_word); x_word broadcast(const packed_x*); void store(acc_type*, acc);
//   };
//
// loader<N>:  groups (groups in one word); raw load(const std::uint32_t*); w_word decode<Step>(raw), where Step counts
//             group * steps + step.
// Atoms that join groups are told a second_group where others are told a step, and broadcast(x, second_group) for runs.
// selector<W>: chunk (elements of X that one permute reaches), chunks; control make(positions, step, chunk) with
//             `lanes * group_k` positions; control make_shared(positions, step, chunk) with group_k of them, unless the
//             atom has a compaction; x_word select(const packed_x* at_chunk, control); x_word combine(x_word, x_word).

#include <sparq/base/config.hpp>
#include <sparq/numeric/numeric.hpp>
#include <sparq/simd/atom_name.hpp>
#include <sparq/simd/isa.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Bits of W's codes in one 16-bit half of a word: where the codes of a group's step sit, for atoms that widen.
template <int Bits, std::size_t Steps>
struct half_word_field {
  static constexpr int position(std::size_t step) {
    return static_cast<int>(step / Steps) * Bits + static_cast<int>(step % Steps) * 8;
  }
  static constexpr int left_shift(std::size_t step) { return 16 - Bits - position(step); }
};

/// Groups that an atom adds before its sums must leave the registers; 0: as many as there are.
template <class Atom>
inline constexpr std::size_t groups_at_once = [] {
  if constexpr (requires { Atom::max_groups; })
    return Atom::max_groups;
  else
    return std::size_t{0};
}();

/// Where an atom that starts with group `first` has to stop: behind the last group, or when its sums are full.
template <class Atom, std::size_t Loaded>
constexpr std::size_t end_of_part(std::size_t first, std::size_t groups) {
  constexpr std::size_t at_once = groups_at_once<Atom> / Loaded * Loaded;
  static_assert(groups_at_once<Atom> == 0 || at_once != 0,
                "sparq: an atom adds at least the groups of one word; raise its max_groups");
  return groups_at_once<Atom> == 0 || groups - first <= at_once ? groups : first + at_once;
}

/// Atoms whose blocks fill all registers: rows and words follow each other as they are written.
template <class Atom>
inline constexpr bool rows_in_turn_v = [] {
  if constexpr (requires { Atom::rows_in_turn; })
    return Atom::rows_in_turn;
  else
    return false;
}();

/// Atoms whose words of W are operands in memory, read again for every row: registers do not suffice for them.
template <class Atom>
inline constexpr bool reloads_words_v = [] {
  if constexpr (requires { Atom::reloads_words; })
    return Atom::reloads_words;
  else
    return false;
}();

/// Atoms whose registers are full so soon that zeros to begin with, and what is added to them, count.
template <class Atom>
inline constexpr bool starts_with_products_v = [] {
  if constexpr (requires { Atom::starts_with_products; })
    return Atom::starts_with_products;
  else
    return false;
}();

/// Words in memory of one packed word: more than one for atoms whose words are widened before the loop.
template <class Atom>
inline constexpr std::size_t words_of_word_v = [] {
  if constexpr (requires { Atom::words_of_word; })
    return Atom::words_of_word;
  else
    return std::size_t{1};
}();

/// Elements of packed X that a group takes: one for each k, unless the atom says otherwise.
template <class Atom>
inline constexpr std::size_t group_elements = [] {
  if constexpr (requires { Atom::group_x; })
    return Atom::group_x;
  else
    return Atom::group_k;
}();
/// The same for a number of k's, whole groups and what is left of them.
template <class Atom>
constexpr std::size_t packed_elements(std::size_t k) {
  if constexpr (group_elements<Atom> == Atom::group_k)
    return k;
  else
    return (k * group_elements<Atom> + Atom::group_k - 1) / Atom::group_k;
}

/// Whether rows of X are compacted by positions that the channels of a panel share; other atoms permute X by them.
template <class Atom, class Window>
inline constexpr bool compacts_positions_v = [] {
  if constexpr (requires { typename Atom::template compaction<Window>; })
    return Window::positions_per_group != 0 && !Window::is_private;
  else
    return false;
}();

/// Packed rows of two planes.
template <class Atom>
inline constexpr bool in_planes = requires { Atom::in_planes; };

/// Groups of a word that an atom adds with one dot().
template <class Atom>
inline constexpr std::size_t joined_groups_v = [] {
  if constexpr (requires { Atom::joined_groups; })
    return Atom::joined_groups;
  else
    return std::size_t{1};
}();

/// Where the second of two joined groups is, seen from the first.
struct second_group {
  std::ptrdiff_t distance;  // elements of X
  std::size_t positions;    // bytes of positions, where every channel has its own
};

/// Which group of its word an atom adds at a turn.
template <class Atom>
constexpr std::size_t group_of_turn(std::size_t turn, std::size_t groups) {
  if constexpr (requires { Atom::second_group_first; })
    return groups - 1 - turn;
  else
    return turn * joined_groups_v<Atom>;
}

/// The atom whose blocks multiply for `Atom`. Where packed X no longer tells which type it was, one atom serves all:
/// blocks are most of the code of a product, and take as much of the time to compile it.
template <class Atom>
struct block_atom {
  using type = Atom;
};

struct nothing_while_adding {};
template <class Atom>
struct while_adding {
  using type = nothing_while_adding;
};
template <class Atom>
  requires requires { typename Atom::while_adding; }
struct while_adding<Atom> {
  using type = typename Atom::while_adding;
};
template <class Atom>
using while_adding_t = typename while_adding<Atom>::type;

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
