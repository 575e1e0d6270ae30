// SPDX-License-Identifier: MIT
#pragma once
// Whole channels pruned, the kept ones taken G at a time into tiles, and in every tile a list of k's that all its
// channels share: a tile is a small dense matrix (arXiv 2008.13006). The paper's matrix is K x N; its columns are the
// channels n here and its rows the k's.
//
//   tile_wise<2>, K = 6   k 0 1 2 3 4 5
//                   n=0     0 . 1 2 . .           tile 0: channels [0, 3), kept 0 and 2, k's 0, 2 and 3
//                   n=1     . . . . . .   pruned
//                   n=2     3 . 4 5 . .           slots: tile, then kept channel, then kept k
//                   n=3     . 6 . . . 7           tile 1: channels [3, 5), kept 3, k's 1 and 5
//                   n=4     . . . . . .   pruned  channels at the end belong to the last tile
//
//   tile_ends     [3 5]        end of each tile's channels           4 bytes per tile
//   kept_channels [0 2 | 3]    G per tile, fewer in the last one     4 bytes per kept channel
//   k_offsets     [0 3 5]      tile t owns k_list[k_offsets[t]] ..   8 bytes per tile
//   k_list        [0 2 3 | 1 5]  ascending inside a tile             4 bytes per tile and kept k
//
//   for each tile t: for each kept channel n of t: for each k of t's list: slot++ holds W[n][k]
//
// A matrix without any kept channel is one tile that stores nothing.

#include <sparq/format/checks.hpp>
#include <sparq/format/format.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <vector>

namespace sparq {

/// Tiles of G kept channels that share a list of k's; docs/formats/tile_wise.md.
/// - `Inside`: nothing, or the pattern inside a tile: n_m<N,M> (tile_wise_n_m.hpp)
template <std::size_t G, class... Inside>
struct tile_wise;

template <std::size_t G>
struct tile_wise<G> {
  static_assert(G >= 1, "sparq: a tile needs at least one channel; use tile_wise<G> with G >= 1");

  using k_map = list;
  using row_select = all;

  static std::string name() { return "tile_wise<" + std::to_string(G) + ">"; }

  /// Kept channels of one tile; the last one may have fewer.
  static constexpr std::size_t tile_channels = G;

  template <template <class> class Array>
  struct index {
    weight_shape shape;
    Array<index_t> tile_ends;        // tiles
    Array<index_t> kept_channels;    // kept channels
    Array<std::uint64_t> k_offsets;  // tiles + 1
    Array<index_t> k_list;           // all tiles' k's

    auto arrays() const { return std::tie(tile_ends, kept_channels, k_offsets, k_list); }
    auto arrays() { return std::tie(tile_ends, kept_channels, k_offsets, k_list); }
    std::size_t panels() const { return tile_ends.size(); }
    std::size_t slots() const {
      if (panels() == 0) return 0;
      const std::size_t last = panels() - 1;
      return first_slot(last) + kept_of(last).size() * k_of(last).size();
    }
    channel_range panel(std::size_t p) const {
      const std::size_t first = p == 0 ? 0 : tile_ends[p - 1];
      return {first, tile_ends[p] - first};
    }
    /// The channels of tile p that are not pruned.
    std::span<const index_t> kept_of(std::size_t p) const {
      return std::span<const index_t>(kept_channels).subspan(p * G, (std::min)(G, kept_channels.size() - p * G));
    }
    /// The k's that tile p keeps.
    std::span<const index_t> k_of(std::size_t p) const {
      return {k_list.data() + k_offsets[p], k_list.data() + k_offsets[p + 1]};
    }

    template <class Visit>
    void for_each_slot(std::size_t p, Visit&& visit) const {
      const std::span<const index_t> kept_k = k_of(p);
      std::size_t slot = first_slot(p);
      for (const std::size_t n : kept_of(p))
        for (const std::size_t k : kept_k) visit(slot++, n, k);
    }

