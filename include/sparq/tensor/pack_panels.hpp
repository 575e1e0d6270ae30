// SPDX-License-Identifier: MIT
#pragma once
// Packing for the rows loop (packed.hpp): panels and slots are all that it asks a format for; the k's and channels that
// a panel uses follow from its slots. pack.hpp is what programs call.

#include <sparq/numeric/codec.hpp>
#include <sparq/tensor/packed.hpp>
#include <sparq/tensor/tensor.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace sparq {

namespace detail {

/// How the rows loop reads the panels of a format: lists that are private to a channel become runs of all channels.
template <format F>
using rows_k_map = std::conditional_t<std::is_same_v<typename F::k_map, scattered>, runs, typename F::k_map>;

/// What the rows loop holds for codes of N in panels of F. Types without a code for 0 keep their bits where every place
/// of a panel is a weight; behind the last k any code will do, because X is 0 there.
template <format F, numeric N>
using rows_numeric = packed_numeric_t<N, holds_every_weight_v<F> && std::is_same_v<typename F::k_map, contiguous> &&
                                             std::is_same_v<typename F::row_select, all>>;

/// Packs one tensor: `measure` finds the extents of every panel, `write` fills a block.
template <class Shape, format F, numeric N, quantization_granularity G>
class packer : public block_writer<packed_array> {
  using k_map = rows_k_map<F>;
  using stored = rows_numeric<F, N>;

 public:
  using view_type = packed_view<k_map, typename F::row_select, stored, G, Shape>;

  explicit packer(const tensor_view<F, N, G>& w) : w_(w) { measure(); }

  /// Groups of a strip that the rows loop will load for one block of rows, all panels together.
  std::size_t strip_groups() const {
    std::size_t total = 0;
    for (const packed_panel& panel : panels_) total += ceil_div(panel.kept, Shape::channels) * panel.groups;
    return total;
  }
  /// Strips of 16 channels, all panels together.
  std::size_t strips() const {
    std::size_t total = 0;
    for (const packed_panel& panel : panels_) total += ceil_div(panel.kept, Shape::channels);
    return total;
  }

  /// Slots that keep the N:M pattern which the policies promise; another would have no place in its window.
  status check() const {
    status result;
    if constexpr (window::positions_per_group != 0)
      for (std::size_t p = 0; p < panels_.size() && result.ok(); ++p) result = check_pattern(p);
    return result;
  }

  /// @pre block.size() >= bytes(), aligned to 64 bytes; check() is ok
  void write(std::span<std::byte> block) {
    start(block);
    if constexpr (has_tables<N>) copy(packed_array::words, w_.tables);
    for (std::size_t p = 0; p < panels_.size(); ++p) write_panel(p);
    if constexpr (!is_grouped) copy(packed_array::scales, w_.scales);
  }

 private:
  using window = window_of<typename F::row_select, k_map, Shape::group_k>;
  using code = typename stored::code;
  static constexpr std::size_t group_k = Shape::group_k;
  static constexpr std::size_t groups_per_word = groups_per_word_v<stored, Shape>;
  static constexpr std::size_t planes = words_per_group_v<stored, Shape>;
  static constexpr std::size_t unplaced = ~std::size_t{0};
  static constexpr bool is_runs = std::is_same_v<k_map, runs>;
  static constexpr bool is_list = std::is_same_v<k_map, list>;
  static constexpr bool is_grouped = scales_along_k_v<G>;
  static constexpr bool is_shared = window::positions_per_group != 0 && !window::is_private;
  static constexpr std::size_t span_k = window::window / window::spans;
  /// An N:M pattern inside a panel counts the entries of its list, whether a channel keeps them or not.
  static constexpr bool lists_k = is_list && window::positions_per_group != 0;

