// SPDX-License-Identifier: MIT
#pragma once
// From a tensor of any format to packed_bitmask.hpp. Weights of 0 are not stored. Scales along k, and the sums of their
// weights, follow each other strip by strip.

#include <sparq/numeric/codec.hpp>
#include <sparq/tensor/packed_bitmask.hpp>
#include <sparq/tensor/tensor.hpp>

#include <algorithm>
#include <cstring>
#include <vector>

namespace sparq::detail {

/// Packs one tensor: `measure` counts the codes of every section, `write` fills a block.
template <class Shape, format F, numeric N, quantization_granularity G>
class bitmask_packer {
  using stored = packed_numeric_t<N>;
 public:
  using view_type = packed_bitmask_view<stored, G, Shape>;

  explicit bitmask_packer(const tensor_view<F, N, G>& w) : w_(w) { measure(); }

  std::size_t bytes() const { return static_cast<std::size_t>(header_.bytes); }

  /// @pre block.size() >= bytes(), aligned to 64 bytes
  void write(std::span<std::byte> block) {
    std::memset(block.data(), 0, bytes());
    std::memcpy(block.data(), &header_, sizeof header_);
    block_ = block.data();
    write_scales();
    if constexpr (has_tables<N>)
      if (!w_.tables.empty()) std::memcpy(array<std::byte>(bitmask_array::tables), w_.tables.data(), w_.tables.size_bytes());
    std::uint64_t* masks = array<std::uint64_t>(bitmask_array::masks);
    std::uint64_t* sections = array<std::uint64_t>(bitmask_array::sections);
    std::uint64_t first_byte = 0;
    for_each_section([&](std::size_t strip, const cell* rows, std::size_t channels, std::size_t first_k) {
      const std::size_t end = (std::min)(first_k + view_type::section_k, w_.shape().k);
      std::byte* codes = array<std::byte>(bitmask_array::codes) + first_byte;
      std::size_t kept = 0;
      for (std::size_t k = first_k; k < end; k += Shape::mask_k, ++masks)
        for (std::size_t place = 0; place < 64; ++place) {
          const cell value = at(rows, channels, place, k);
          if (value == nothing) continue;
          *masks |= std::uint64_t{1} << place;
          store_code<stored>(codes, kept++, static_cast<code>(value));
          if constexpr (N::is_integer) {
            const std::size_t channel = strip * Shape::channels + channel_of(place), at_k = k_of(place, k);
            array<std::int32_t>(bitmask_array::weight_sums)[is_grouped ? scale_place(channel, at_k) : channel] +=
                weight(value, channel, at_k);
          }
        }
      *sections++ = first_byte;
      first_byte += storage_bytes<stored>(kept);
    });
  }

 private:
  using code = typename stored::code;
  /// A code in a matrix of all weights, those that are 0 among them; every code of a codebook may be a weight.
  using cell = std::conditional_t<has_tables<N>, std::int16_t, code>;
  static constexpr cell nothing = has_tables<N> ? static_cast<cell>(-1) : cell{};
  static constexpr bool is_grouped = scales_along_k_v<G>;

  template <class T>
  T* array(bitmask_array which) {
    return reinterpret_cast<T*>(block_ + header_.offset[static_cast<std::size_t>(which)]);
  }
  std::uint64_t& count(bitmask_array which) { return header_.count[static_cast<std::size_t>(which)]; }

  void measure() {
    const auto [n, k] = w_.shape();
    const std::size_t strips = ceil_div(n, Shape::channels);
    std::size_t code_bytes = 0;
    for_each_section([&](std::size_t, const cell* rows, std::size_t channels, std::size_t first_k) {
      const std::size_t end = (std::min)(first_k + view_type::section_k, w_.shape().k);
      std::size_t kept = 0;
      for (std::size_t c = 0; c < channels; ++c)
        for (std::size_t at = first_k; at < end; ++at) kept += rows[c * w_.shape().k + at] != nothing;
      code_bytes += storage_bytes<stored>(kept);
    });
    count(bitmask_array::sections) = strips * ceil_div(k, view_type::section_k);
    count(bitmask_array::masks) = strips * ceil_div(k, Shape::mask_k);
    if constexpr (is_grouped)
      count(bitmask_array::scales) = strips * ceil_div(k, G::group) * Shape::channels;
    else
      count(bitmask_array::scales) = w_.scales.size();
    count(bitmask_array::weight_sums) = !N::is_integer ? 0 : is_grouped ? count(bitmask_array::scales) : n;
    count(bitmask_array::codes) = code_bytes + bitmask_slack;
    if constexpr (has_tables<N>) count(bitmask_array::tables) = w_.tables.size_bytes();
    header_.n = n;
    header_.k = k;
    header_.slots = w_.index.slots();
    header_.place(F::name(), view_type::layout_name(), bitmask_element_bytes);
  }