    /// Tile ends rise to n, kept channels ascend and lie in their tile, every k list ascends strictly below K.
    /// O(tiles + kept channels + kept k's).
    status validate() const {
      if (status s = sparq::validate(shape); !s.ok()) return s;
      const std::size_t tiles = shape.n == 0 ? 0 : (std::max)(std::size_t{1}, ceil_div(kept_channels.size(), G));
      if (status s = check_size(name() + ": tile_ends", tile_ends.size(), tiles); !s.ok()) return s;
      for (std::size_t t = 0; t < tiles; ++t) {
        const std::size_t begin = t == 0 ? 0 : tile_ends[t - 1];
        if (tile_ends[t] <= begin || tile_ends[t] > shape.n || (t + 1 == tiles && tile_ends[t] != shape.n))
          return wrong("tile_ends", t, tile_ends[t],
                       t + 1 == tiles
                           ? "be " + std::to_string(shape.n) + ", the number of channels"
                           : "lie above " + std::to_string(begin) + " and not above " + std::to_string(shape.n));
      }
      for (std::size_t i = 0; i < kept_channels.size(); ++i) {
        if (tiles == 0) return wrong("kept_channels", i, kept_channels[i], "not be there: the matrix has no channels");
        const std::size_t lowest = i % G != 0 ? std::size_t{kept_channels[i - 1]} + 1 : panel(i / G).first;
        if (kept_channels[i] < lowest || kept_channels[i] >= tile_ends[i / G])
          return wrong("kept_channels", i, kept_channels[i],
                       "lie between " + std::to_string(lowest) + " and the end of tile " + std::to_string(i / G) +
                           ", " + std::to_string(tile_ends[i / G]));
      }
      if (status s = check_offsets(name() + ": k_offsets", k_offsets, tiles, k_list.size()); !s.ok()) return s;
      return check_lists(name() + ": k_list", k_list, k_offsets, "tile", shape.k);
    }

   private:
    // All tiles before the last one have exactly G channels.
    std::size_t first_slot(std::size_t p) const { return G * static_cast<std::size_t>(k_offsets[p]); }

    static status wrong(const char* array, std::size_t i, std::size_t value, const std::string& wanted) {
      return status::failure(name() + ": " + array + "[" + std::to_string(i) + "] is " + std::to_string(value) +
                             "; it must " + wanted);
    }
  };

  /// Holds every mask: a channel is kept if it keeps anything, a k of a tile if any channel of the tile keeps it.
  static expected<index<owned>> from_mask(mask_view keep) {
    if (status s = validate(keep.shape); !s.ok()) return s;
    index<owned> result{keep.shape, {}, {}, {0}, {}};
    result.k_list.reserve(keep.kept() / G);            // all of them, if the mask is tile-wise
    std::vector<std::uint8_t> together(keep.shape.k);  // what any channel of the open tile keeps
    const auto close_tile = [&](std::size_t end) {
      append_kept(together, result.k_list);
      std::fill(together.begin(), together.end(), std::uint8_t{0});
      result.tile_ends.push_back(static_cast<index_t>(end));
      result.k_offsets.push_back(result.k_list.size());
    };
    std::size_t open = 0;  // kept channels of the open tile
    for (std::size_t n = 0; n < keep.shape.n; ++n) {
      const std::span<const std::uint8_t> row = keep.channel(n);
      if (std::all_of(row.begin(), row.end(), [](std::uint8_t kept) { return kept == 0; })) continue;
      if (open == G) {
        close_tile(result.kept_channels.back() + 1);
        open = 0;
      }
      for (std::size_t k = 0; k < row.size(); ++k) together[k] |= row[k];
      result.kept_channels.push_back(static_cast<index_t>(n));
      ++open;
    }
    if (keep.shape.n != 0) close_tile(keep.shape.n);
    return result;
  }
};

}  // namespace sparq
