// SPDX-License-Identifier: MIT
#pragma once
// From a tensor of any format to windows (packed.hpp): zeros anywhere, for the rows loop. The channels of a strip share the
// address of a group, and each takes its next four weights at most, of floats its next one,
// from the W k's that begin there.
//
//   W = 16      base 0              base 5              base 17
//   channel 0   0 3 9 14            16 19 .  .          ...        takes early what lies in the window
//   channel 1   1 2 3 4             5 7 11 16           17 ...     sets the next base: its next k is the lowest
//
//   base = min over the channels of the k of their next weight
//   for each channel: for j < 4: if its next k < base + W: slot = that weight, its position k - base; else a filler, 0
//
// Any later base would miss a weight, and weights taken late take slots of later groups, so no choice of bases needs
// fewer groups. Codes of 0 are not stored, nor those of a codebook whose entry is 0: their code fills the slots that
// are left. Where scales run along k, each group of scales has groups of its own:
// no channel takes a weight of the next one.

#include <sparq/numeric/codec.hpp>
#include <sparq/tensor/packed.hpp>
#include <sparq/tensor/strip_codes.hpp>
#include <sparq/tensor/tensor.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace sparq::detail {

/// Packs one tensor: `measure` finds the groups of every strip, `write` fills a block.
template <class Shape, format F, numeric N, quantization_granularity G>
class window_packer : public block_writer<packed_array> {
  using stored = packed_numeric_t<N>;
  static_assert(
      !requires { N::table::bucket; },
      "sparq: channels take k's of windows out of step, buckets need them in order; pack in panel_shape or "
      "bitmask_shape");
  static_assert(Shape::group_k == (N::is_integer ? 4 : 1),
                "sparq: of a window floats take one k at a time, integers four; use window_shape<16, 1, 8> for floats, "
                "window_shape<16, 4, 32> for integers");

 public:
  using view_type = packed_view<runs, window_select<Shape::window>, stored, G, Shape>;

  explicit window_packer(const tensor_view<F, N, G>& w) : w_(w), strips_(w) { measure(); }

  /// Slots that nobody takes hold the code whose entry is 0, so every table needs one.
  status check() const {
    if constexpr (has_tables<N>)
      return check_zero_entries<N>(w_.tables, "windows are filled up");
    else
      return {};
  }
  /// Groups of all strips.
  std::size_t strip_groups() const { return static_cast<std::size_t>(count(packed_array::addresses)); }
  std::size_t strips() const { return panels_.size(); }

  /// @pre block.size() >= bytes(), aligned to 64 bytes
  void write(std::span<std::byte> block) {
    start(block);
    if constexpr (has_tables<N>) copy(packed_array::words, w_.tables);
    copy(packed_array::panels, std::span<const packed_panel>(panels_));
    copy(packed_array::segments, std::span<const index_t>(segments_));
    if constexpr (!is_grouped) copy(packed_array::scales, w_.scales);
    strips_.template for_each_strip<Shape::channels>([&](std::size_t strip, const cell* rows, std::size_t channels) {
      write_strip(panels_[strip], rows, channels);
    });
  }

 private:
  using code = typename stored::code;
  using cell = typename strip_codes<F, N, G>::cell;
  static constexpr cell nothing = strip_codes<F, N, G>::nothing;
  using window = window_of<window_select<Shape::window>, runs, Shape::group_k>;
  static constexpr std::size_t channels_of_strip = Shape::channels, group_k = Shape::group_k;
  static constexpr std::size_t groups_per_word = groups_per_word_v<stored, Shape>;
  static constexpr bool is_grouped = scales_along_k_v<G>;

  void measure() {
    const auto [n, k] = w_.shape();
    if constexpr (has_tables<N>) count(packed_array::words) = table_words<N>(n, k);
    strips_.template for_each_strip<Shape::channels>([&](std::size_t strip, const cell* rows, std::size_t channels) {
      packed_panel panel;
      panel.first_channel = static_cast<index_t>(strip * channels_of_strip);
      panel.channels = panel.kept = static_cast<index_t>(channels);
      panel.words = count(packed_array::words);
      panel.addresses = count(packed_array::addresses);
      panel.selects = count(packed_array::selects);
      panel.scales = count(packed_array::scales);
      schedule(
          rows, channels, [&](std::size_t) { ++panel.groups; }, [](std::size_t, std::size_t, std::size_t) {},
          [&, first = index_t{0}](std::size_t) mutable {
            panel.groups = static_cast<index_t>(round_up(panel.groups, groups_per_word));
            if constexpr (is_grouped) segments_.push_back(panel.groups - first);
            first = panel.groups;
          });
      count(packed_array::words) += strip_words<stored, Shape>(panel.groups);
      count(packed_array::addresses) += panel.groups;
      count(packed_array::selects) +=
          ceil_div(std::size_t{panel.groups}, window::groups_per_byte) * channels_of_strip * group_k;
      if constexpr (is_grouped) count(packed_array::scales) += channels_of_strip * segments_of_panel();
      panels_.push_back(panel);
    });
    count(packed_array::panels) = panels_.size();
    count(packed_array::segments) = segments_.size();
    if constexpr (!is_grouped) count(packed_array::scales) = w_.scales.size();
    if constexpr (N::is_integer) count(packed_array::weight_sums) = is_grouped ? count(packed_array::scales) : n;
    place(w_.shape(), w_.index.slots(), F::name(), view_type::layout_name(), packed_element_bytes);
  }

