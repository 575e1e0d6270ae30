// SPDX-License-Identifier: MIT
#pragma once
// From a tensor of any format to packed_bitmask.hpp. Weights of 0 are not stored. Scales along k, and the sums of their
// weights, follow each other strip by strip.

#include <sparq/numeric/codec.hpp>
#include <sparq/tensor/packed_bitmask.hpp>
#include <sparq/tensor/strip_codes.hpp>
#include <sparq/tensor/tensor.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace sparq::detail {

/// Packs one tensor: `measure` counts the codes of every section, `write` fills a block.
template <class Shape, format F, numeric N, quantization_granularity G>
class bitmask_packer : public block_writer<bitmask_array> {
  using stored = packed_numeric_t<N>;

 public:
  using view_type = packed_bitmask_view<stored, G, Shape>;

  explicit bitmask_packer(const tensor_view<F, N, G>& w) : w_(w), strips_(w) { measure(); }

  /// @pre block.size() >= bytes(), aligned to 64 bytes
  void write(std::span<std::byte> block) {
    start(block);
    write_scales();
    if constexpr (has_tables<N>) copy(bitmask_array::tables, w_.tables);
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
                strips_.weight(value, channel, at_k);
          }
        }
      *sections++ = first_byte;
      first_byte += storage_bytes<stored>(kept);
    });
  }

 private:
  using code = typename stored::code;
  using cell = typename strip_codes<F, N, G>::cell;
  static constexpr cell nothing = strip_codes<F, N, G>::nothing;
  static constexpr bool is_grouped = scales_along_k_v<G>;

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
    place(w_.shape(), w_.index.slots(), F::name(), view_type::layout_name(), bitmask_element_bytes);
  }

  /// Where the kernel meets the scale of a channel and a k, where scales run along k.
  std::size_t scale_place([[maybe_unused]] std::size_t channel, [[maybe_unused]] std::size_t k) const {
    if constexpr (is_grouped)
      return (channel / Shape::channels * ceil_div(w_.shape().k, G::group) + k / G::group) * Shape::channels +
             channel % Shape::channels;
    else
      return 0;
  }
  void write_scales() {
    if constexpr (is_grouped) {
      float* scales = array<float>(bitmask_array::scales);
      const auto [n, k] = w_.shape();
      for (std::size_t channel = 0; channel < n; ++channel)
        for (std::size_t at = 0; at < k; at += G::group)
          scales[scale_place(channel, at)] = static_cast<float>(w_.scales[G::scale_index(channel, at, k)]);
    } else {
      copy(bitmask_array::scales, w_.scales);
    }
  }

  /// f(strip, codes of its first channel, channels, first k) for all sections in order.
  template <class Visit>
  void for_each_section(Visit&& visit) {
    strips_.template for_each_strip<Shape::channels>([&](std::size_t strip, const cell* rows, std::size_t channels) {
      for (std::size_t k = 0; k < w_.shape().k; k += view_type::section_k) visit(strip, rows, channels, k);
    });
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

  tensor_view<F, N, G> w_;
  strip_codes<F, N, G> strips_;
};

}  // namespace sparq::detail