  // ---- extents ------------------------------------------------------------------------------------------------------
  void measure() {
    const auto [n, k] = w_.shape();
    if constexpr (has_tables<N>) count(packed_array::words) = table_words<N>(n, k);
    std::vector<std::uint8_t> k_used;
    std::vector<std::uint8_t> channel_used;
    for (std::size_t p = 0; p < w_.index.panels(); ++p) {
      const channel_range range = w_.index.panel(p);
      packed_panel panel;
      panel.first_channel = static_cast<index_t>(range.first);
      panel.channels = panel.kept = static_cast<index_t>(range.count);
      panel.words = count(packed_array::words);
      panel.addresses = count(packed_array::addresses);
      panel.mask = count(packed_array::mask);
      panel.selects = count(packed_array::selects);
      panel.kept_channels = count(packed_array::kept_channels);
      panel.scales = count(packed_array::scales);
      if constexpr (is_runs || is_list) {
        k_used.assign(k, 0);
        channel_used.assign(range.count, 0);
        w_.index.for_each_slot(p, [&](std::size_t, std::size_t channel, std::size_t at) {
          k_used[at] = 1;
          channel_used[channel - range.first] = 1;
        });
        if constexpr (lists_k)
          for (const std::size_t at : w_.index.k_of(p)) k_used[at] = 1;
        fill_segments(k_used);
        leave_out_unused(panel, channel_used);
      }
      const std::size_t first_segment = segments_.size();
      for (std::size_t first = 0; first < k; first += segment_k<G>(k)) {
        segments_.push_back(segment_groups(k_used, first));
        panel.groups += segments_.back();
      }
      if constexpr (is_runs) count(packed_array::addresses) += panel.groups;
      if constexpr (is_list) count(packed_array::mask) += ceil_div(k, 64);
      const std::size_t strip_channels = round_up(panel.kept, Shape::channels);
      if constexpr (window::positions_per_group != 0)
        count(packed_array::selects) +=
            ceil_div(panel.groups, window::groups_per_byte) * group_k * (window::is_private ? strip_channels : 1);
      count(packed_array::words) += strip_channels / Shape::channels * strip_words<stored, Shape>(panel.groups);
      if constexpr (is_grouped) count(packed_array::scales) += strip_channels * (segments_.size() - first_segment);
      panels_.push_back(panel);
    }
    count(packed_array::panels) = panels_.size();
    if constexpr (is_grouped)
      count(packed_array::segments) = segments_.size();
    else
      count(packed_array::scales) = w_.scales.size();
    count(packed_array::weight_sums) = !N::is_integer ? 0 : is_grouped ? count(packed_array::scales) : n;
    place(w_.shape(), w_.index.slots(), F::name(), view_type::layout_name(), packed_element_bytes);
  }

  /// Groups come in whole words; the last ones may be padding, whose codes and addresses are 0.
  static index_t whole_words(std::size_t groups) { return static_cast<index_t>(round_up(groups, groups_per_word)); }
  static std::size_t used(const std::vector<std::uint8_t>& flags, std::size_t first, std::size_t end) {
    std::size_t total = 0;
    for (std::size_t i = first; i < end; ++i) total += flags[i];
    return total;
  }
  /// Groups of the segment that starts at k = first.
  index_t segment_groups(const std::vector<std::uint8_t>& k_used, std::size_t first) const {
    const std::size_t end = (std::min)(first + segment_k<G>(w_.shape().k), w_.shape().k);
    std::size_t groups = 0;
    if constexpr (is_runs)
      for (std::size_t k = first; k < end; k += group_k) groups += run_used(k_used, k);
    else if constexpr (is_list)
      groups = ceil_div(used(k_used, first, end), window::window) * window::groups;
    else
      groups = ceil_div(end - first, window::window) * window::groups;
    return whole_words(groups);
  }
  /// Compacted k's follow each other without gaps: a segment of a list takes unused k's of its own to fill its words.
  void fill_segments(std::vector<std::uint8_t>& k_used) const {
    if constexpr (is_list && is_grouped)
      for (std::size_t first = 0; first + G::group < k_used.size(); first += G::group) {
        std::size_t missing = used(k_used, first, first + G::group);
        missing = round_up(missing, group_k * groups_per_word) - missing;
        for (std::size_t k = first; missing != 0; ++k) {
          missing -= k_used[k] == 0;
          k_used[k] = 1;
        }
      }
  }
  static bool run_used(const std::vector<std::uint8_t>& k_used, std::size_t first) {
    for (std::size_t k = first; k < (std::min)(first + group_k, k_used.size()); ++k)
      if (k_used[k] != 0) return true;
    return false;
  }
  /// Leaves out channels without a slot if that saves a whole strip. If no channel has a slot, nothing is left out:
  /// strips have no groups then, and their sums, 0, need not be moved to their places.
  void leave_out_unused(packed_panel& panel, const std::vector<std::uint8_t>& channel_used) {
    const std::size_t kept = used(channel_used, 0, channel_used.size());
    if (kept == 0 || ceil_div(kept, Shape::channels) == ceil_div(panel.channels, Shape::channels)) return;
    panel.kept = static_cast<index_t>(kept);
    count(packed_array::kept_channels) += kept;
  }