  std::size_t segments_of_panel() const { return ceil_div(w_.shape().k, segment_k<G>(w_.shape().k)); }

  /// group(base) for every group, and then slot(channel, j, k) for every weight in it; end_segment(segment) behind the
  /// groups of each group of scales, or behind all. O(channels k)
  template <class Group, class Slot, class EndSegment>
  void schedule(const cell* rows, std::size_t channels, Group&& group, Slot&& slot, EndSegment&& end_segment) {
    const std::size_t k_extent = w_.shape().k;
    const std::size_t last_base = (std::max)(k_extent, Shape::window) - Shape::window;
    const auto next_weight = [&](std::size_t c, std::size_t k) {
      while (k < k_extent && rows[c * k_extent + k] == nothing) ++k;
      return k;
    };
    std::size_t next[channels_of_strip];
    for (std::size_t c = 0; c < channels; ++c) next[c] = next_weight(c, 0);
    for (std::size_t segment = 0; segment < segments_of_panel(); ++segment) {
      const std::size_t end = (std::min)((segment + 1) * segment_k<G>(k_extent), k_extent);
      while (true) {
        const std::size_t lowest = *std::min_element(next, next + channels);
        if (lowest >= end) break;
        const std::size_t base = (std::min)(lowest, last_base);
        group(base);
        for (std::size_t c = 0; c < channels; ++c)
          for (std::size_t j = 0; j < group_k && next[c] < (std::min)(base + Shape::window, end); ++j) {
            slot(c, j, next[c]);
            next[c] = next_weight(c, next[c] + 1);
          }
      }
      end_segment(segment);
    }
  }

  /// Codes of a codebook, channel by channel: the one whose entry is 0, until weights take their places.
  void fill_with_zeros(const packed_panel& panel, std::size_t channels) {
    const std::size_t row = panel.groups * group_k;
    codes_of_strip_.assign(channels * row, 0);
    for (std::size_t c = 0; c < channels; ++c)
      std::fill_n(codes_of_strip_.data() + c * row, row,
                  static_cast<std::uint8_t>(zero_code_of(w_, panel.first_channel + c)));
  }
  void write_strip(const packed_panel& panel, const cell* rows, std::size_t channels) {
    index_t* addresses = array<index_t>(packed_array::addresses) + panel.addresses;
    std::uint8_t* selects = array<std::uint8_t>(packed_array::selects) + panel.selects;
    std::uint32_t* words = array<std::uint32_t>(packed_array::words) + panel.words;
    if constexpr (has_tables<N>) fill_with_zeros(panel, channels);
    std::int32_t* sums =
        array<std::int32_t>(packed_array::weight_sums) + (is_grouped ? panel.scales : panel.first_channel);
    constexpr std::size_t shared = window::groups_per_byte;
    std::size_t groups = 0, base = 0;
    schedule(
        rows, channels,
        [&](std::size_t at) {
          base = at;
          addresses[groups++] = static_cast<index_t>(at);
        },
        [&](std::size_t c, std::size_t j, std::size_t k) {
          const std::size_t g = groups - 1;
          const cell value = rows[c * w_.shape().k + k];
          if constexpr (has_tables<N>)
            codes_of_strip_[(c * panel.groups + g) * group_k + j] = static_cast<std::uint8_t>(value);
          else
            words[g / groups_per_word * channels_of_strip + c] |=
                bits_of<stored>(value) << (j * (32 / group_k) +
                                           g % groups_per_word * static_cast<std::size_t>(stored::bits));
          selects[(g / shared * channels_of_strip + c) * group_k + j] |=
              static_cast<std::uint8_t>((k - base) << (g % shared * (8 / shared)));
          if constexpr (N::is_integer) sums[c] += strips_.weight(value, panel.first_channel + c, k);
        },
        [&](std::size_t segment) {
          groups = round_up(groups, groups_per_word);
          if constexpr (is_grouped) {
            float* scales = array<float>(packed_array::scales) + panel.scales + segment * channels_of_strip;
            for (std::size_t c = 0; c < channels; ++c)
              scales[c] = static_cast<float>(
                  w_.scales[G::scale_index(panel.first_channel + c, segment * G::group, w_.shape().k)]);
            if constexpr (N::is_integer) sums += channels_of_strip;
          }
        });
    if constexpr (has_tables<N>)
      codebook_row<N>::store_rows(codes_of_strip_.data(), channels, panel.groups * group_k, words);
  }

  tensor_view<F, N, G> w_;
  strip_codes<F, N, G> strips_;
  std::vector<packed_panel> panels_;
  std::vector<index_t> segments_;  // of all panels
  std::vector<std::uint8_t> codes_of_strip_;  // of a codebook
};

}  // namespace sparq::detail
