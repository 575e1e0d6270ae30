// SPDX-License-Identifier: MIT
#pragma once
// What the pieces of a loop's work cost on this instruction set, in cycles; estimate_rows.hpp and estimate_columns.hpp
// count them.
//
// AVX2, and bytes (in tiles of AMX, too), floats and pairs of bf16 on AVX-512 VNNI: fitted to the times of
// sparq_plan_sweep on Zen 3 and on Emerald Rapids (docs/plan.md). The rest of AVX-512: counted instructions of whole
// products (docs/decisions/avx512.md); scalar code: guessed. These two are not measured.

#include <sparq/kernel/select.hpp>
#include <sparq/numeric/floating.hpp>
#include <sparq/numeric/numeric.hpp>

#include <algorithm>
#include <cstddef>
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

/// Whether pairs of bf16 are multiplied by one instruction.
template <numeric N, class X>
inline constexpr bool multiplies_bf16_pairs_v =
    SPARQ_HAS_AVX512BF16 && std::is_same_v<N, bf16> && std::is_same_v<X, bf16::code>;

/// Codes that are no weights as they lie in memory.
template <numeric N>
inline constexpr bool decodes_v = has_tables<N> || packed_numeric_t<N>::bits < (N::is_integer ? 8 : 32);

/// Whether Y holds bytes, a quarter of the words of sums.
template <class Y>
inline constexpr bool stores_bytes_v = std::is_same_v<Y, std::uint8_t> || std::is_same_v<Y, std::int8_t>;

/// Of a strip group, which is group_k k's of 16 channels: for a block of rows, and each of its rows, at least so many.
struct block_cycles {
  double block = 0, row = 0, least_rows = 0;
  constexpr double operator()(std::size_t height) const {
    return block + row * (std::max)(static_cast<double>(height), least_rows);
  }
};

/// The rows loop, over weights as they are and over windows.
struct rows_cycles {
  block_cycles plain;           // X is broadcast
  block_cycles single = {};     // the same where a panel is one strip, with which none shares broadcasts (AVX-512)
  block_cycles permuted;        // X is permuted for each dot
  double permuted_window = 0;   // besides, of each row, for a window that no other group reads
  block_cycles further;         // besides, for each further register that the permute reaches into
  block_cycles chosen;          // X is chosen from a window, by all channels that share it (native_window_channels)
  /// The same where W is cut, once for all rows of a block.
  block_cycles chosen_sharing_cut = {};
  double block_end = 0;         // of a block of rows and channels, whose loop ends
  double joined_sums = 0;       // of a strip and a block of rows, whose cut W left two sums for each
  double shared_permute = 0;    // times plain.row: a permute for all channels, where X is not compacted
  double compacted_shared = 0;  // a k of one row, for each panel whose positions compact X
  double position = 0;          // what compacts a k of a panel, for all rows that are packed together
  double compacted = 0;         // a k of one row, for each panel that lists its k's
  double widened_k = 0;         // a k of one row that no panel compacts, once for all weights
  double copied_k = 0;          // the same where bytes stay bytes: windows whose W is cut, tiles
  double packed_row = 0;        // a row of X that is packed, besides its k's
  double tile_group = 0;        // in tiles (AMX): a strip group of 16 rows
  double scaled_tile = 0;       // besides, for each scale of 16 channels
  double decoded_group = 0;     // the same of narrow codes, for all rows that are packed together
  double strip = 0;             // 16 channels, whatever the rows: finding their weights, storing their first row
  double listed_strip = 0;      // besides, where the strip lists k's of its own
  double store = 0;             // 16 sums of one row
  double looked_up = 0;         // a strip group of codebooks, for all rows that are packed together
  double call = 0;
};

