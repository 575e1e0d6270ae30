// SPDX-License-Identifier: MIT
#pragma once
// One panel of the packed form (packed.hpp): how many words its groups take, into which segments scales along k cut it,
// and where its parts lie in the arrays.

#include <sparq/base/math.hpp>
#include <sparq/format/policy.hpp>
#include <sparq/format/shape.hpp>
#include <sparq/numeric/codebook.hpp>
#include <sparq/numeric/granularity.hpp>
#include <sparq/numeric/numeric.hpp>
#include <sparq/tensor/packed_codebook.hpp>
#include <sparq/tensor/packed_shape.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace sparq {

/// 32-bit words that a group of one channel takes: one, or one for each bit of a code in bit_panel_shape.
template <numeric N, class Shape>
inline constexpr std::size_t words_per_group_v = Shape::group_k == 32 ? static_cast<std::size_t>(N::bits) : 1;

/// What a weight adds to its channel's weight sum: itself, but |weight| where bits count those that X disagrees with.
template <numeric N, class Shape>
constexpr std::int32_t weight_sum_term(std::int32_t value) {
  if constexpr (Shape::group_k == 32)
    if (N::min_code == -1 && N::max_code == 1 && value < 0) return -value;
  return value;
}

/// Groups of one channel that share a 32-bit word; of a codebook: a word of entries.
template <numeric N, class Shape>
inline constexpr std::size_t groups_per_word_v =
    (std::max)(std::size_t{1}, 32 / (static_cast<std::size_t>(entry_t<N>::bits) * Shape::group_k));

/// Words of one strip with this many groups.
template <numeric N, class Shape>
constexpr std::size_t strip_words(std::size_t groups) {
  if constexpr (has_tables<N>)
    return Shape::channels * detail::codebook_row<N>::words(groups * Shape::group_k);
  else
    return Shape::channels * ceil_div(groups, groups_per_word_v<N, Shape>) * words_per_group_v<N, Shape>;
}

namespace detail {

/// A panel is cut into segments, one for each group of scales along k; a single one without those.
template <class Granularity>
constexpr std::size_t segment_k(std::size_t k) {
  if constexpr (scales_along_k_v<Granularity>)
    return Granularity::group;
  else
    return (std::max)(k, std::size_t{1});
}

/// Whether panels of this kind can be cut so: a segment holds whole words, whole windows of an N:M pattern, and a list
/// can be filled up inside a segment.
template <class RowSelect, class KMap, class Numeric, class Granularity, class Shape>
constexpr bool can_cut() {
  using window = window_of<RowSelect, KMap, Shape::group_k>;
  if constexpr (!scales_along_k_v<Granularity> || (std::is_same_v<KMap, runs> && window::positions_per_group != 0))
    return true;  // windows that may begin anywhere end with their segment
  else if constexpr (std::is_same_v<KMap, list>)
    return window::positions_per_group == 0 &&
           Granularity::group % (Shape::group_k * groups_per_word_v<Numeric, Shape>) == 0;
  else
    return Granularity::group % window::window == 0 &&
           (!window::is_private || Granularity::group / window::window * window::groups %
                                           groups_per_word_v<Numeric, Shape> == 0);
}

}  // namespace detail

/// One panel of a packed tensor; offsets count elements of the array they point into.
struct packed_panel {
  index_t first_channel = 0;        // first output channel
  index_t channels = 0;             // output channels covered, pruned ones included
  index_t kept = 0;                 // channels that have weights; equal to `channels` unless some are left out
  index_t groups = 0;               // groups of every channel, whole words of them
  std::uint64_t words = 0;          // into words: strips x load groups x channels of a strip
  std::uint64_t addresses = 0;      // into addresses (runs: first k of every group)
  std::uint64_t mask = 0;           // into mask (list: one bit for every k)
  std::uint64_t selects = 0;        // into selects (n_m_shared: positions of a group; n_m_select: the same per channel)
  std::uint64_t kept_channels = 0;  // into kept_channels (offsets from first_channel), when kept < channels
  std::uint64_t scales = 0;         // into scales and weight_sums (scales along k): strips x segments x channels
};

}  // namespace sparq
