// SPDX-License-Identifier: MIT
#pragma once
// What the pieces of a loop's work cost on this instruction set, in cycles; choose_loop.hpp counts them.

#include <sparq/kernel/select.hpp>
#include <sparq/numeric/numeric.hpp>

#include <cstdint>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Codebooks of at most 16 bytes, whose entries are looked up in registers.
template <numeric N>
inline constexpr bool has_small_tables_v = false;
template <has_tables N>
inline constexpr bool has_small_tables_v<N> = N::is_integer && N::entries <= 16 && !requires { N::table::bucket; };
/// Codebooks of floats, which are gathered from memory.
template <numeric N>
inline constexpr bool has_float_tables_v = false;
template <has_tables N>
inline constexpr bool has_float_tables_v<N> = !N::is_integer && !requires { N::table::bucket; };

/// Codes that are no weights as they lie in memory.
template <numeric N>
inline constexpr bool decodes_v = has_tables<N> || packed_numeric_t<N>::bits < (N::is_integer ? 8 : 32);

/// Whether Y holds bytes, a quarter of the words of sums.
template <class Y>
inline constexpr bool stores_bytes_v = std::is_same_v<Y, std::uint8_t> || std::is_same_v<Y, std::int8_t>;

/// Cycles of what the loops do. A strip group is group_k k's of 16 channels, a group the same of one list.
struct loop_cycles {
  // rows, for each strip group: of a block of rows, and of each of its rows; a block has at least `least_rows`
  double block, row, least_rows;
  double private_block, private_row;  // with a permute of X for each dot
  double window_block, window_row;    // for each further register that the permute reaches into
  double shared;                      // a permute for two dots: times `row`, where X is not compacted
  double compacted_shared;            // a k of one row, for each panel whose positions compact X
  double position;                    // what compacts a k of a panel, for all rows that are packed together
  double compacted;                   // a k of one row, for each panel that lists its k's
  double widened_k;                   // a k of one row that no panel compacts, once for all weights
  double store;                       // 16 sums of one row
  double listed_strip;                // 16 channels with k's of their own, for all rows
  double rows_call;
  // reading weights, bytes a cycle: blocks of rows that ask for the next ones in time, tall ones that do not, and one row of
  // X, whose many strips are many streams, beside addresses that list their k's, and in windows
  double read_bytes, unasked_bytes, one_row_bytes, one_row_with_addresses, one_row_windows;
  double kept_bytes;                // of all weights, in the second-level cache until the next rows meet them
  // columns, for each block of rows: all its registers, or half of them and less
  double group, add;
  double half_group, half_add;
  double least_add;                 // an addition, however few loads of groups there are beside it
  double run_group;                 // a group that lies in one run
  double step;                      // a loop over groups of one kind
  double first_step;                // besides, where that loop was not run just before, so that its end is guessed wrong
  double near_group, far_group;     // besides, where X leaves the first- and the second-level cache
  double packed_k;                  // of X
  double code;                      // decoded, for all blocks that the second-level cache holds
  double column_sum, columns_call;  // a sum that goes to Y
  double scaled_sum;                // of each section, where scales run along k
  // columns of few rows, for each row
  double gathered_group, gathered_add, gathered_step, gathered_code, gathered_sum, gather_call;
  // expand: 64 places and one code, for all rows that are packed together; a sum for each section
  double mask, expanded_code, expanded_sum, expand_call;
  double mask_in_register;          // 64 places that few rows meet without writing them
  // window: as rows, of a group of 16 channels
  double chosen_block, chosen_row;
  // codebooks in rows and windows: a group, for all rows that are packed together
  double looked_up;
};

