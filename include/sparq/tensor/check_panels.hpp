// SPDX-License-Identifier: MIT
#pragma once
// What is asked of the panels of a packed tensor that comes from bytes (packed.hpp): each array that they point into is
// long enough, and whatever an array holds leads to a channel or a k of the matrix.

#include <sparq/base/error.hpp>
#include <sparq/base/math.hpp>
#include <sparq/format/policy.hpp>
#include <sparq/numeric/codebook.hpp>
#include <sparq/numeric/granularity.hpp>
#include <sparq/tensor/packed_block.hpp>
#include <sparq/tensor/packed_codebook.hpp>
#include <sparq/tensor/packed_panel.hpp>
#include <sparq/tensor/packed_shape.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

namespace sparq::detail {

template <class View>
class panel_check {
 public:
  explicit panel_check(const View& w) : w_(w) {}

  status run() const {
    if (status s = check_lengths(); !s.ok()) return s;
    std::size_t next_channel = 0;
    for (std::size_t p = 0; p < w_.panels().size(); ++p) {
      if (const std::string problem = problem_of(p, next_channel); !problem.empty())
        return status::failure("packed tensor: panel " + std::to_string(p) + ": " + problem);
      next_channel += w_.panels()[p].channels;
    }
    if (next_channel != w_.shape().n) return status::failure("packed tensor: the panels do not cover all channels");
    return {};
  }

 private:
  using numeric_type = typename View::numeric_type;
  using granularity = typename View::granularity;
  using shape = typename View::shape_type;
  using window = window_of<typename View::row_select, typename View::k_map, shape::group_k>;
  static constexpr bool is_grouped = scales_along_k_v<granularity>;
  static constexpr bool is_runs = std::is_same_v<typename View::k_map, runs>;
  static constexpr bool is_list = std::is_same_v<typename View::k_map, list>;
  /// The groups of a panel follow from the number of its k's alone.
  static constexpr bool covers_every_k = !is_runs && !is_list;

  std::size_t segment_k() const { return sparq::detail::segment_k<granularity>(w_.shape().k); }
  std::size_t segments_of_panel() const { return is_grouped ? ceil_div(w_.shape().k, segment_k()) : 0; }
  static std::size_t whole_words(std::size_t groups) {
    return round_up(groups, groups_per_word_v<numeric_type, shape>);
  }
  /// Groups of so many k's, of which no address or mask chooses some.
  static std::size_t groups_of(std::size_t k) { return whole_words(ceil_div(k, window::window) * window::groups); }
  static std::size_t strips_of(const packed_panel& panel) { return ceil_div(panel.kept, shape::channels); }

  /// Arrays that have no offsets in panels are as long as the shape says.
  status check_lengths() const {
    const auto [n, k] = w_.shape();
    if (w_.segments().size() != w_.panels().size() * segments_of_panel())
      return status::failure("packed tensor: segments do not match the panels");
    if (numeric_type::is_integer && w_.weight_sums().size() != (is_grouped ? w_.scales().size() : n))
      return status::failure("packed tensor: weight sums do not match the channels");
    if (!is_grouped && w_.scales().size() != granularity::scale_count(n, k))
      return status::failure("packed tensor: scales do not match the channels");
    if constexpr (has_tables<numeric_type>)
      if (w_.words().size() < table_words<numeric_type>(n, k))
        return status::failure("packed tensor: tables out of range");
    return {};
  }

  /// What is wrong with a panel, "" if nothing is. Each step relies on those before.
  std::string problem_of(std::size_t p, std::size_t first_channel) const {
    const packed_panel& panel = w_.panels()[p];
    std::string problem = problem_of_extents(panel, first_channel);
    if (problem.empty()) problem = problem_of_segments(p);
    if constexpr (covers_every_k && !is_grouped)
      if (problem.empty() && panel.groups != groups_of(w_.shape().k)) problem = "groups do not match K";
    if constexpr (is_runs)
      if (problem.empty()) problem = problem_of_addresses(panel);
    if constexpr (is_list)
      if (problem.empty()) problem = problem_of_mask(panel);
    if constexpr (window::positions_per_group != 0)
      if (problem.empty()) problem = problem_of_positions(panel);
    if (problem.empty() && panel.kept < panel.channels) problem = problem_of_kept_channels(panel);
    return problem;
  }

