// SPDX-License-Identifier: MIT
#pragma once
// One bit for every weight: any zeros anywhere. From 3 % density on smaller than csr's 4 bytes for a slot. Slots run
// through the channels in order, their k's ascending.
//
//   K = 70, channel n:  bits [word 0: k 0..63] [word 1: k 64..69, the rest 0]       K / 8 bytes for a channel
//   row_offsets [0 2 2 5]   channel n owns the slots row_offsets[n] .. row_offsets[n+1]          8 bytes for a channel

#include <sparq/format/checks.hpp>
#include <sparq/format/format.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>

namespace sparq {

/// Zeros anywhere, one bit for every weight; docs/formats/bitmask.md.
struct bitmask {
  using k_map = scattered;
  using row_select = all;

  static std::string name() { return "bitmask"; }

  /// Channels of one panel.
  static constexpr std::size_t panel_channels = 16;

  template <template <class> class Array>
  struct index {
    weight_shape shape;
    Array<std::uint64_t> row_offsets;  // n + 1
    Array<std::uint64_t> bits;         // n x ceil(k / 64); bit k % 64 of word k / 64

    auto arrays() const { return std::tie(row_offsets, bits); }
    auto arrays() { return std::tie(row_offsets, bits); }
    std::size_t slots() const { return row_offsets.empty() ? 0 : static_cast<std::size_t>(row_offsets[shape.n]); }
    std::size_t words() const { return ceil_div(shape.k, 64); }
    std::size_t panels() const { return ceil_div(shape.n, panel_channels); }
    channel_range panel(std::size_t p) const { return panel_of(p, panel_channels, shape.n); }

    template <class Visit>
    void for_each_slot(std::size_t p, Visit&& visit) const {
      const auto [first, count] = panel(p);
      auto slot = static_cast<std::size_t>(row_offsets[first]);
      for (std::size_t n = first; n < first + count; ++n)
        for (std::size_t word = 0; word < words(); ++word)
          for (std::uint64_t rest = bits[n * words() + word]; rest != 0; rest &= rest - 1)
            visit(slot++, n, word * 64 + static_cast<std::size_t>(std::countr_zero(rest)));
    }

    /// As many slots as bits in every channel, none beyond K. O(n k / 64).
    status validate() const {
      if (status s = sparq::validate(shape); !s.ok()) return s;
      if (status s = check_size("bitmask: row_offsets", row_offsets.size(), shape.n + 1); !s.ok()) return s;
      if (status s = check_size("bitmask: bits", bits.size(), shape.n * words()); !s.ok()) return s;
      if (row_offsets[0] != 0)
        return status::failure("bitmask: row_offsets[0] is " + std::to_string(row_offsets[0]) + "; it must be 0");
      for (std::size_t n = 0; n < shape.n; ++n) {
        std::uint64_t kept = 0;
        for (std::size_t word = 0; word < words(); ++word)
          kept += static_cast<std::uint64_t>(std::popcount(bits[n * words() + word]));
        if (row_offsets[n + 1] - row_offsets[n] != kept || row_offsets[n + 1] < row_offsets[n])
          return status::failure("bitmask: row_offsets[" + std::to_string(n + 1) + "] is " +
                                 std::to_string(row_offsets[n + 1]) + "; channel " + std::to_string(n) + " keeps " +
                                 std::to_string(kept) + " k's from " + std::to_string(row_offsets[n]) + " on");
        if (shape.k % 64 != 0 && (bits[n * words() + words() - 1] >> (shape.k % 64)) != 0)
          return status::failure("bitmask: channel " + std::to_string(n) + " keeps a k beyond K = " +
                                 std::to_string(shape.k));
      }
      return {};
    }
  };

  /// Holds every mask: every kept element gets a slot.
  static expected<index<owned>> from_mask(mask_view keep) {
    if (status s = validate(keep.shape); !s.ok()) return s;
    index<owned> result{keep.shape, {}, {}};
    result.bits.resize(keep.shape.n * result.words());
    result.row_offsets.reserve(keep.shape.n + 1);
    result.row_offsets.push_back(0);
    for (std::size_t n = 0; n < keep.shape.n; ++n) {
      const auto channel = keep.channel(n);
      std::uint64_t kept = result.row_offsets.back();
      for (std::size_t k = 0; k < keep.shape.k; ++k) {
        const std::uint64_t bit = channel[k] != 0;
        result.bits[n * result.words() + k / 64] |= bit << (k % 64);
        kept += bit;
      }
      result.row_offsets.push_back(kept);
    }
    return result;
  }
};

}  // namespace sparq