  // ---- what the policies promise ------------------------------------------------------------------------------------
  /// Every channel, or all of them together where they share their k's, use at most N of every M.
  status check_pattern(std::size_t p) const {
    const std::size_t k_extent = w_.shape().k;
    std::vector<std::size_t> place(k_extent);  // of the k's that the pattern counts
    std::iota(place.begin(), place.end(), std::size_t{0});
    if constexpr (lists_k) {
      const std::vector<std::uint8_t> k_used = used_k(p);
      std::exclusive_scan(k_used.begin(), k_used.end(), place.begin(), std::size_t{0});
    }
    const std::size_t spans = ceil_div(k_extent, span_k);
    std::vector<std::size_t> used_of_span((is_shared ? 1 : std::size_t{panels_[p].channels}) * spans, 0);
    std::vector<std::uint8_t> seen(is_shared ? k_extent : 0, 0);
    status result;
    w_.index.for_each_slot(p, [&](std::size_t, std::size_t channel, std::size_t k) {
      if constexpr (is_shared)
        if (std::exchange(seen[k], std::uint8_t{1}) != 0) return;
      const std::size_t row = is_shared ? 0 : channel - panels_[p].first_channel;
      if (++used_of_span[row * spans + place[k] / span_k] > window::kept && result.ok())
        result = status::failure("pack: panel " + std::to_string(p) + " of " + F::name() + ": " +
                                 position_text(channel, k) + " is more than " + std::to_string(window::kept) + " of " +
                                 std::to_string(span_k) + " k's, which its policies promise; check_format tests that");
    });
    return result;
  }

  /// Of every k, whether a slot of the panel holds it or the panel lists it.
  std::vector<std::uint8_t> used_k(std::size_t p) const {
    std::vector<std::uint8_t> k_used(w_.shape().k, 0);
    w_.index.for_each_slot(p, [&](std::size_t, std::size_t, std::size_t k) { k_used[k] = 1; });
    if constexpr (lists_k)
      for (const std::size_t k : w_.index.k_of(p)) k_used[k] = 1;
    return k_used;
  }

  // ---- contents -----------------------------------------------------------------------------------------------------
  /// Codes and positions of a panel in the order of groups: [kept channel][group][group_k].
  void write_panel(std::size_t p) {
    const packed_panel& panel = panels_[p];
    array<packed_panel>(packed_array::panels)[p] = panel;
    const std::size_t segments = ceil_div(w_.shape().k, segment_k<G>(w_.shape().k));
    first_group_.assign(segments, 0);
    for (std::size_t s = 0; s + 1 < segments; ++s)
      first_group_[s + 1] = first_group_[s] + segments_[p * segments + s];
    if constexpr (is_grouped)
      for (std::size_t s = 0; s < segments; ++s)
        array<index_t>(packed_array::segments)[p * segments + s] = segments_[p * segments + s];
    const std::size_t row = panel.groups * group_k;
    codes_.assign(panel.kept * row, code{});
    place_.clear();
    row_of_.assign(panel.channels, unplaced);
    if constexpr (is_runs || is_list) place_k(p);
    if constexpr (is_shared) place_shared_k(p);
    if (panel.kept == panel.channels)
      for (std::size_t c = 0; c < panel.channels; ++c) row_of_[c] = c;
    else
      place_channels(p);
    if constexpr (has_tables<N> && !holds_every_weight_v<F>) fill_with_zeros(panel, row);
    if constexpr (is_grouped) write_scales(panel);
    if constexpr (window::is_private)
      next_.assign(panel.kept * ceil_div(w_.shape().k, window::window) * window::spans, 0);
    w_.index.for_each_slot(p, [&](std::size_t slot, std::size_t channel, std::size_t k) {
      const auto value = static_cast<code>(load_code<N>(w_.values.data(), slot));
      const std::size_t r = row_of_[channel - panel.first_channel];
      codes_[r * row + place_of(panel, r, k)] = value;
      if constexpr (N::is_integer) {
        const std::size_t of_sum = is_grouped ? scale_place(panel, r, k / segment_k<G>(w_.shape().k)) : channel;
        array<std::int32_t>(packed_array::weight_sums)[of_sum] +=
            weight_sum_term<stored, Shape>(load_weight(w_, slot, channel, k));
      }
    });
    if constexpr (has_tables<N>)
      codebook_row<N>::store_rows(codes_.data(), panel.kept, row,
                                  array<std::uint32_t>(packed_array::words) + panel.words);
    else
      write_words(panel);
  }