  std::string problem_of_extents(const packed_panel& panel, std::size_t first_channel) const {
    if (panel.groups % groups_per_word_v<numeric_type, shape> != 0) return "groups do not fill their words";
    if (panel.first_channel != first_channel || panel.channels > w_.shape().n - first_channel ||
        panel.kept > panel.channels)
      return "channels out of range";
    if (panel.addresses > w_.addresses().size() || panel.mask > w_.mask().size() ||
        panel.selects > w_.selects().size() || panel.kept_channels > w_.kept_channels().size())
      return "offsets out of range";
    if (!fits(panel.words, strips_of(panel), strip_words<numeric_type, shape>(panel.groups), w_.words().size()))
      return "weights out of range";
    if (is_grouped &&
        !fits(panel.scales, strips_of(panel) * shape::channels, segments_of_panel(), w_.scales().size()))
      return "scales out of range";
    if (covers_every_k && panel.kept != panel.channels)
      return "keeps " + std::to_string(panel.kept) + " of " + std::to_string(panel.channels) + " channels";
    return {};
  }

  std::string problem_of_segments(std::size_t p) const {
    if constexpr (is_grouped) {
      std::size_t left = w_.panels()[p].groups;
      for (std::size_t s = 0; s < segments_of_panel(); ++s) {
        const std::size_t groups = w_.segments()[p * segments_of_panel() + s];
        const std::size_t length = (std::min)(segment_k(), w_.shape().k - s * segment_k());
        if (whole_words(groups) != groups || groups > left || (covers_every_k && groups != groups_of(length)))
          return "segment " + std::to_string(s) + " has " + std::to_string(groups) + " groups";
        left -= groups;
      }
      if (left != 0) return "segments do not add up to the groups";
    }
    return {};
  }

  std::string problem_of_addresses(const packed_panel& panel) const {
    if (!fits(panel.addresses, panel.groups, 1, w_.addresses().size())) return "addresses out of range";
    // a window begins at any k, but ends with the last one, unless k is less than a window
    constexpr bool is_window = window::positions_per_group != 0;
    const std::size_t k = w_.shape().k;
    const std::size_t end = is_window && k != 0 ? (std::max)(k, window::window) - window::window + 1 : k;
    const index_t* own = w_.addresses().data() + panel.addresses;
    for (std::size_t g = 0; g < panel.groups; ++g)
      if (own[g] >= end || (!is_window && own[g] % shape::group_k != 0))
        return "address " + std::to_string(g) + " is " + std::to_string(own[g]);
    return {};
  }

  std::string problem_of_mask(const packed_panel& panel) const {
    const std::size_t k = w_.shape().k;
    if (!fits(panel.mask, ceil_div(k, 64), 1, w_.mask().size())) return "mask out of range";
    std::size_t kept = 0;
    for (std::size_t word = 0; word < ceil_div(k, 64); ++word) {
      const std::uint64_t bits = w_.mask().data()[panel.mask + word];
      if (word == k / 64 && (bits >> (k % 64)) != 0) return "mask keeps a k beyond K";
      kept += static_cast<std::size_t>(std::popcount(bits));
    }
    return groups_of(kept) == panel.groups ? "" : "mask does not match the groups";
  }

  std::string problem_of_positions(const packed_panel& panel) const {
    const std::size_t per_group = shape::group_k * (window::is_private ? strips_of(panel) * shape::channels : 1);
    const std::size_t bytes = ceil_div(panel.groups, window::groups_per_byte);
    if (!fits(panel.selects, bytes, per_group, w_.selects().size())) return "selects out of range";
    constexpr std::size_t bits = 8 / window::groups_per_byte;
    const std::uint8_t* own = w_.selects().data() + panel.selects;
    for (std::size_t i = 0; i < bytes * per_group; ++i)
      for (std::size_t shift = 0; shift < 8; shift += bits)
        if ((own[i] >> shift & ((1U << bits) - 1)) >= window::position_reach) return "position beyond its window";
    return {};
  }

  std::string problem_of_kept_channels(const packed_panel& panel) const {
    if (!fits(panel.kept_channels, panel.kept, 1, w_.kept_channels().size())) return "kept channels out of range";
    const index_t* own = w_.kept_channels().data() + panel.kept_channels;
    for (std::size_t i = 0; i < panel.kept; ++i)
      if (own[i] >= panel.channels || (i != 0 && own[i] <= own[i - 1]))
        return "kept channel " + std::to_string(i) + " is " + std::to_string(own[i]);
    return {};
  }

  const View& w_;
};

/// The first thing that is wrong with a packed_view, or ok. O(panels + addresses + selects).
template <class View>
status check_panels(const View& w) {
  return panel_check<View>(w).run();
}

}  // namespace sparq::detail
