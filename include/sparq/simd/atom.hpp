// SPDX-License-Identifier: MIT
#pragma once
// What an atom is: one multiply-add of the CPU, the way it wants its operands, and nothing about loops. A register holds
// `lanes` 32-bit lanes, one output channel each; a word of W (packed.hpp) fills one lane, a word of X is broadcast.
//
//   struct dot4_u8s8_some_isa {
//     static constexpr std::string_view name;
//     static constexpr isa needs;              // features
//     using x_code, acc_type;                  // element of X; int32_t, int64_t or float
//     static constexpr std::size_t lanes;      // channels of a register
//     static constexpr std::size_t group_k;    // k's of a word of W
//     static constexpr std::size_t group_x;    // optional: elements of packed X for these k's, if not one for each
//     static constexpr std::size_t steps;      // words of X for one word of W (2 where W is widened on the way)
//     static constexpr std::size_t block_rows; // rows of X whose accumulators fit into the registers, 2 of W beside
//     static constexpr std::size_t block_registers; // optional: 1 if more registers of channels leave too few
//     static constexpr std::size_t max_groups; // optional: that acc holds; then add() is a store() that adds to the tile
//     static constexpr std::int32_t weight_sum_factor;  // true sum = accumulator + factor * (sum of the channel's codes)
//     using packed_x;                          // element of a row of X as the atom reads it
//     static constexpr bool in_place;          // ... which is X itself
//     static void pack_row(const x_code* x, std::size_t k, bool grouped, packed_x* out);
//                                              // grouped: in the order of words; otherwise in the order of k
//     template <class N> struct loader;        // register of packed words -> one register for each group and step
//     template <std::size_t Window> struct selector;  // permutes a window of X for every lane
//     static auto sums(acc);                   // optional: acc as sums of 32 bits, where it holds narrower ones
//     acc zero(); acc dot(acc, w_word, x_word); x_word broadcast(const packed_x*); void store(acc_type*, acc);
//   };
//
// loader<N>:  groups (groups in one word); raw load(const std::uint32_t*); w_word decode<Step>(raw), where Step counts
//             group * steps + step.
// selector<W>: chunk (elements of X that one permute reaches), chunks; control make(positions, step, chunk) with
//             `lanes * group_k` positions; control make_shared(positions, step, chunk) with group_k of them;
//             x_word select(const packed_x* at_chunk, control); x_word combine(x_word, x_word).

#include <sparq/base/config.hpp>
#include <sparq/numeric/numeric.hpp>
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

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