  /// Places that hold no weight: the code whose entry is 0. Where every weight is held, X is 0 beyond the last.
  void fill_with_zeros(const packed_panel& panel, std::size_t row) {
    for (std::size_t c = 0; c < panel.channels; ++c) {
      if (panel.kept == panel.channels || channel_kept_[c] != 0)
        std::fill_n(codes_.data() + row_of_[c] * row, row,
                    static_cast<code>(zero_code_of(w_, panel.first_channel + c)));
    }
  }

  /// Where the kernel meets the scale of kept channel r and one segment.
  std::size_t scale_place(const packed_panel& panel, std::size_t r, std::size_t segment) const {
    const std::size_t strip = r / Shape::channels;
    return static_cast<std::size_t>(panel.scales) +
           (strip * first_group_.size() + segment) * Shape::channels + r % Shape::channels;
  }
  void write_scales(const packed_panel& panel) {
    for (std::size_t c = 0; c < panel.channels; ++c) {
      if (panel.kept < panel.channels && row_of_[c] == unplaced) continue;
      for (std::size_t s = 0; s < first_group_.size(); ++s)
        array<float>(packed_array::scales)[scale_place(panel, row_of_[c], s)] =
            static_cast<float>(w_.scales[G::scale_index(panel.first_channel + c, s * G::group, w_.shape().k)]);
    }
  }

  /// Where in a channel's groups the code of k goes.
  std::size_t place_of(const packed_panel& panel, std::size_t r, std::size_t k) {
    if constexpr (is_runs || is_list || is_shared) k = place_[k];
    if constexpr (window::is_private) {
      const std::size_t spans_per_channel = next_.size() / panel.kept;
      const std::size_t at = place_in_window(k, next_[r * spans_per_channel + k / span_k]++);
      const std::size_t group = at / group_k;
      const std::size_t lane = at % group_k;
      std::uint8_t* selects = array<std::uint8_t>(packed_array::selects) + panel.selects;
      constexpr std::size_t shared = window::groups_per_byte;
      const std::size_t row = r / Shape::channels * ceil_div(panel.groups, shared) + group / shared;
      const std::size_t in_span = k % window::window % window::position_reach;
      selects[(row * Shape::channels + r % Shape::channels) * group_k + lane] |=
          static_cast<std::uint8_t>(in_span << (group % shared * (8 / shared)));
      return at;
    } else if constexpr (is_runs || is_list || is_shared) {
      return k;
    } else {
      return first_group_[k / segment_k<G>(w_.shape().k)] * group_k + k % segment_k<G>(w_.shape().k);
    }
  }

  /// Where the nth k that an M keeps goes, itself `k`.
  std::size_t place_in_window(std::size_t k, std::size_t nth) const {
    const std::size_t segment = is_list ? 0 : k / segment_k<G>(w_.shape().k);
    const std::size_t first_k = segment * segment_k<G>(w_.shape().k);
    return (first_group_[segment] + (k / window::window - first_k / window::window) * window::groups) * group_k +
           k % window::window / span_k * window::kept + nth;
  }

  /// A channel may use fewer than N of the k's that a pattern shares, and its slots may come in any order: what counts
  /// is what any channel uses.
  void place_shared_k(std::size_t p) {
    const std::vector<std::uint8_t> k_used = used_k(p);
    place_.assign(k_used.size(), 0);
    std::uint8_t* selects = array<std::uint8_t>(packed_array::selects) + panels_[p].selects;
    for (std::size_t k = 0, nth = 0; k < k_used.size(); ++k) {
      if (k % span_k == 0) nth = 0;
      if (k_used[k] == 0) continue;
      place_[k] = place_in_window(k, nth++);
      selects[place_[k]] = static_cast<std::uint8_t>(k % window::window);
    }
  }