/// Weights on their way from memory, in bytes a cycle.
struct read_speeds {
  double asked = 0;                // blocks of rows that ask for the next strip in time
  double asked_addresses = 0;      // the same beside addresses or positions, where no block comes before
  double asked_by_eight = 0;       // blocks of six to eight rows, where those ask
  double unasked = 0;              // tall blocks that do not
  double unasked_alone = 0;        // the same, where no other block interrupts their reading
  double asked_in_strip = 0;       // tall blocks that ask 4 KiB ahead
  double one_row = 0;              // many strips are many streams
  double one_row_addresses = 0;    // beside addresses that list their k's
  double one_strip = 0;            // up to five rows where a panel is one strip, which is one stream (AVX-512)
  double one_row_windows = 0;
  double few_rows_windows = 0;     // two rows and more
  double bitmask = 0;
  double not_hidden_windows = 0.1;  // of the shorter of multiplying and reading, what the longer does not hide
  double again = 0;                // weights that came a moment ago and no far cache has lost
  double kept_bytes = 0;           // of all weights, in the second-level cache until the next rows meet them
  double columns = 0;              // in the columns loop
  double columns_shown = 0.5;      // the share of that reading that products do not hide
};

/// The columns loop, for each block of rows. A group is group_k k's of X, an addition a group of weights.
struct column_cycles {
  double group = 0, add = 0;            // a block all of whose registers are filled
  double half_group = 0, half_add = 0;  // half of them and less
  double few_group = 0, few_add = 0;    // a last block of few rows that has code of its own
  double hidden = 0;                    // of the lesser of groups and additions, beside the other
  double hidden_by_all = 0;             // the same where each group is for all channels of a panel
  double least_add = 0;                 // an addition, however few groups there are beside it
  double run_group = 0;                 // a group that lies in one run
  double step = 0;                      // a loop over groups of one kind
  double first_step = 0;                // besides, where it did not run just before, so that its end is guessed wrong
  double entry = 0;                     // where it is guessed wrong whether a loop is empty
  double near_group = 0;                // a group, besides, whose X has left the first-level cache
  double far_group = 0;                 // and the second-level cache
  double packed_k = 0;                  // of X
  double few_packed_k = 0;              // the same of a last block of few rows
  double far_packed_k = 0;              // besides, where X has left the second-level cache
  double code = 0;                      // decoded, for all blocks that the second-level cache holds
  double sum = 0;                       // that goes to Y; rows are turned eight at a time, channels sixteen
  double scaled_sum = 0;                // of each section, where scales run along k
  double call = 0;
};

/// The columns loop of few rows, which gathers X, for each row.
struct gather_cycles {
  double group = 0, add = 0;
  double turn = 0;        // four additions at least, whose sums the next turn but one waits for
  double step = 0;
  double first_step = 0;  // for all rows: the end of a loop that is guessed wrong
  double rest = 0;        // for all rows: the same of what is left of a step beside whole turns
  double code = 0, sum = 0, call = 0;
};

/// Weights that are expanded from a bitmask: 64 places and one code, for all rows that are packed together.
struct expand_cycles {
  double mask = 0;
  double mask_in_register = 0;  // 64 places that few rows meet without writing them
  double row_in_register = 0;   // and each of these rows
  double not_hidden = 1;        // of the lesser of those and reading
  double code = 0;
  block_cycles words = {};      // of a strip group that was expanded, where words of whole codes take something else
  double sum = 0;               // of each section but the first
  double stored = 0.8;          // times what the rows loop takes to store: sums of two or four strips go at once
  double call = 0, call_in_registers = 0;
};

struct loop_cycles {
  rows_cycles rows;
  read_speeds read;
  column_cycles columns;
  gather_cycles gather;
  expand_cycles expand;
};