/// - `Narrow`: codes of at most 4 bits, which have an atom of their own in the rows loop of AVX2
/// - `Dots`: of bytes by one instruction; X of 16 bits has none
/// AVX2: fitted to the times of sparq_plan_sweep on Zen 3 (docs/plan.md). AVX-512: from llvm-mca's model of
/// Zen 4, corrected, and counted instructions of whole products (docs/decisions/avx512.md); scalar code: guessed. Neither is measured.
template <bool IsInteger, bool Narrow, bool Dots = SPARQ_HAS_AVX512VNNI>
constexpr loop_cycles cycles_of_this_isa() {
  loop_cycles c{};
  c.rows_call = 200, c.columns_call = 800, c.gather_call = 500, c.expand_call = 1000;
  c.gathered_sum = 8, c.store = 20, c.column_sum = 1.6, c.scaled_sum = SPARQ_HAS_AVX512 ? 0.5 : SPARQ_HAS_AVX2 ? 1.2 : 6;
  c.read_bytes = 5, c.unasked_bytes = 3.5, c.one_row_bytes = IsInteger ? 5 : 6.5, c.one_row_with_addresses = c.read_bytes;
  c.one_row_windows = c.read_bytes, c.kept_bytes = 1e6;
  if constexpr (SPARQ_HAS_AVX512) {
    c.step = 12, c.compacted = IsInteger && SPARQ_HAS_AVX512VBMI2 ? 0.045 : 0.2, c.store = 8, c.column_sum = 1;
    if constexpr (IsInteger) {
      c.block = 0.5, c.row = Dots ? 1.03 : 2.1, c.least_rows = 2.4, c.private_block = Dots ? 1 : 2.5;
      c.private_row = Dots ? 1.34 : 2.5, c.window_block = 2, c.window_row = 1, c.shared = 1.05;
      c.group = 4.7, c.add = 2.35, c.least_add = 4, c.half_group = 4, c.half_add = 1, c.run_group = 2.6;
      if constexpr (!Dots)  // the atoms of AVX2
        c.group = 2.9, c.add = 2.1, c.least_add = 0, c.half_group = 3.3, c.half_add = 1.25, c.run_group = 1.7;
      c.packed_k = 6, c.code = 0.03, c.near_group = 1;
      c.gathered_group = 3, c.gathered_add = 0.5, c.gathered_step = 7, c.gathered_code = 0.03;
      c.mask = 4, c.mask_in_register = 2.5, c.expanded_code = Narrow ? 0.1 : 0.02, c.expanded_sum = 0.05;
      // nearly every window of 64 bytes lies in two lines, which is two loads
      c.chosen_block = SPARQ_HAS_AVX512VBMI ? 2.5 : 5, c.chosen_row = SPARQ_HAS_AVX512VBMI && Dots ? 2 : 5;
    } else {
      c.row = 1.05, c.least_rows = 2, c.private_block = 1, c.private_row = 1.4, c.window_block = 1, c.window_row = 0.5;
      c.shared = 1.1, c.group = 0.5, c.add = 4, c.half_group = 0.5, c.half_add = 2, c.packed_k = 14;
      c.gathered_group = 0.7, c.gathered_add = 0.4, c.gathered_step = 2, c.mask = 9, c.expanded_sum = 0.1;
      c.chosen_block = 2.5, c.chosen_row = 2;
    }
  } else if constexpr (SPARQ_HAS_AVX2) {
    c.read_bytes = 7.2, c.unasked_bytes = 4.9, c.kept_bytes = 3e5;
    c.one_row_bytes = IsInteger ? 7.2 : 8.4, c.one_row_with_addresses = IsInteger ? 5.8 : 7.3, c.one_row_windows = IsInteger ? 8 : 8.3;
    if constexpr (IsInteger) {
      if constexpr (Narrow)
        c.block = 1.75, c.row = 1.28, c.private_block = 3.1, c.private_row = 2.4, c.window_block = 0.5, c.window_row = -0.4;
      else
        c.block = 2.5, c.row = 2.0, c.private_block = 6.5, c.private_row = 4, c.window_block = 13.9, c.window_row = 2.2;
      c.compacted_shared = 0.065, c.position = 0.15, c.compacted = 0.14, c.widened_k = 0.05, c.store = Narrow ? 26 : 22, c.listed_strip = 30;
      c.group = 3.3, c.add = 2.1, c.half_group = 3.8, c.half_add = 1.05, c.run_group = 2, c.step = Narrow ? 6 : 1;
      c.first_step = Narrow ? 15 : 11, c.near_group = Narrow ? 1.2 : 0.9, c.packed_k = 2.2, c.code = Narrow ? 0.06 : 0.065, c.columns_call = 1000;
      c.column_sum = Narrow ? 1.6 : 1.8;
      if constexpr (Narrow) {  // blocks of 32 rows of bytes
        c.group = 3.6, c.add = 2.7, c.half_group = 3.3, c.half_add = 1.8, c.packed_k = 3.6;
      }
      c.gathered_group = 3, c.gathered_step = 6, c.gathered_code = 0.15, c.gathered_sum = 8.5, c.gather_call = 600;
      c.mask = Narrow ? 11 : 9.4, c.expanded_code = Narrow ? 0.1 : 0.03, c.expanded_sum = 0.05, c.expand_call = 1200;
      c.chosen_block = Narrow ? 4 : -1.5, c.chosen_row = Narrow ? 3.5 : 8.5;
    } else {
      c.row = 1, c.least_rows = 5.2, c.private_block = 0.7, c.private_row = 3.6, c.window_block = 0.7;
      c.compacted_shared = 0.27, c.position = 0.4, c.compacted = 0.32, c.store = 15, c.listed_strip = 100;
      c.group = 1.38, c.add = 0.66, c.least_add = 1.2, c.half_group = 0.9, c.half_add = 0.5, c.first_step = 22, c.near_group = 0.33, c.far_group = 0.7;
      c.packed_k = 4.4, c.column_sum = 1.45, c.columns_call = 800;
      c.gathered_group = 0.55, c.gathered_add = 0.3, c.gathered_sum = 18, c.gather_call = 700;
      c.mask = 19, c.expanded_code = 0.15, c.expanded_sum = 1.1;
      c.chosen_block = 0.5, c.chosen_row = 3.4;
    }
  } else {
    c.packed_k = 8, c.compacted = 1, c.run_group = 2, c.window_block = 8, c.window_row = 8, c.mask = 130;
    c.row = IsInteger ? 24 : 6, c.private_row = IsInteger ? 60 : 14, c.shared = 2;
    c.group = IsInteger ? 2 : 1, c.add = IsInteger ? 24 : 6, c.half_group = c.group, c.half_add = c.add, c.step = 10;
    c.chosen_block = IsInteger ? 20 : 5, c.chosen_row = IsInteger ? 60 : 14;
    c.gathered_group = IsInteger ? 4 : 1, c.gathered_add = IsInteger ? 6 : 2, c.gathered_step = 4;
  }
  return c;
}

