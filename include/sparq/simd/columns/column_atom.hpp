// SPDX-License-Identifier: MIT
#pragma once
// What an atom of the columns loop is: the same multiply-add as in atom.hpp, with rows of X in the lanes and one weight
// broadcast. X comes in blocks of `lanes * registers` rows, [k][row of the block], in an order of rows that makes the
// lanes of the sums ascend.
//
//   struct columns4_u8s8_some_isa {
//     static constexpr std::string_view name;
//     static constexpr isa needs;
//     using x_code, acc_type;                  // element of X; int32_t or float
//     static constexpr std::size_t lanes;      // rows of X in a register
//     static constexpr std::size_t registers;  // sums of one channel
//     static constexpr std::size_t group_k;    // k's multiplied at once
//     static constexpr std::int32_t weight_sum_factor;  // as in atom.hpp
//     using packed_x, weight;                  // element of a block; one decoded code
//     static constexpr bool in_place<N>;       // codes of N are weights as they are
//     static void pack_rows(const x_code* const* rows, std::size_t k, packed_x* block);
//                                              // all rows of a block, row-major
//     static void pack_columns(const x_code* x, std::size_t stride, std::size_t k, std::size_t count, packed_x* block);
//                                              // X k-major: row r of k at x[k * stride + r], r < count
//     struct x_group<V>;                       // group_k k's of V * lanes rows
//     x_group<V> load(const packed_x* block, const std::uint16_t* k);
//     acc zero(); void add(acc (&)[V], const weight*, const x_group<V>&);
//     acc load_sums(const acc_type*); void store_sums(acc_type*, acc);
//   };
//
// An atom for runs of k's has `run` = group_k besides: X is packed in whole runs, [run][...], `load` gets a list that
// starts with the first k of its run, and pack_quads takes X that is stored so. One that waits for loads may take
// weights of four channels by one, and, where a group is one k, those of two or four groups:
//     weights four_weights(const weight*); void add_one_of<C>(acc (&)[V], weights, const x_group<V>&);
//     struct list<Count>;                  // made from a const std::uint16_t*; [i] is k i
//     x_group<V> load_k(const packed_x* block, std::size_t k);
//
// An atom for the few rows of a last block (few_rows_atom in kernel/select.hpp) says besides:
//     static constexpr std::size_t least_k;        // it takes them from this k on
//     static constexpr std::size_t gathered_rows;  // left to gather_loop where X has no more; 2, if it says nothing
//
// An atom whose sums are narrower than acc_type has instead of load_sums and store_sums:
//     static constexpr std::size_t max_groups;   // that sums hold besides what a carry leaves of them
//     static constexpr std::size_t max_carries;  // that one acc of carried sums holds
//     void carry(acc& sums, acc* carried);       // moves a part of the sums to those in memory
//     void add_sums(acc_type* p, acc sums, acc* carried);  // p[lane] += sums and carried sums; those are used up

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

/// k's that an atom of the columns loop wants together; 1: any.
template <class Atom>
inline constexpr std::size_t run_of_v = 1;
template <class Atom>
  requires requires { Atom::run; }
inline constexpr std::size_t run_of_v<Atom> = Atom::run;

namespace machine {

/// The atom that adds the sections of `Atom`. Where packed X and decoded weights no longer tell of which types they
/// were, one atom adds those of all: a section is a loop for each of its steps, and takes long to compile.
template <class Atom>
struct section_atom {
  using type = Atom;
};

/// The atom that adds the sections of a whole block of `Atom` and of few rows behind it at once; void: none does.
template <class Atom>
struct tall_atom {
  using type = void;
};
/// The most rows behind a block that it takes; they are packed as few_rows_atom packs them, which takes them at any k.
template <class Atom>
inline constexpr std::size_t tall_rows = [] {
  if constexpr (std::is_void_v<typename tall_atom<Atom>::type>)
    return std::size_t{0};
  else
    return Atom::lanes * (tall_atom<Atom>::type::registers - Atom::registers);
}();

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
