// SPDX-License-Identifier: MIT
#pragma once
// Tile-wise outside, N:M inside (arXiv 2402.10876, there TVW): the channels of a tile share a list of k's, and of every
// M consecutive entries of that list each channel keeps N of its own.
//
//   tile_wise<2, n_m<1,2>>, one tile    k  0 . 2 3 . 5 6      list [0 2 3 5 6], groups [0 2] [3 5] [6]
//                                     n=0  0   . .   1 2      positions [0] [1] [0]   1 byte per slot
//                                     n=1  .   3 4   . .      positions [1] [0] [0]   slot 5 only pads
//
//   tile_ends, kept_channels, k_offsets, k_list     as in tile_wise
//   slot_offsets [0 6]    tile t owns the slots slot_offsets[t] .. of all its kept channels     8 bytes per tile
//
//   for each tile: for each kept channel n: for each group g of M entries: for j < N: slot++
//   holds W[n][list[g * M + positions[slot]]]
//
// Groups that keep fewer than N, and a short last group, are filled up as in n_m. The list may name k's that no channel
// keeps, so that the others fall into groups that fit.

#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_wise.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace sparq {

/// Tiles of G kept channels that share a list of k's, of which every channel keeps N of M; docs/formats/tile_wise.md.
template <std::size_t G, std::size_t N, std::size_t M>
struct tile_wise<G, n_m<N, M>> {
  using k_map = list;
  using row_select = n_m_select<N, M>;

  static std::string name() { return "tile_wise<" + std::to_string(G) + "," + n_m<N, M>::name() + ">"; }

  /// Kept channels of one tile; the last one may have fewer.
  static constexpr std::size_t tile_channels = G;

  template <template <class> class Array>
  struct index : tile_wise<G>::template index<Array> {
    using tiles = typename tile_wise<G>::template index<Array>;
    Array<std::uint64_t> slot_offsets;  // tiles + 1
    Array<std::uint8_t> positions;      // slots

    auto arrays() const { return std::tuple_cat(tiles::arrays(), std::tie(slot_offsets, positions)); }
    auto arrays() { return std::tuple_cat(tiles::arrays(), std::tie(slot_offsets, positions)); }
    std::size_t slots() const { return positions.size(); }
    /// Slots of tile p.
    std::size_t slots_of(std::size_t p) const {
      return this->kept_of(p).size() * ceil_div(this->k_of(p).size(), M) * N;
    }

    template <class Visit>
    void for_each_slot(std::size_t p, Visit&& visit) const {
      const std::span<const index_t> listed = this->k_of(p);
      auto slot = static_cast<std::size_t>(slot_offsets[p]);
      for (const std::size_t n : this->kept_of(p))
        for (std::size_t first = 0; first < listed.size(); first += M)
          for (std::size_t j = 0; j < N; ++j, ++slot)
            if (first + positions[slot] < listed.size()) visit(slot, n, std::size_t{listed[first + positions[slot]]});
    }

    /// What tile_wise wants, and N positions for every group, strictly ascending, inside the group. O(slots).
    status validate() const {
      if (status s = tiles::validate(); !s.ok()) return s;
      if (status s = check_offsets(name() + ": slot_offsets", slot_offsets, this->panels(), positions.size()); !s.ok())
        return s;
      for (std::size_t p = 0; p < this->panels(); ++p) {
        const std::span<const std::uint8_t> own(positions.data() + slot_offsets[p],
                                                positions.data() + slot_offsets[p + 1]);
        const std::string tile = name() + ": tile " + std::to_string(p);
        if (status s = check_size(tile + ": positions", own.size(), slots_of(p)); !s.ok()) return s;
        if (status s =
                detail::check_positions<N, M>(tile, own, this->kept_of(p).size(), this->k_of(p).size(), "kept channel");
            !s.ok())
          return s;
      }
      return {};
    }
  };

  /// Holds a mask if the k's of every tile can be listed so that no channel keeps more than N of M entries; of several
  /// such lists one with few groups. Refuses it otherwise, naming tile, channel and k. O(n k).
  static expected<index<owned>> from_mask(mask_view keep) {
    auto tiles = tile_wise<G>::from_mask(keep);
    if (!tiles.ok()) return tiles.error();
    index<owned> result{std::move(tiles).value(), {0}, {}};
    const owned<index_t> used = std::exchange(result.k_list, {});
    const owned<std::uint64_t> used_offsets = std::exchange(result.k_offsets, {0});
    for (std::size_t p = 0; p < result.panels(); ++p) {
      const std::span<const index_t> channels = result.kept_of(p);
      const std::span<const index_t> own(used.data() + used_offsets[p], used.data() + used_offsets[p + 1]);
      if (!append_list(keep, channels, own, result.k_list)) return refusal(keep, p, channels, own);
      result.k_offsets.push_back(result.k_list.size());
      append_positions(keep, channels, result.k_of(p), result.positions);
      result.slot_offsets.push_back(result.positions.size());
    }
    return result;
  }