  /// Where the kernel meets the scale of a channel and a k, where scales run along k.
  std::size_t scale_place([[maybe_unused]] std::size_t channel, [[maybe_unused]] std::size_t k) const {
    if constexpr (is_grouped)
      return (channel / Shape::channels * ceil_div(w_.shape().k, G::group) + k / G::group) * Shape::channels + channel % Shape::channels;
    else
      return 0;
  }
  void write_scales() {
    float* scales = array<float>(bitmask_array::scales);
    if constexpr (is_grouped) {
      const auto [n, k] = w_.shape();
      for (std::size_t channel = 0; channel < n; ++channel)
        for (std::size_t at = 0; at < k; at += G::group)
          scales[scale_place(channel, at)] = static_cast<float>(w_.scales[G::scale_index(channel, at, k)]);
    } else {
      for (std::size_t i = 0; i < w_.scales.size(); ++i) scales[i] = w_.scales[i];
    }
  }

  /// f(strip, codes of its first channel, channels, first k) for all sections in order, after reading the band of
  /// channels they lie in: panels of the format, until their last channel ends a strip.
  template <class Visit>
  void for_each_section(Visit&& visit) {
    const std::size_t k_extent = w_.shape().k;
    for (std::size_t p = 0; p < w_.index.panels();) {
      const std::size_t first = w_.index.panel(p).first;
      std::size_t end = p;
      std::size_t band_end = first;
      do {
        const channel_range range = w_.index.panel(end++);
        band_end = range.first + range.count;
      } while (band_end % Shape::channels != 0 && end < w_.index.panels());
      codes_.assign((band_end - first) * k_extent, nothing);
      for (; p < end; ++p)
        w_.index.for_each_slot(p, [&](std::size_t slot, std::size_t channel, std::size_t k) {
          if constexpr (has_tables<N>)
            if (load_weight(w_, slot, channel, k) == 0) return;
          codes_[(channel - first) * k_extent + k] = static_cast<cell>(load_code<N>(w_.values.data(), slot));
        });
      for (std::size_t channel = first; channel < band_end; channel += Shape::channels)
        for (std::size_t k = 0; k < k_extent; k += view_type::section_k)
          visit(channel / Shape::channels, codes_.data() + (channel - first) * k_extent,
                (std::min)(Shape::channels, band_end - channel), k);
    }
  }

  static constexpr std::size_t channel_of(std::size_t place) { return place / Shape::group_k % Shape::channels; }
  /// Of a place of the mask that starts at k.
  static constexpr std::size_t k_of(std::size_t place, std::size_t k) {
    constexpr std::size_t group = Shape::channels * Shape::group_k;
    return k + place / group * Shape::group_k + place % Shape::group_k;
  }
  /// The code of a place of the mask that starts at k; nothing beyond the last channel or k.
  cell at(const cell* rows, std::size_t channels, std::size_t place, std::size_t k) const {
    const std::size_t c = channel_of(place);
    k = k_of(place, k);
    return c < channels && k < w_.shape().k ? rows[c * w_.shape().k + k] : nothing;
  }
  /// What a code adds to its channel's sum.
  std::int32_t weight(cell value, [[maybe_unused]] std::size_t channel, [[maybe_unused]] std::size_t k) const {
    if constexpr (has_tables<N>)
      return static_cast<std::int32_t>(w_.tables[table_start<N>(channel, k, w_.shape().k) + static_cast<std::size_t>(value)]);
    else
      return static_cast<std::int32_t>(value);
  }

  tensor_view<F, N, G> w_;
  packed_header header_;
  std::byte* block_ = nullptr;
  std::vector<cell> codes_;
};

}  // namespace sparq::detail
