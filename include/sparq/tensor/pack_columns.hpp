// SPDX-License-Identifier: MIT
#pragma once
// From a tensor of any format to packed_columns.hpp. Integer codes of 0 take no part; floats keep every slot.

#include <sparq/numeric/codec.hpp>
#include <sparq/tensor/packed_columns.hpp>
#include <sparq/tensor/packed_shape.hpp>
#include <sparq/tensor/strip_codes.hpp>
#include <sparq/tensor/tensor.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace sparq::detail {

/// k's of the longest section: lists hold 16 bits.
inline constexpr std::size_t longest_section_k = 32768;

/// k's of one section, for products of m rows. A short section keeps its part of X in the first-level cache for all
/// panels. But every section starts all its loops anew, and the CPU mispredicts where each of them ends. This costs
/// more the fewer weights a section holds and the fewer rows share it. Measured: bench/README.md.
inline std::size_t column_section_k(weight_shape shape, std::size_t slots, bool is_integer, std::size_t m) {
  const double density = static_cast<double>(slots) / static_cast<double>((std::max)(shape.size(), std::size_t{1}));
  std::size_t cached = longest_section_k;
  if (density > (is_integer ? 0.15 : 0.35))
    cached = 768;
  else if (is_integer && density > 0.07)
    cached = 1152;
  if (m <= 32) cached = (std::max)(cached, std::size_t{4096});
  const std::size_t limit = shape.k > cached + cached / 2 ? cached : longest_section_k;
  const std::size_t sections = (std::max)(ceil_div(shape.k, limit), std::size_t{1});
  return (std::max)(ceil_div(shape.k, sections), std::size_t{1});
}

/// Whether the columns loop takes scales along k: a section for each group of them.
template <quantization_granularity G>
constexpr bool columns_take_scales() {
  if constexpr (scales_along_k_v<G>)
    return G::group <= longest_section_k;
  else
    return true;
}

/// The same where scales run along k.
template <quantization_granularity G>
std::size_t column_section_k(weight_shape shape, std::size_t slots, bool is_integer, std::size_t m) {
  if constexpr (scales_along_k_v<G>) {
    static_assert(columns_take_scales<G>(),
                  "sparq: the columns loop takes scales along k for up to 32768 k's; use smaller groups");
    return G::group;
  } else {
    return column_section_k(shape, slots, is_integer, m);
  }
}

/// What the columns loop will do for one block of rows, all panels together.
struct column_work {
  std::size_t groups = 0;  // loads of X
  std::size_t adds = 0;    // multiplications of a group by one channel's codes
  std::size_t steps = 0;   // loops that run
};

/// Packs one tensor: `measure` finds the groups of every section, `write` fills a block.
template <class Shape, format F, numeric N, quantization_granularity G>
class column_packer : public block_writer<column_array> {
  using stored = packed_numeric_t<N>;

 public:
  using view_type = packed_columns_view<stored, G, Shape>;

  explicit column_packer(const tensor_view<F, N, G>& w, for_rows rows = {})
      : w_(w), section_k_(round_up(column_section_k<G>(w.shape(), w.index.slots(), N::is_integer, rows.m), Shape::run)),
        sections_(ceil_div(w.shape().k, section_k_)) {
    static_assert(keeps_runs(), "sparq: scales along k cut a run of k's in two; use groups of whole runs");
    measure();
  }

  const column_work& work() const { return work_; }

  /// Whether this form can hold the tensor: groups of integers are filled up, so every table needs a code for 0.
  status check() const {
    if constexpr (has_tables<N> && group_k > 1)
      return check_zero_entries<N>(w_.tables, "the columns loop fills its groups up");
    else
      return {};
  }

  /// @pre block.size() >= bytes(), aligned to 64 bytes
  void write(std::span<std::byte> block) {
    start(block);
    if constexpr (has_tables<N>) copy(column_array::tables, w_.tables);
    if constexpr (!is_grouped) copy(column_array::scales, w_.scales);
    section at;
    std::size_t next = 0;
    for_each_section([&](std::size_t panel, std::size_t first_k) {
      sort_by_set(panel, first_k);
      fill_groups();
      at.first_k = static_cast<index_t>(first_k);
      write_section(panel, next * channels, at);
      array<section>(column_array::sections)[next++] = at;
      at.lists += view_type::list_count(at);
      at.codes += view_type::code_count(at);
    });
  }

