// SPDX-License-Identifier: MIT
#pragma once
// The vocabulary in which a format tells the kernels how its panels read X. For channel r and group g of a panel the
// weight sits at k(g, r) = shared(g) + select(g, r): a k_map says shared(g), a row_select says select(g, r).
//
//      one panel                 X row
//      r0 [g0][g1][g2]  ...      |....g0....|..g1.|....g2...   shared by every channel of the panel: k_map
//      r1 [g0][g1][g2]  ...          ^ ^           private to a channel inside the group's window: row_select

#include <cstddef>

namespace sparq {

// ---- k_map: where in X a group of the panel starts ------------------------------------------------------------------

/// Group g covers the k's from g * group_k on: nothing is skipped.
struct contiguous {};

/// Groups are aligned runs of consecutive k's, listed by address; empty runs are skipped. No data moves.
struct runs {};

/// Single k's, listed as a bitmask; X is compacted once per panel, then the panel is contiguous.
struct list {};

/// Single k's, each channel its own: vector lanes are rows of X, neighbouring channels share what they have in common.
struct scattered {};

/// Of every M consecutive k's all channels of the panel keep the same N, or some of those: one permute of X serves the
/// channels of a block, or X is compacted once per panel.
template <std::size_t N, std::size_t M>
struct n_m_shared {};

// ---- row_select: which k's of a group a channel keeps ---------------------------------------------------------------

/// All of them.
struct all {};

/// Of every M consecutive k's each channel keeps N of its own: one permute of X per dot.
template <std::size_t N, std::size_t M>
struct n_m_select {};

/// Any of the W k's from the group's address on: one permute of X per dot. A weight need not sit in the group that its
/// k falls into; groups overlap, and a channel takes its weights in the order of k.
template <std::size_t W>
struct window_select {};

}  // namespace sparq