  void place_k(std::size_t p) {
    const std::size_t k_extent = w_.shape().k;
    std::vector<std::uint8_t> k_used = used_k(p);
    fill_segments(k_used);
    place_.assign(k_extent, 0);
    std::size_t next = 0;
    if constexpr (is_runs) {
      index_t* addresses = array<index_t>(packed_array::addresses) + panels_[p].addresses;
      for (std::size_t k = 0; k < k_extent; k += group_k) {
        if (k % segment_k<G>(k_extent) == 0) next = first_group_[k / segment_k<G>(k_extent)];
        if (!run_used(k_used, k)) continue;
        for (std::size_t i = k; i < (std::min)(k + group_k, k_extent); ++i) place_[i] = next * group_k + (i - k);
        addresses[next++] = static_cast<index_t>(k);
      }
    } else {
      std::uint64_t* mask = array<std::uint64_t>(packed_array::mask) + panels_[p].mask;
      for (std::size_t k = 0; k < k_extent; ++k) {
        if (k_used[k] == 0) continue;
        place_[k] = next++;
        mask[k / 64] |= std::uint64_t{1} << (k % 64);
      }
    }
  }

  void place_channels(std::size_t p) {
    const packed_panel& panel = panels_[p];
    channel_kept_.assign(panel.channels, 0);
    w_.index.for_each_slot(
        p, [&](std::size_t, std::size_t channel, std::size_t) { channel_kept_[channel - panel.first_channel] = 1; });
    index_t* kept = array<index_t>(packed_array::kept_channels) + panel.kept_channels;
    std::size_t next = 0;
    for (std::size_t c = 0; c < panel.channels; ++c) {
      if (channel_kept_[c] == 0) continue;
      row_of_[c] = next;
      kept[next++] = static_cast<index_t>(c);
    }
  }

  void write_words(const packed_panel& panel) {
    const std::size_t row = panel.groups * group_k;
    const std::size_t load_groups = ceil_div(panel.groups, groups_per_word);
    std::uint32_t* words = array<std::uint32_t>(packed_array::words) + panel.words;
    for (std::size_t strip = 0; strip < panel.kept; strip += Shape::channels) {
      const std::size_t channels = (std::min)(Shape::channels, panel.kept - strip);
      // In blocks of a cache line of words: rows of codes are often a power of two apart and push each other out.
      for (std::size_t first = 0; first < load_groups; first += 16) {
        const std::size_t end = (std::min)(first + 16, load_groups);
        for (std::size_t c = 0; c < channels; ++c)
          for (std::size_t load_group = first; load_group < end; ++load_group)
            for (std::size_t plane = 0; plane < planes; ++plane)
              words[(load_group * planes + plane) * Shape::channels + c] =
                  word(codes_.data() + (strip + c) * row, load_group, panel.groups, plane);
      }
      words += load_groups * planes * Shape::channels;
    }
  }
  static std::uint32_t word(const code* codes, std::size_t load_group, std::size_t groups, std::size_t plane) {
    if constexpr (group_k == 32) {
      std::uint32_t result = 0;
      for (std::size_t lane = 0; lane < group_k; ++lane)
        result |= (bits_of<stored>(codes[load_group * group_k + lane]) >> plane & 1U) << lane;
      return result;
    } else {
      const std::size_t first = load_group * groups_per_word;
      std::uint32_t result = 0;
      constexpr std::size_t lane_bits = 32 / group_k;
      for (std::size_t i = 0; i < (std::min)(groups_per_word, groups - first); ++i)
        for (std::size_t lane = 0; lane < group_k; ++lane)
          result |= bits_of<stored>(codes[(first + i) * group_k + lane]) << (lane * lane_bits + i * stored::bits);
      return result;
    }
  }

  tensor_view<F, N, G> w_;
  std::vector<packed_panel> panels_;
  std::vector<index_t> segments_;  // of all panels
  std::vector<code> codes_;
  std::vector<std::size_t> first_group_;  // of every segment of the panel
  std::vector<std::size_t> place_;
  std::vector<std::size_t> row_of_;
  std::vector<std::uint8_t> channel_kept_;
  std::vector<std::uint8_t> next_;
};

}  // namespace detail
}  // namespace sparq