 private:
  using code = typename stored::code;
  using section = typename view_type::section;
  using steps = typename view_type::steps;
  using stream_code = typename view_type::code_type;
  static constexpr std::size_t channels = Shape::channels;
  static constexpr std::size_t group_k = Shape::group_k;
  static constexpr std::uint16_t filler = 0xffff;
  static constexpr bool is_grouped = scales_along_k_v<G>;
  static constexpr bool keeps_runs() {
    if constexpr (is_grouped) return G::group % Shape::run == 0;
    return true;
  }

  void measure() {
    const auto [n, k] = w_.shape();
    std::size_t codes = 0;
    for_each_section([&](std::size_t panel, std::size_t first_k) {
      sort_by_set(panel, first_k);
      fill_groups();
      section s;
      s.groups = count_groups();
      codes += view_type::code_count(s);
      count(column_array::lists) += view_type::list_count(s);
      ++count(column_array::sections);
      for (std::size_t i = 0; i < steps::count; ++i) {
        work_.groups += s.groups[i] * steps::all[i].count;
        work_.adds += s.groups[i] * steps::members(i);
        work_.steps += s.groups[i] != 0;
      }
    });
    count(column_array::codes) = storage_bytes<stream_code>(codes);
    if constexpr (has_tables<N>) count(column_array::tables) = w_.tables.size_bytes();
    count(column_array::scales) = is_grouped ? count(column_array::sections) * channels : w_.scales.size();
    count(column_array::weight_sums) = !N::is_integer ? 0 : is_grouped ? count(column_array::scales) : n;
    place(w_.shape(), w_.index.slots(), F::name(), view_type::layout_name(), column_element_bytes<channels>);
  }

  /// f(panel of the band, first k) for all sections in order, after reading the band of channels they lie in: panels of
  /// the format, until their last channel ends a panel of ours.
  template <class Visit>
  void for_each_section(Visit&& visit) {
    for_each_band(w_.index, channels,
                  [&](std::size_t first_panel, std::size_t end_panel, std::size_t first, std::size_t count) {
                    band_first_ = first;
                    read_band(first_panel, end_panel, count);
                    for (std::size_t panel = 0; panel < ceil_div(count, channels); ++panel)
                      for (std::size_t s = 0; s < sections_; ++s) visit(panel, s * section_k_);
                  });
  }

  /// Codes of a band of channels, and for every k of its panels the set of channels that use it.
  void read_band(std::size_t first_panel, std::size_t last_panel, std::size_t count) {
    const std::size_t k_extent = w_.shape().k;
    codes_.assign(count * k_extent, code{});
    if constexpr (has_tables<N>) {
      zeros_.resize(count);
      for (std::size_t c = 0; c < count; ++c) {
        zeros_[c] = static_cast<code>(zero_code_of(w_, band_first_ + c));
        std::fill_n(codes_.data() + c * k_extent, k_extent, zeros_[c]);
      }
    }
    sets_.assign(ceil_div(count, channels) * k_extent, 0);
    for (std::size_t p = first_panel; p < last_panel; ++p)
      w_.index.for_each_slot(p, [&](std::size_t slot, std::size_t channel, std::size_t k) {
        const auto value = static_cast<code>(load_code<N>(w_.values.data(), slot));
        if (N::is_integer && load_weight(w_, slot, channel, k) == 0) return;
        const std::size_t c = channel - band_first_;
        codes_[c * k_extent + k] = value;
        sets_[c / channels * k_extent + k] |= static_cast<std::uint8_t>(1U << (c % channels));
      });
  }

  void sort_by_set(std::size_t panel, std::size_t first_k) {
    const std::size_t k_extent = w_.shape().k;
    const std::uint8_t* sets = sets_.data() + panel * k_extent;
    for (auto& list : lists_) list.clear();
    const std::size_t end = (std::min)(first_k + section_k_, k_extent);
    for (std::size_t k = first_k; k < end; k += Shape::run) {
      std::uint8_t set = sets[k];
      for (std::size_t i = 1; i < (std::min)(Shape::run, end - k); ++i) set |= sets[k + i];
      for (std::size_t i = 0; set != 0 && i < Shape::run; ++i)
        lists_[set].push_back(k + i < end ? static_cast<std::uint16_t>(k + i - first_k) : filler);
    }
  }