/// AVX-512.
/// - `dots`: bytes are multiplied by one instruction; X of 16 bits has none
constexpr loop_cycles avx512_integers(bool narrow, bool dots) {
  loop_cycles c{
      .rows = {.plain = {0.28, dots ? 0.53 : 2.1, 2.6},
               .single = {0.5, dots ? 0.58 : 2.1, 3.2},
               .permuted = {dots ? 1.2 : 2.5, dots ? 1.1 : 2.5},
               .further = {2, 1},
               .chosen = {SPARQ_HAS_AVX512VBMI ? 8.8 : 5, SPARQ_HAS_AVX512VBMI && dots ? 1.5 : 5},
               .block_end = 31,
               .shared_permute = dots ? 1.4 : 1.05,
               .compacted_shared = 0.05,
               .position = 0.1,
               .compacted = SPARQ_HAS_AVX512VBMI2 ? 0.054 : 0.2,
               .copied_k = 0.03,
               .packed_row = 3.8,
               .tile_group = 2.3,
               .scaled_tile = 60,
               .decoded_group = narrow ? 1.0 : 0.0,
               .strip = 14,
               .listed_strip = 9.5,
               .store = 16,
               .call = 210},
      .read = {.asked = 9.1, .asked_addresses = 8.7, .asked_by_eight = 6.8, .unasked = 4.8, .unasked_alone = 4.6,
               .asked_in_strip = 4, .one_row = 8.1, .one_row_addresses = 9.1, .one_strip = 5.9, .one_row_windows = 7.1,
               .few_rows_windows = 6.1, .bitmask = 8.1, .not_hidden_windows = 0.31, .again = 13, .kept_bytes = 1e6,
               .columns = 3.4, .columns_shown = 0.28},
      .columns = {.group = 5.9, .add = 1.56, .half_group = 4.25, .half_add = 0.58, .few_group = 0.91, .few_add = 1.1,
                  .least_add = 1.88, .run_group = 1.8, .step = 24, .first_step = 3.1, .entry = 13, .near_group = 0.32,
                  .packed_k = 10.5, .few_packed_k = 5.6, .code = 0.024, .sum = 1.32, .scaled_sum = 0.5, .call = 2100},
      .gather = {.group = 4.4, .add = 0.43, .step = 9.1, .code = 0.03, .sum = 11, .call = 530},
      .expand = {.mask = 6.5, .mask_in_register = 4, .row_in_register = 0.36, .not_hidden = 0.29,
                 .code = narrow ? 0.1 : 0.016, .sum = 0.06, .stored = 1.6, .call = 470, .call_in_registers = 580}};
  if (!dots) {  // the atoms of AVX2
    c.columns.group = 2.9, c.columns.add = 2.1, c.columns.run_group = 1.7, c.columns.least_add = 0;
    c.columns.half_group = c.columns.few_group = 3.3, c.columns.half_add = c.columns.few_add = 1.25;
  }
  return c;
}
constexpr loop_cycles avx512_floats() {
  return {.rows = {.plain = {0, 0.56, 1},
                   .single = {0, 0.85, 4.9},
                   .permuted = {2.4, 1.1},
                   .further = {1, 0.5},
                   .chosen = {2.5, 2.5},
                   .block_end = 70,
                   .shared_permute = 1.4,
                   .compacted = 0.47,
                   .packed_row = 4.5,
                   .strip = 14,
                   .listed_strip = 51,
                   .store = 7.5,
                   .call = 280},
          .read = {.asked = 7.2, .asked_addresses = 7.3, .asked_by_eight = 6.7, .unasked = 4.3, .unasked_alone = 5.3,
                   .asked_in_strip = 3.2, .one_row = 6.9, .one_row_addresses = 6.9, .one_strip = 6.2,
                   .one_row_windows = 7, .few_rows_windows = 6.1, .bitmask = 8.3, .not_hidden_windows = 0.59,
                   .again = 20, .kept_bytes = 1e6, .columns = 2.9, .columns_shown = 0.38},
          .columns = {.group = 5, .add = 2.4, .half_group = 2.4, .half_add = 1.38, .few_group = 0.31, .few_add = 1,
                      .hidden = 0.7, .hidden_by_all = 0.86, .step = 22, .first_step = 1, .entry = 8.2,
                      .near_group = 0.28, .far_group = 0.14, .packed_k = 29, .few_packed_k = 3.5, .far_packed_k = 1.5,
                      .sum = 0.9, .scaled_sum = 0.5, .call = 1370},
          .gather = {.group = 0.71, .add = 0.51, .step = 8.2, .first_step = 12, .sum = 24, .call = 510},
          .expand = {.mask = 14.6, .code = 0.29, .sum = 0.44, .stored = 2.6, .call = 340}};
}
/// Pairs of bf16, whose products take twice as long as those of floats; windows and the columns loop multiply floats,
/// which X and W become.
constexpr loop_cycles avx512_bf16() {
  return {.rows = {.plain = {0, 0.95, 1},
                   .single = {0, 1.32, 4.1},
                   .permuted = {2.8, 1.32},
                   .further = {1, 0.5},
                   .chosen = {2.3, 2.08},
                   .block_end = 59,
                   .shared_permute = 1.4,
                   .compacted = 0.21,
                   .packed_row = 4.9,
                   .strip = 16,
                   .listed_strip = 26,
                   .store = 13,
                   .call = 250},
          .read = {.asked = 17, .asked_addresses = 8.1, .asked_by_eight = 3.5, .unasked = 5.1, .unasked_alone = 4.5,
                   .asked_in_strip = 5.7, .one_row = 8.6, .one_row_addresses = 7.5, .one_strip = 8.1,
                   .one_row_windows = 6.4, .few_rows_windows = 7.7, .bitmask = 6.7, .not_hidden_windows = 0.42,
                   .again = 15, .kept_bytes = 1e6, .columns = 5.6, .columns_shown = 0.46},
          .columns = {.group = 4.85, .add = 2, .half_group = 2.5, .half_add = 1.4, .few_group = 0.34, .few_add = 0.91,
                      .hidden = 0.88, .hidden_by_all = 0.93, .step = 29, .first_step = 1.1, .entry = 3.3,
                      .near_group = 0.49, .far_group = 0.3, .packed_k = 96, .few_packed_k = 13.7,
                      .far_packed_k = 1.16, .code = 0.29, .sum = 0.43, .scaled_sum = 0.5, .call = 1370},
          .gather = {.group = 0.98, .add = 0.43, .step = 7.2, .first_step = 7.3, .sum = 24, .call = 520},
          .expand = {.mask = 14.3, .code = 0.17, .words = {0, 0.52, 1}, .sum = 0.1, .stored = 2.2, .call = 500}};
}

