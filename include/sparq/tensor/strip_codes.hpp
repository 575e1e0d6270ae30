// SPDX-License-Identifier: MIT
#pragma once
// The codes of a tensor of any format strip by strip, for packers that find the k's of a strip by themselves.

#include <sparq/numeric/codec.hpp>
#include <sparq/tensor/packed_codebook.hpp>
#include <sparq/tensor/tensor.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace sparq::detail {

/// f(first panel, end panel, first channel, channels) for bands of whole panels of a format, each as short as it can be
/// to end with a multiple of `multiple` channels; the last one ends where the matrix does.
template <class Index, class Visit>
void for_each_band(const Index& index, std::size_t multiple, Visit&& visit) {
  for (std::size_t p = 0; p < index.panels();) {
    const std::size_t first_panel = p, first = index.panel(p).first;
    std::size_t end = first;
    do {
      const channel_range range = index.panel(p++);
      end = range.first + range.count;
    } while (end % multiple != 0 && p < index.panels());
    visit(first_panel, p, first, end - first);
  }
}

/// Strips of a tensor as rows of a matrix of all its weights, pruned ones among them.
template <format F, numeric N, quantization_granularity G>
class strip_codes {
  using code = typename packed_numeric_t<N>::code;

 public:
  /// A code, or `nothing` for a weight of 0; every code of a codebook may be a weight.
  using cell = std::conditional_t<has_tables<N>, std::int16_t, code>;
  static constexpr cell nothing = has_tables<N> ? static_cast<cell>(-1) : cell{};

  explicit strip_codes(const tensor_view<F, N, G>& w) : w_(w) {}

  /// f(strip, row of its first channel, channels) for all strips of `Channels` channels in order;
  /// rows are k cells apart.
  template <std::size_t Channels, class Visit>
  void for_each_strip(Visit&& visit) {
    const std::size_t k_extent = w_.shape().k;
    for_each_band(
        w_.index, Channels, [&](std::size_t first_panel, std::size_t end_panel, std::size_t first, std::size_t count) {
          cells_.assign(count * k_extent, nothing);
          for (std::size_t p = first_panel; p < end_panel; ++p)
            w_.index.for_each_slot(p, [&](std::size_t slot, std::size_t channel, std::size_t k) {
              if constexpr (has_tables<N>)
                if (load_weight(w_, slot, channel, k) == 0) return;
              cells_[(channel - first) * k_extent + k] = static_cast<cell>(load_code<N>(w_.values.data(), slot));
            });
          for (std::size_t c = 0; c < count; c += Channels)
            visit((first + c) / Channels, static_cast<const cell*>(cells_.data() + c * k_extent),
                  (std::min)(Channels, count - c));
        });
  }

  /// What a code at this place means, as an integer. @pre value is not `nothing`
  std::int32_t weight(cell value, [[maybe_unused]] std::size_t channel, [[maybe_unused]] std::size_t k) const {
    if constexpr (has_tables<N>)
      return static_cast<std::int32_t>(
          w_.tables[table_start<N>(channel, k, w_.shape().k) + static_cast<std::size_t>(value)]);
    else
      return static_cast<std::int32_t>(value);
  }

 private:
  tensor_view<F, N, G> w_;
  std::vector<cell> cells_;
};

}  // namespace sparq::detail
