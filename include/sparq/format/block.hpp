// SPDX-License-Identifier: MIT
#pragma once
// Blocks of R channels x C k's, stored whole or not at all. A panel is R neighbouring channels (the last one ragged).
//
//   block<2,4>, one panel, K = 14: k 0..3   4..7   8..11  12..13
//                             r0   [0 1 2 3]  .    [8 9 10 11]   [16 17 . .]     slots; row-major in the block
//                             r1   [4 5 6 7]  .    [12 13 14 15] [20 21 . .]     18 19 22 23 only pad
//
//   panel_offsets [0 3 ..]       panel p owns the blocks panel_offsets[p] .. panel_offsets[p+1]      8 bytes per panel
//   block_columns [0 2 3 | ..]   first k of each block / C, ascending                                4 bytes per block
//
//   for each block of the panel: for r < R: for c < C: slot++ holds W[first + r][block_column * C + c]
//
// Where the matrix ends inside a block, the block keeps all its slots; those beyond the matrix are never visited.

#include <sparq/format/checks.hpp>
#include <sparq/format/format.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

namespace sparq {

/// Blocks of R channels x C k's; docs/formats/block.md.
template <std::size_t R, std::size_t C>
struct block {
  static_assert(R >= 1 && C >= 1, "sparq: a block needs at least one channel and one k; use block<R,C> with R, C >= 1");

  /// Blocks of a whole strip are runs; narrower ones would leave most of its lanes empty.
  using k_map = std::conditional_t<(R >= 16), runs, scattered>;
  /// Neighbouring k's that are stored together, from a multiple of them on.
  static constexpr std::size_t run = C;
  using row_select = all;

  static std::string name() { return "block<" + std::to_string(R) + "," + std::to_string(C) + ">"; }

  /// Channels of one panel.
  static constexpr std::size_t panel_channels = R;

  template <template <class> class Array>
  struct index {
    weight_shape shape;
    Array<std::uint64_t> panel_offsets;  // panels + 1
    Array<index_t> block_columns;        // stored blocks

    auto arrays() const { return std::tie(panel_offsets, block_columns); }
    auto arrays() { return std::tie(panel_offsets, block_columns); }
    std::size_t slots() const { return block_columns.size() * R * C; }
    std::size_t panels() const { return ceil_div(shape.n, R); }
    channel_range panel(std::size_t p) const { return panel_of(p, R, shape.n); }

    template <class Visit>
    void for_each_slot(std::size_t p, Visit&& visit) const {
      const auto [first, count] = panel(p);
      for (auto b = static_cast<std::size_t>(panel_offsets[p]); b < panel_offsets[p + 1]; ++b) {
        const std::size_t first_k = std::size_t{block_columns[b]} * C;
        const std::size_t count_k = (std::min)(C, shape.k - first_k);
        for (std::size_t r = 0; r < count; ++r)
          for (std::size_t c = 0; c < count_k; ++c) visit((b * R + r) * C + c, first + r, first_k + c);
      }
    }

    /// Offsets start at 0, never fall and end at the number of blocks; block columns ascend strictly inside a panel
    /// and start inside K. O(panels + blocks).
    status validate() const {
      if (status s = sparq::validate(shape); !s.ok()) return s;
      if (status s = check_offsets(name() + ": panel_offsets", panel_offsets, panels(), block_columns.size()); !s.ok())
        return s;
      return check_lists(name() + ": block_columns", block_columns, panel_offsets, "panel", ceil_div(shape.k, C));
    }
  };

  /// Holds every mask: a block is stored when anything in it is kept.
  static expected<index<owned>> from_mask(mask_view keep) {
    if (status s = validate(keep.shape); !s.ok()) return s;
    index<owned> result{keep.shape, {}, {}};
    result.panel_offsets.reserve(result.panels() + 1);
    result.panel_offsets.push_back(0);
    const std::size_t whole = keep.shape.k / C;
    std::vector<std::uint8_t> stored(ceil_div(keep.shape.k, C));
    for (std::size_t p = 0; p < result.panels(); ++p) {
      std::fill(stored.begin(), stored.end(), std::uint8_t{0});
      const auto [first, count] = result.panel(p);
      for (std::size_t n = first; n < first + count; ++n) {
        const std::uint8_t* row = keep.channel(n).data();
        for (std::size_t b = 0; b < whole; ++b)
          for (std::size_t c = 0; c < C; ++c) stored[b] |= row[b * C + c];
        for (std::size_t k = whole * C; k < keep.shape.k; ++k) stored[whole] |= row[k];
      }
      append_kept(stored, result.block_columns);
      result.panel_offsets.push_back(result.block_columns.size());
    }
    return result;
  }
};

}  // namespace sparq