/// AVX2, codes of more than 4 bits.
constexpr loop_cycles avx2_bytes() {
  return {.rows = {.plain = {2.5, 2},
                   .permuted = {6.5, 4.3},
                   .further = {13.9, 2.2},
                   .chosen = {-1.5, 8.5},
                   .chosen_sharing_cut = {1.5, 5.9},
                   .joined_sums = 120,
                   .compacted_shared = 0.065,
                   .position = 0.15,
                   .compacted = 0.14,
                   .widened_k = 0.12,
                   .copied_k = 0.065,
                   .packed_row = 37,
                   .strip = 60,
                   .listed_strip = 60,
                   .store = 15,
                   .call = 450},
          .read = {.asked = 7.2, .asked_addresses = 7.2, .unasked = 4.9, .unasked_alone = 4.9, .asked_in_strip = 5.5,
                   .one_row = 7.2, .one_row_addresses = 5.8, .one_row_windows = 8, .few_rows_windows = 7.2,
                   .bitmask = 7.2, .again = 6.5, .kept_bytes = 3e5, .columns = 7.2},
          .columns = {.group = 3.15, .add = 2, .half_group = 3, .half_add = 1.05, .few_group = 3, .few_add = 1.05,
                      .run_group = 2, .step = 1, .first_step = 10, .entry = 4, .near_group = 1.35, .packed_k = 1.5,
                      .few_packed_k = 0.8, .code = 0.065, .sum = 1.2, .scaled_sum = 1.2, .call = 1800},
          .gather = {.group = 3, .step = 6, .first_step = 11, .code = 0.15, .sum = 8.5, .call = 600},
          .expand = {.mask = 9.4, .code = 0.03, .sum = 0.05, .call = 600, .call_in_registers = 450}};
}
/// Codes of at most 4 bits have an atom of their own in the rows loop, and blocks of 32 rows of bytes in the columns
/// loop.
constexpr loop_cycles avx2_narrow() {
  loop_cycles c = avx2_bytes();
  c.rows.plain = {1.75, 1.28}, c.rows.permuted = {3.1, 2.4}, c.rows.further = {0.5, -0.4}, c.rows.chosen = {4, 3.5};
  c.rows.store = 19;
  c.columns.group = 3.6, c.columns.add = 2.7, c.columns.half_group = c.columns.few_group = 3.3;
  c.columns.half_add = c.columns.few_add = 1.8, c.columns.step = 6, c.columns.sum = 1.4;
  c.columns.first_step = 15, c.columns.near_group = 1.5, c.columns.packed_k = 3.6, c.columns.code = 0.06;
  c.gather.first_step = 15;
  c.expand.mask = 11, c.expand.code = 0.1;
  return c;
}
constexpr loop_cycles avx2_floats() {
  return {.rows = {.plain = {0, 1, 5.2},
                   .permuted = {0.7, 3.25},
                   .permuted_window = 0.7,
                   .further = {0.7, 0},
                   .chosen = {0.5, 3.7},
                   .compacted_shared = 0.27,
                   .position = 0.4,
                   .compacted = 0.6,
                   .strip = 60,
                   .listed_strip = 40,
                   .store = 13,
                   .call = 300},
          .read = {.asked = 7.8, .asked_addresses = 6, .unasked = 5.2, .unasked_alone = 6.6, .asked_in_strip = 5.8,
                   .one_row = 8.4, .one_row_addresses = 6, .one_row_windows = 6.8, .few_rows_windows = 7.8,
                   .bitmask = 7.8, .again = 6.5, .kept_bytes = 3e5, .columns = 3.75, .columns_shown = 0},
          .columns = {.group = 0.5, .add = 1, .half_group = 0.4, .half_add = 0.85, .few_group = 0.4, .few_add = 0.85,
                      .first_step = 22, .entry = 4, .near_group = 1.25, .far_group = 0.3, .packed_k = 5.2,
                      .far_packed_k = 1.7, .sum = 1.45, .scaled_sum = 1.2, .call = 800},
          .gather = {.group = 0.55, .add = 0.4, .turn = 2, .first_step = 20, .rest = 6, .sum = 18, .call = 600},
          .expand = {.mask = 19, .code = 0.15, .sum = 1.1, .call = 1000}};
}

