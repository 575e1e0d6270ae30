// SPDX-License-Identifier: MIT
#pragma once
// N kept of every M consecutive k's, chosen by each channel for itself. (N counts what is kept, not what is pruned.)
//
//   n_m<2,4>, one channel, K = 9:  k 0 . 2 .   . . 6 7   8        groups of M; the last one may be short
//                          positions [0  2]    [2  3]   [0  1]    1 byte per slot, ascending inside a group
//                              slots  0  1      2  3     4  5     slot 5 only pads: its place lies beyond K
//
//   for each channel: for each group g: for j < N: slot++ holds W[n][g * M + positions[slot]]
//
// Every group has N slots. A group that keeps fewer than N gets further positions, lowest first, whose values are 0;
// so positions stay distinct. All channels are one panel.

#include <sparq/format/checks.hpp>
#include <sparq/format/format.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <tuple>

namespace sparq {

namespace detail {

/// What one group keeps: bit j stands for its j-th k.
struct group_bits {
  std::uint32_t bits = 0;
  std::size_t count = 0;
};

inline group_bits read_group(const std::uint8_t* keep, std::size_t length) {
  group_bits group;
  for (std::size_t j = 0; j < length; ++j) {
    const std::uint32_t kept = keep[j] != 0;
    group.bits |= kept << j;
    group.count += kept;
  }
  return group;
}

/// N ascending positions: those of the group, and the lowest others to fill up. @pre group.count <= N
template <std::size_t N>
std::uint8_t* write_positions(group_bits group, std::uint8_t* to) {
  for (std::size_t count = group.count; count < N; ++count) group.bits |= group.bits + 1;
  for (std::size_t j = 0; j < N; ++j, group.bits &= group.bits - 1)
    *to++ = static_cast<std::uint8_t>(std::countr_zero(group.bits));
  return to;
}

/// The first position that is one too many: that of bit N, counted from 0. @pre group.count > N
template <std::size_t N>
std::size_t first_surplus(group_bits group) {
  for (std::size_t j = 0; j < N; ++j) group.bits &= group.bits - 1;
  return static_cast<std::size_t>(std::countr_zero(group.bits));
}

/// `rows` rows of N positions for every M of k: strictly ascending and below M; in a short group the positions are
/// those of the k's that exist, as far as there are any.
template <std::size_t N, std::size_t M>
status check_positions(const std::string& format, std::span<const std::uint8_t> positions, std::size_t rows,
                       std::size_t k, const char* owner) {
  const std::size_t groups = ceil_div(k, M);
  if (status s = check_size(format + ": positions", positions.size(), rows * groups * N); !s.ok()) return s;
  const std::uint8_t* position = positions.data();
  for (std::size_t row = 0; row < rows; ++row)
    for (std::size_t g = 0; g < groups; ++g, position += N) {
      const std::size_t limit = (std::max)(N, (std::min)(M, k - g * M));
      for (std::size_t j = 0; j < N; ++j) {
        const bool ascends = j == 0 || position[j] > position[j - 1];
        if (position[j] < limit && ascends) continue;
        return status::failure(format + ": positions[" + std::to_string((row * groups + g) * N + j) + "] is " +
                               std::to_string(position[j]) + " in " + owner + " " + std::to_string(row) + ", group " +
                               std::to_string(g) + "; it must be " +
                               (ascends ? "below " + std::to_string(limit)
                                        : "above " + std::to_string(position[j - 1]) + ", which it follows"));
      }
    }
  return {};
}

}  // namespace detail

/// N of every M k's, chosen by each channel; docs/formats/n_m.md.
template <std::size_t N, std::size_t M>
struct n_m {
  static_assert(1 <= N && N <= M && M <= 32, "sparq: n_m<N,M> keeps N of every M; choose 1 <= N <= M <= 32");

  using k_map = contiguous;
  using row_select = n_m_select<N, M>;

  static std::string name() { return "n_m<" + std::to_string(N) + "," + std::to_string(M) + ">"; }

  template <template <class> class Array>
  struct index {
    weight_shape shape;
    Array<std::uint8_t> positions;  // slots

    auto arrays() const { return std::tie(positions); }
    auto arrays() { return std::tie(positions); }
    std::size_t slots() const { return positions.size(); }
    std::size_t groups() const { return ceil_div(shape.k, M); }
    std::size_t panels() const { return shape.n == 0 ? 0 : 1; }
    channel_range panel(std::size_t) const { return {0, shape.n}; }

    template <class Visit>
    void for_each_slot(std::size_t, Visit&& visit) const {
      const std::size_t whole = shape.k / M * M;
      for (std::size_t n = 0, slot = 0; n < shape.n; ++n) {
        for (std::size_t k = 0; k < whole; k += M)
          for (std::size_t j = 0; j < N; ++j, ++slot) visit(slot, n, k + positions[slot]);
        if (whole == shape.k) continue;
        for (std::size_t j = 0; j < N; ++j, ++slot)
          if (whole + positions[slot] < shape.k) visit(slot, n, whole + positions[slot]);
      }
    }

    /// N positions for every group, strictly ascending, inside the group. O(slots).
    status validate() const {
      if (status s = sparq::validate(shape); !s.ok()) return s;
      return detail::check_positions<N, M>(name(), positions, shape.n, shape.k, "channel");
    }
  };

  /// Refuses a group that keeps more than N, naming channel, group and count.
  static expected<index<owned>> from_mask(mask_view keep) {
    if (status s = validate(keep.shape); !s.ok()) return s;
    index<owned> result{keep.shape, {}};
    result.positions.resize(keep.shape.n * result.groups() * N);
    std::uint8_t* to = result.positions.data();
    const std::size_t whole = keep.shape.k / M * M;
    for (std::size_t n = 0; n < keep.shape.n; ++n) {
      const std::uint8_t* row = keep.channel(n).data();
      for (std::size_t k = 0; k < whole; k += M) {
        const detail::group_bits group = detail::read_group(row + k, M);
        if (group.count > N) return refusal(n, k, group);
        to = detail::write_positions<N>(group, to);
      }
      if (whole == keep.shape.k) continue;
      const detail::group_bits group = detail::read_group(row + whole, keep.shape.k - whole);
      if (group.count > N) return refusal(n, whole, group);
      to = detail::write_positions<N>(group, to);
    }
    return result;
  }

 private:
  SPARQ_COLD static status refusal(std::size_t n, std::size_t first_k, detail::group_bits group) {
    return status::failure(name() + ": channel " + std::to_string(n) + " keeps " + std::to_string(group.count) +
                           " k's of group " + std::to_string(first_k / M) + "; the first too many is " +
                           position_text(n, first_k + detail::first_surplus<N>(group)));
  }
};

}  // namespace sparq
