// SPDX-License-Identifier: MIT
#pragma once
// Compressed sparse rows: any zeros anywhere. Slots run through the channels in order, their k's ascending.
//
//   row_offsets [0 2 2 5]   channel n owns the slots row_offsets[n] .. row_offsets[n+1]
//   columns     [1 7 | | 0 3 4]   k of each slot                       8 bytes of index for a channel and 4 for a slot
//
// Kernels multiply it with rows of X in the lanes (packed_columns.hpp), four neighbouring channels at a time.

#include <sparq/format/checks.hpp>
#include <sparq/format/format.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>

namespace sparq {

/// Zeros anywhere; docs/formats/csr.md.
struct csr {
  using k_map = scattered;
  using row_select = all;

  static std::string name() { return "csr"; }

  /// Channels of one panel.
  static constexpr std::size_t panel_channels = 16;

  template <template <class> class Array>
  struct index {
    weight_shape shape;
    Array<std::uint64_t> row_offsets;  // n + 1
    Array<index_t> columns;            // slots

    auto arrays() const { return std::tie(row_offsets, columns); }
    auto arrays() { return std::tie(row_offsets, columns); }
    std::size_t slots() const { return columns.size(); }
    std::size_t panels() const { return ceil_div(shape.n, panel_channels); }
    channel_range panel(std::size_t p) const { return panel_of(p, panel_channels, shape.n); }

    template <class Visit>
    void for_each_slot(std::size_t p, Visit&& visit) const {
      const auto [first, count] = panel(p);
      for (std::size_t n = first; n < first + count; ++n)
        for (auto slot = static_cast<std::size_t>(row_offsets[n]); slot < row_offsets[n + 1]; ++slot)
          visit(slot, n, columns[slot]);
    }

    /// Offsets start at 0, never fall and end at the number of slots; columns ascend strictly and stay below K.
    /// O(n + slots).
    status validate() const {
      if (status s = sparq::validate(shape); !s.ok()) return s;
      if (status s = check_offsets("csr: row_offsets", row_offsets, shape.n, columns.size()); !s.ok()) return s;
      return check_lists("csr: columns", columns, row_offsets, "channel", shape.k);
    }
  };

  /// Holds every mask: every kept element gets a slot.
  static expected<index<owned>> from_mask(mask_view keep) {
    if (status s = validate(keep.shape); !s.ok()) return s;
    index<owned> result{keep.shape, {}, {}};
    result.row_offsets.reserve(keep.shape.n + 1);
    result.row_offsets.push_back(0);
    result.columns.reserve(keep.kept());
    for (std::size_t n = 0; n < keep.shape.n; ++n) {
      append_kept(keep.channel(n), result.columns);
      result.row_offsets.push_back(result.columns.size());
    }
    return result;
  }
};

}  // namespace sparq