/// Costs of codes of N.
/// - `X`: of activations; std::int16_t, or any others, which cost the same
/// - `Y`: what is stored; bytes, or any others, which cost the same
template <numeric N, class X = void, class Y = void>
constexpr loop_cycles cycles_of_codes() {
  constexpr bool narrow = N::is_integer && !has_tables<N> && packed_numeric_t<N>::bits <= 4;
  loop_cycles c = cycles_of_this_isa<N::is_integer, narrow, SPARQ_HAS_AVX512VNNI && !std::is_same_v<X, std::int16_t>>();
  if constexpr (stores_bytes_v<Y>) c.column_sum *= 0.7;  // a quarter of the words is turned
  if constexpr (has_tables<N>) {
    c.looked_up = has_small_tables_v<N> ? (SPARQ_HAS_AVX2 ? 7 : 100) : N::is_integer ? 185 : SPARQ_HAS_AVX2 ? 13 : 50;
    c.code = N::is_integer ? 2.6 : 9, c.gathered_code = N::is_integer ? 2.7 : 3.5;
  } else if constexpr (!N::is_integer && decodes_v<N>) {  // f16 and bf16
    c.code = 0.27, c.gathered_code = 0.8;
  }
  if constexpr (machine::multiplies_in_pairs<u8, packed_numeric_t<N>>) {  // loops over rows read bytes like those of 4 bits, and widen every pair
    c.add *= 0.8, c.half_add *= 0.8;
    const loop_cycles bytes = cycles_of_this_isa<true, true>();
    c.block = bytes.block, c.row = 1.2 * bytes.row;
    c.private_block = bytes.private_block, c.private_row = 1.1 * bytes.private_row;
    c.window_block = bytes.window_block, c.window_row = bytes.window_row;
    c.chosen_block = bytes.chosen_block, c.chosen_row = bytes.chosen_row;
  }
  if constexpr (SPARQ_HAS_AVX2 && !SPARQ_HAS_AVX512 && N::is_integer && std::is_same_v<X, std::int16_t>)
    c.chosen_block = 26, c.chosen_row = 14, c.compacted_shared *= 2;
  return c;
}

/// How much quicker the rows loop multiplies codes of N than those of 4 bits: codes of 2 bits and of one have quicker loaders.
template <numeric N>
constexpr double narrow_gain() {
  if constexpr (SPARQ_HAS_AVX2 && !SPARQ_HAS_AVX512 && N::is_integer && !has_tables<N>)
    return packed_numeric_t<N>::bits >= 4 ? 1 : 1.17;
  else
    return 1;
}

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
