// SPDX-License-Identifier: MIT
#pragma once
// How strips of the packed form are cut: channels and k's of a group, and the window of X from which channels choose
// k's of their own.

#include <sparq/base/math.hpp>
#include <sparq/format/policy.hpp>
#include <sparq/numeric/numeric.hpp>

#include <algorithm>
#include <cstddef>

namespace sparq {

/// Geometry of a strip: channels interleaved, and consecutive k's in one group.
template <std::size_t Channels, std::size_t GroupK>
struct panel_shape {
  static constexpr std::size_t channels = Channels;
  static constexpr std::size_t group_k = GroupK;
};

/// How many rows of X a form is packed for. It decides nothing but speed, and only the columns loop asks: up to 32 rows
/// share so little that its lists are cut into fewer sections.
struct for_rows {
  std::size_t m = static_cast<std::size_t>(-1);  // many
};

/// Integers meet four at a time (one 32-bit word of X), floats one by one.
template <numeric N>
using default_panel_shape = panel_shape<16, N::is_integer ? 4 : 1>;

/// Geometry of strips whose channels choose their k's freely from windows of W: zeros anywhere, for the rows loop.
/// - `W`: of integers (GroupK 4) 16, whose positions take half a byte, or up to 128, whose positions take one; of
///   floats (GroupK 1) 8 to 128
template <std::size_t Channels, std::size_t GroupK, std::size_t W>
struct window_shape {
  static_assert(
      (GroupK == 4 || GroupK == 1) && W % (4 * GroupK) == 0 && W % 8 == 0 && W != 0 && W <= 128,
      "sparq: a window is whole sixteens of k's, up to 128, of which integers take four at a time, or whole eights, of "
      "which floats take one; use window_shape<16, 4, 32>, or window_shape<16, 1, 8> for floats");
  static constexpr std::size_t channels = Channels;
  static constexpr std::size_t group_k = GroupK;
  static constexpr std::size_t window = W;
};

/// What activations of -1 and 1 meet: 32 k's of binary, ternary or 2-bit weights in a group, bit by bit. A word is one
/// bit of 32 codes, a plane; the strip of words of bit 0 comes first.
/// The zeros of an N:M pattern are bits like those of any others.
using bit_panel_shape = panel_shape<16, 32>;

/// The window of k's from which the groups of an N:M pattern are chosen: `groups` groups out of `window` k's. With
/// N <= GroupK a group takes whole M's (`spans` of them), otherwise an M takes several groups.
template <std::size_t N, std::size_t M, std::size_t GroupK>
struct pattern_window {
  static constexpr std::size_t spans = (std::max)(std::size_t{1}, GroupK / N);
  static constexpr std::size_t window = spans * M;
  static constexpr std::size_t groups = ceil_div(N, GroupK);
};

/// Bits of a position among M k's that a channel chooses for itself: as many as it takes, up to the next power of two,
/// so that several groups share a byte evenly. Floats, next to which positions are small, have bytes.
constexpr std::size_t position_bits(std::size_t of, std::size_t group_k) {
  return group_k == 1 ? 8 : of <= 2 ? 1 : of <= 4 ? 2 : of <= 16 ? 4 : 8;
}

namespace detail {

/// The window that a pair of policies implies; no positions unless one of them is an N:M pattern, nor in planes of
/// bits, which hold its zeros as well.
template <class RowSelect, class KMap, std::size_t GroupK>
struct window_of {
  static constexpr std::size_t window = GroupK, groups = 1, spans = 1, kept = GroupK, positions_per_group = 0;
  static constexpr std::size_t groups_per_byte = 1, position_reach = GroupK;
  static constexpr bool is_private = false;
};
template <std::size_t N, std::size_t M, std::size_t GroupK>
  requires(GroupK != 32)
struct window_of<n_m_select<N, M>, contiguous, GroupK> : pattern_window<N, M, GroupK> {
  static constexpr std::size_t kept = N, positions_per_group = GroupK;
  static constexpr std::size_t groups_per_byte = 8 / position_bits(M, GroupK);
  /// Positions count from the first k of an M, or of the window where each has a byte to itself.
  static constexpr std::size_t position_reach = (groups_per_byte > 1) ? M : pattern_window<N, M, GroupK>::window;
  static constexpr bool is_private = true;
};
template <std::size_t N, std::size_t M, std::size_t GroupK>
  requires(GroupK != 32)
struct window_of<n_m_select<N, M>, list, GroupK> : window_of<n_m_select<N, M>, contiguous, GroupK> {};
template <std::size_t W, std::size_t GroupK>
struct window_of<window_select<W>, runs, GroupK> {
  static constexpr std::size_t window = W, groups = 1, spans = 1, kept = GroupK, positions_per_group = GroupK;
  static constexpr std::size_t groups_per_byte = 8 / position_bits(W, GroupK), position_reach = W;
  static constexpr bool is_private = true;
};
template <std::size_t N, std::size_t M, std::size_t GroupK>
  requires(GroupK != 32)
struct window_of<all, n_m_shared<N, M>, GroupK> : pattern_window<N, M, GroupK> {
  static constexpr std::size_t kept = N, positions_per_group = GroupK;
  static constexpr std::size_t groups_per_byte = 1, position_reach = pattern_window<N, M, GroupK>::window;
  static constexpr bool is_private = false;
};

}  // namespace detail

}  // namespace sparq
