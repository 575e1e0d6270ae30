// SPDX-License-Identifier: MIT
#pragma once
// N kept of every M consecutive k's, the choice shared by V neighbouring channels: one panel, one set of positions.
//
//   tile_n_m<3,2,4>, one panel, K = 8:    k 0 . 2 .  . . 6 7
//                                   r0      0   1        2 3      slots
//                                   r1      4   5        6 7
//                                   r2      8   9      10 11
//                              positions   [0   2]     [2 3]      N bytes per panel and group, ascending
//
//   for each panel: for each of its channels: for each group g: for j < N: slot++
//   holds W[n][g * M + positions[(panel * groups + g) * N + j]]
//
// Groups that keep fewer than N, and a short last group, are filled up as in n_m. The last panel has slots only for
// the channels that exist.

#include <sparq/format/n_m.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <vector>

namespace sparq {

/// N of every M k's, the choice shared by V channels; docs/formats/tile_n_m.md.
template <std::size_t V, std::size_t N, std::size_t M>
struct tile_n_m {
  static_assert(V >= 1, "sparq: a tile needs at least one channel; use tile_n_m<V,N,M> with V >= 1");
  static_assert(1 <= N && N <= M && M <= 32, "sparq: tile_n_m<V,N,M> keeps N of every M; choose 1 <= N <= M <= 32");

  using k_map = n_m_shared<N, M>;
  using row_select = all;

  static std::string name() {
    return "tile_n_m<" + std::to_string(V) + "," + std::to_string(N) + "," + std::to_string(M) + ">";
  }

  /// Channels of one panel.
  static constexpr std::size_t panel_channels = V;

  template <template <class> class Array>
  struct index {
    weight_shape shape;
    Array<std::uint8_t> positions;  // panels x groups x N

    auto arrays() const { return std::tie(positions); }
    auto arrays() { return std::tie(positions); }
    std::size_t groups() const { return ceil_div(shape.k, M); }
    std::size_t slots() const { return shape.n * groups() * N; }
    std::size_t panels() const { return ceil_div(shape.n, V); }
    channel_range panel(std::size_t p) const { return panel_of(p, V, shape.n); }

    template <class Visit>
    void for_each_slot(std::size_t p, Visit&& visit) const {
      const auto [first, count] = panel(p);
      const std::size_t whole = shape.k / M * M;
      const std::size_t first_position = p * groups() * N;
      std::size_t slot = first * groups() * N;
      for (std::size_t n = first; n < first + count; ++n) {
        std::size_t at = first_position;
        for (std::size_t k = 0; k < whole; k += M)
          for (std::size_t j = 0; j < N; ++j, ++slot, ++at) visit(slot, n, k + positions[at]);
        if (whole == shape.k) continue;
        for (std::size_t j = 0; j < N; ++j, ++slot, ++at)
          if (whole + positions[at] < shape.k) visit(slot, n, whole + positions[at]);
      }
    }

    /// N positions for every panel and group, strictly ascending, inside the group. O(panels K).
    status validate() const {
      if (status s = sparq::validate(shape); !s.ok()) return s;
      return detail::check_positions<N, M>(name(), positions, panels(), shape.k, "panel");
    }
  };

  /// Refuses a group of which the channels of a panel together keep more than N.
  static expected<index<owned>> from_mask(mask_view keep) {
    if (status s = validate(keep.shape); !s.ok()) return s;
    index<owned> result{keep.shape, {}};
    result.positions.resize(result.panels() * result.groups() * N);
    std::uint8_t* to = result.positions.data();
    const std::size_t whole = keep.shape.k / M * M;
    std::vector<std::uint8_t> together(keep.shape.k);
    for (std::size_t p = 0; p < result.panels(); ++p) {
      std::fill(together.begin(), together.end(), std::uint8_t{0});
      const channel_range channels = result.panel(p);
      for (std::size_t n = channels.first; n < channels.first + channels.count; ++n) {
        const std::span<const std::uint8_t> row = keep.channel(n);
        for (std::size_t k = 0; k < row.size(); ++k) together[k] |= row[k];
      }
      for (std::size_t k = 0; k < keep.shape.k; k += M) {
        const detail::group_bits group = detail::read_group(&together[k], k < whole ? M : keep.shape.k - k);
        if (group.count > N) return refusal(keep, p, channels, k, group);
        to = detail::write_positions<N>(group, to);
      }
    }
    return result;
  }

 private:
  SPARQ_COLD static status refusal(mask_view keep, std::size_t p, channel_range channels, std::size_t first_k,
                                   detail::group_bits group) {
    const std::size_t k = first_k + detail::first_surplus<N>(group);
    std::size_t n = channels.first;
    while (!keep(n, k)) ++n;
    return status::failure(name() + ": the channels of panel " + std::to_string(p) + " together keep " +
                           std::to_string(group.count) + " k's of group " + std::to_string(first_k / M) +
                           "; the first too many is " + position_text(n, k));
  }
};

}  // namespace sparq