  /// Makes every list a multiple of group_k: k's that are left over move into a set with more channels, or fillers join
  /// them, whichever adds fewer codes.
  void fill_groups() {
    if constexpr (group_k == 1) return;
    const auto members = [](std::size_t set) { return static_cast<std::size_t>(std::popcount(set)); };
    const auto fillers = [&](std::size_t set, std::size_t size) {
      return (group_k - size % group_k) % group_k * members(set);
    };
    for (std::size_t set = 1; set < steps::sets; ++set) {
      auto& list = lists_[set];
      const std::size_t rest = list.size() % group_k;
      if (rest == 0) continue;
      std::size_t least = fillers(set, list.size()), best = set;
      for (std::size_t wider = set + 1; wider < steps::sets; ++wider) {
        if ((wider & set) != set) continue;
        const std::size_t size = lists_[wider].size();
        const std::size_t added = rest * (members(wider) - members(set)) + fillers(wider, size + rest);
        if (added < least + fillers(wider, size)) {
          least = added - (std::min)(added, fillers(wider, size));
          best = wider;
        }
      }
      if (best == set) {
        list.resize(list.size() + group_k - rest, filler);
      } else {
        lists_[best].insert(lists_[best].end(), list.end() - static_cast<std::ptrdiff_t>(rest), list.end());
        list.resize(list.size() - rest);
      }
    }
  }

  decltype(section::groups) count_groups() const {
    std::array<std::size_t, steps::sets> left{};
    for (std::size_t set = 0; set < steps::sets; ++set) left[set] = lists_[set].size() / group_k;
    decltype(section::groups) groups{};
    for (std::size_t i = 0; i < steps::count; ++i) {
      const column_step& step = steps::all[i];
      std::size_t least = left[step.sets[0]];
      for (std::size_t j = 1; j < step.count; ++j) least = (std::min)(least, left[step.sets[j]]);
      for (std::size_t j = 0; j < step.count; ++j) left[step.sets[j]] -= least;
      groups[i] = static_cast<std::uint16_t>(least);
    }
    return groups;
  }

  /// - `first_scale`: where the scales of the section lie, if they run along k
  void write_section(std::size_t panel, std::size_t first_scale, section& s) {
    const auto [n, k_extent] = w_.shape();
    const std::size_t first_channel = band_first_ + panel * channels;
    const std::size_t first_sum = is_grouped ? first_scale : first_channel;
    if constexpr (is_grouped)
      for (std::size_t c = 0; c < (std::min)(channels, n - first_channel); ++c)
        array<float>(column_array::scales)[first_scale + c] =
            static_cast<float>(w_.scales[G::scale_index(first_channel + c, s.first_k, k_extent)]);
    std::uint16_t* lists = array<std::uint16_t>(column_array::lists) + s.lists;
    s.groups = count_groups();
    std::array<std::size_t, steps::sets> next{};
    stream_.clear();
    for (std::size_t i = 0; i < steps::count; ++i) {
      const column_step& step = steps::all[i];
      for (std::size_t g = 0; g < s.groups[i]; ++g)
        for (std::size_t j = 0; j < step.count; ++j) {
          const std::size_t set = step.sets[j];
          const std::uint16_t* group = lists_[set].data() + next[set];
          next[set] += group_k;
          for (std::size_t at = 0; at < group_k; ++at) *lists++ = group[at] == filler ? std::uint16_t{} : group[at];
          for (std::size_t c = 0; c < channels; ++c) {
            if ((set >> c & 1) == 0) continue;
            const code* row = codes_.data() + (panel * channels + c) * k_extent + s.first_k;
            for (std::size_t at = 0; at < group_k; ++at) {
              const code value = group[at] == filler ? zero_of(panel * channels + c) : row[group[at]];
              stream_.push_back(value);
              if constexpr (has_tables<N> && N::is_integer)
                array<std::int32_t>(column_array::weight_sums)[first_sum + c] +=
                    w_.tables[table_start<N>(first_channel + c, 0, k_extent) + value];
              else if constexpr (N::is_integer)
                array<std::int32_t>(column_array::weight_sums)[first_sum + c] += value;
            }
          }
        }
    }
    for (std::size_t i = 0; i < stream_.size(); ++i)
      store_code<stream_code>(array<std::byte>(column_array::codes), static_cast<std::size_t>(s.codes) + i,
                              static_cast<typename stream_code::code>(stream_[i]));
  }

  /// The code that adds nothing, for a channel of the band.
  code zero_of([[maybe_unused]] std::size_t channel) const {
    if constexpr (has_tables<N>)
      return zeros_[channel];
    else
      return code{};
  }

  tensor_view<F, N, G> w_;
  std::size_t section_k_;
  std::size_t sections_;
  column_work work_;
  std::size_t band_first_ = 0;
  std::vector<code> codes_;
  std::vector<code> zeros_;
  std::vector<std::uint8_t> sets_;
  std::array<std::vector<std::uint16_t>, steps::sets> lists_;
  std::vector<code> stream_;
};

}  // namespace sparq::detail