constexpr loop_cycles scalar_code(bool is_integer) {
  const auto either = [is_integer](double integers, double floats) { return is_integer ? integers : floats; };
  return {.rows = {.plain = {0, either(24, 6)},
                   .permuted = {0, either(60, 14)},
                   .further = {8, 8},
                   .chosen = {either(20, 5), either(60, 14)},
                   .shared_permute = 2,
                   .compacted = 1,
                   .store = 20,
                   .call = 200},
          .read = {.asked = 5, .asked_addresses = 5, .unasked = 3.5, .unasked_alone = 3.5, .asked_in_strip = 4,
                   .one_row = either(5, 6.5), .one_row_addresses = 5, .one_row_windows = 5, .few_rows_windows = 5,
                   .bitmask = 5, .again = 6, .kept_bytes = 1e6, .columns = 5},
          .columns = {.group = either(2, 1), .add = either(24, 6), .half_group = either(2, 1),
                      .half_add = either(24, 6), .run_group = 2, .step = 10, .packed_k = 8, .sum = 1.6,
                      .scaled_sum = 6, .call = 800},
          .gather = {.group = either(4, 1), .add = either(6, 2), .step = 4, .sum = 8, .call = 500},
          .expand = {.mask = 130, .call = 1000}};
}

/// - `IsInteger`, `Narrow`: of codes, the latter at most 4 bits wide; `Dots`: as above
template <bool IsInteger, bool Narrow, bool Dots = SPARQ_HAS_AVX512VNNI>
constexpr loop_cycles cycles_of_this_isa() {
  if constexpr (SPARQ_HAS_AVX512)
    return IsInteger ? avx512_integers(Narrow, Dots) : avx512_floats();
  else if constexpr (SPARQ_HAS_AVX2)
    return IsInteger ? (Narrow ? avx2_narrow() : avx2_bytes()) : avx2_floats();
  else
    return scalar_code(IsInteger);
}