 private:
  /// Appends the tile's list. A group is a range [first, last) of k's; all used k's in it are listed, and unused ones
  /// until it has M entries, except in the last group.
  static bool append_list(mask_view keep, std::span<const index_t> channels, std::span<const index_t> used,
                          owned<index_t>& list) {
    const std::size_t extent = keep.shape.k;
    std::vector<std::uint8_t> is_used(extent, 0);
    for (const std::size_t k : used) is_used[k] = 1;
    const std::vector<std::size_t> farthest = farthest_ends(keep, channels, is_used);

    // What lies behind a boundary b can be listed if it fits into one group, or if a group from b on can end at another
    // such boundary: one in [b + M, farthest[b]].
    std::vector<std::uint8_t> possible(extent + 1, 0);
    std::size_t next = extent + 1;  // lowest possible boundary not below b + M
    std::vector<std::size_t> next_possible(extent + 2, extent + 1);
    for (std::size_t b = extent + 1; b-- > 0;) {
      next = b + M <= extent ? next_possible[b + M] : extent + 1;
      possible[b] = farthest[b] == extent || next <= farthest[b];
      next_possible[b] = possible[b] != 0 ? b : next_possible[b + 1];
    }
    if (possible[0] == 0) return false;

    for (std::size_t b = 0; b < extent;) {
      std::size_t end = farthest[b];
      const bool is_last = end == extent;
      while (!is_last && possible[end] == 0) --end;
      const auto in_use = static_cast<std::size_t>(std::count(is_used.begin() + static_cast<std::ptrdiff_t>(b),
                                                              is_used.begin() + static_cast<std::ptrdiff_t>(end), 1));
      std::size_t unused = is_last ? 0 : M - in_use;
      for (std::size_t k = b; k < end; ++k) {
        if (is_used[k] == 0 && unused == 0) continue;
        unused -= is_used[k] == 0 ? 1 : 0;
        list.push_back(static_cast<index_t>(k));
      }
      b = end;
    }
    return true;
  }

  /// For every k, the end of the longest range from there in which at most M k's are used, and at most N by any
  /// channel.
  static std::vector<std::size_t> farthest_ends(mask_view keep, std::span<const index_t> channels,
                                                const std::vector<std::uint8_t>& is_used) {
    const std::size_t extent = is_used.size();
    std::vector<std::size_t> ends(extent + 1, extent);
    std::vector<std::size_t> kept(channels.size(), 0);  // of every channel, in [first, end)
    std::size_t used = 0;
    std::size_t end = 0;
    const auto fits = [&](std::size_t k) {
      if (is_used[k] == 0) return true;
      if (used == M) return false;
      for (std::size_t c = 0; c < channels.size(); ++c)
        if (kept[c] == N && keep(channels[c], k)) return false;
      return true;
    };
    const auto count = [&](std::size_t k, std::size_t by) {
      if (is_used[k] == 0) return;
      used += by;
      for (std::size_t c = 0; c < channels.size(); ++c) kept[c] += keep(channels[c], k) ? by : 0;
    };
    for (std::size_t first = 0; first < extent; ++first) {
      for (; end < extent && fits(end); ++end) count(end, 1);
      ends[first] = end;
      count(first, ~std::size_t{0});  // minus 1
    }
    return ends;
  }

  static void append_positions(mask_view keep, std::span<const index_t> channels, std::span<const index_t> list,
                               owned<std::uint8_t>& positions) {
    std::size_t at = positions.size();
    positions.resize(at + channels.size() * ceil_div(list.size(), M) * N);
    for (const std::size_t n : channels)
      for (std::size_t first = 0; first < list.size(); first += M, at += N) {
        detail::group_bits group;
        for (std::size_t j = 0; j < (std::min)(M, list.size() - first); ++j) {
          const std::uint32_t kept = keep(n, list[first + j]) ? 1 : 0;
          group.bits |= kept << j;
          group.count += kept;
        }
        detail::write_positions<N>(group, positions.data() + at);
      }
  }

  SPARQ_COLD static status refusal(mask_view keep, std::size_t p, std::span<const index_t> channels,
                                   std::span<const index_t> used) {
    for (std::size_t first = 0; first < used.size(); first += M)
      for (const std::size_t n : channels) {
        std::size_t kept = 0;
        for (std::size_t i = first; i < (std::min)(first + M, used.size()); ++i)
          if (keep(n, used[i]) && ++kept > N)
            return status::failure(name() + ": no list of k's for tile " + std::to_string(p) +
                                   " lets every channel keep at most " + std::to_string(N) + " of " +
                                   std::to_string(M) + " entries; the first too many is " + position_text(n, used[i]));
      }
    return status::failure(name() + ": tile " + std::to_string(p) + " has no list of k's");
  }
};

}  // namespace sparq
