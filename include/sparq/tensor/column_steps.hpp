// SPDX-License-Identifier: MIT
#pragma once
// The order in which the columns loop walks through the k's of a panel. A k is used by a set of the panel's channels;
// all groups of k's with the same set stand together, so that the loop over them has no branch. Sets without a common
// channel advance together in one step as long as all of them have groups left: their sums do not wait for each other.
//
//   4 channels, sets as bits:   {1,2,4,8}  {3,12}  {5,10}  {6,9}   then what is left of   1, 2, 3, ... 15

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace sparq {

/// One step: up to four disjoint sets of channels, each with a group of k's of its own.
struct column_step {
  std::uint8_t sets[4] = {};
  std::size_t count = 0;

  /// The channel of member i of all sets, in the order of their codes. @pre i < members
  constexpr std::size_t channel(std::size_t i) const {
    for (const std::uint8_t set : sets)
      for (std::size_t c = 0; set >> c != 0; ++c)
        if ((set >> c & 1) != 0 && i-- == 0) return c;
    return 0;
  }
};

/// The steps of a panel of `Channels` channels, in order.
template <std::size_t Channels>
struct column_steps {
  static_assert(Channels == 1 || Channels == 2 || Channels == 4,
                "sparq: the columns loop has panels of 1, 2 or 4 channels; use column_shape<4, ...>");
  static constexpr std::size_t sets = std::size_t{1} << Channels;
  static constexpr std::size_t joint = Channels == 4 ? 4 : Channels == 2 ? 1 : 0;
  static constexpr std::size_t count = joint + sets - 1;

  static constexpr std::array<column_step, count> all = [] {
    std::array<column_step, count> steps{};
    if constexpr (Channels == 4) {
      steps[0] = {{1, 2, 4, 8}, 4};
      steps[1] = {{3, 12}, 2};
      steps[2] = {{5, 10}, 2};
      steps[3] = {{6, 9}, 2};
    } else if constexpr (Channels == 2) {
      steps[0] = {{1, 2}, 2};
    }
    for (std::size_t set = 1; set < sets; ++set) steps[joint + set - 1] = {{static_cast<std::uint8_t>(set)}, 1};
    return steps;
  }();

  /// Channels in all sets of a step: codes of one group for each.
  static constexpr std::size_t members(std::size_t step) {
    std::size_t total = 0;
    for (std::size_t i = 0; i < all[step].count; ++i)
      total += static_cast<std::size_t>(std::popcount(all[step].sets[i]));
    return total;
  }
};

}  // namespace sparq