/// How much quicker the rows loop multiplies codes of N than those of 4 bits: 2 bits and one have quicker loaders.
template <numeric N>
constexpr double narrow_gain() {
  if constexpr (SPARQ_HAS_AVX2 && !SPARQ_HAS_AVX512 && N::is_integer && !has_tables<N>)
    return packed_numeric_t<N>::bits >= 4 ? 1 : 1.17;
  else
    return 1;
}

/// Costs of codes of N.
/// - `X`: of activations; std::int16_t, bf16 for weights of bf16, or any others, which cost the same
/// - `Y`: what is stored; bytes, or any others, which cost the same
template <numeric N, class X = void, class Y = void>
constexpr loop_cycles cycles_of_codes() {
  constexpr bool narrow = N::is_integer && !has_tables<N> && packed_numeric_t<N>::bits <= 4;
  constexpr bool has_shorts = std::is_same_v<X, std::int16_t>;
  loop_cycles c = multiplies_bf16_pairs_v<N, X>
                      ? avx512_bf16()
                      : cycles_of_this_isa<N::is_integer, narrow, SPARQ_HAS_AVX512VNNI && !has_shorts>();
  c.rows.plain.row /= narrow_gain<N>(), c.rows.permuted.row /= narrow_gain<N>();
  if constexpr (stores_bytes_v<Y>) c.columns.sum *= SPARQ_HAS_AVX512 ? 0.65 : 0.8;  // a quarter of the words is turned
  if constexpr (has_tables<N>) {
    const double in_registers = SPARQ_HAS_AVX2 ? 7 : 100, floats = SPARQ_HAS_AVX2 ? 13 : 50, bytes = 185;
    c.rows.looked_up = has_small_tables_v<N> ? in_registers : N::is_integer ? bytes : floats;
    c.columns.code = N::is_integer ? 2.6 : 9, c.gather.code = N::is_integer ? 2.7 : 3.5;
  } else if constexpr (!N::is_integer && decodes_v<N> && !multiplies_bf16_pairs_v<N, X>) {  // f16 and bf16
    c.columns.code = 0.27, c.gather.code = std::is_same_v<N, bf16> ? 0 : 0.8;  // bf16 is multiplied as it lies
  }
  if constexpr (multiplies_in_pairs<u8, packed_numeric_t<N>>) {
    c.columns.add *= 0.8, c.columns.half_add *= 0.8, c.columns.few_add *= 0.8;
    // loops over rows read bytes like those of 4 bits, and widen every pair
    const rows_cycles bytes = cycles_of_this_isa<true, true>().rows;
    c.rows.plain = bytes.plain, c.rows.permuted = bytes.permuted;
    c.rows.further = bytes.further, c.rows.chosen = bytes.chosen;
    c.rows.plain.row *= 1.2, c.rows.permuted.row *= 1.1;
  }
  if constexpr (SPARQ_HAS_AVX2 && !SPARQ_HAS_AVX512 && N::is_integer && has_shorts)
    c.rows.chosen = {26, 14}, c.rows.compacted_shared *= 2;
  return c;
}

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
