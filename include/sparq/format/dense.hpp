// SPDX-License-Identifier: MIT
#pragma once
// The format that stores everything: slot n * K + k, no index arrays. One panel holds all channels.
//
//        k ->
//   n  [ 0  1  2  3 ]     for each channel n: for each k: slot++
//   |  [ 4  5  6  7 ]
//   v  [ 8  9 10 11 ]

#include <sparq/format/format.hpp>

#include <cstddef>
#include <string>
#include <tuple>

namespace sparq {

/// No zeros left out; docs/formats/dense.md.
struct dense {
  using k_map = contiguous;
  using row_select = all;
  static constexpr bool holds_every_weight = true;

  static std::string name() { return "dense"; }

  template <template <class> class Array>
  struct index {
    weight_shape shape;

    auto arrays() const { return std::tie(); }
    std::size_t slots() const { return shape.size(); }
    std::size_t panels() const { return shape.n == 0 ? 0 : 1; }
    channel_range panel(std::size_t) const { return {0, shape.n}; }

    template <class Visit>
    void for_each_slot(std::size_t, Visit&& visit) const {
      for (std::size_t n = 0, slot = 0; n < shape.n; ++n)
        for (std::size_t k = 0; k < shape.k; ++k) visit(slot++, n, k);
    }

    status validate() const { return sparq::validate(shape); }
  };

  /// Holds every mask: pruned elements are stored as zeros.
  static expected<index<owned>> from_mask(mask_view keep) {
    if (status s = validate(keep.shape); !s.ok()) return s;
    return index<owned>{keep.shape};
  }
};

}  // namespace sparq
