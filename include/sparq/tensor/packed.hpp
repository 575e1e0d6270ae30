// SPDX-License-Identifier: MIT
#pragma once
// The form that kernels read: weights interleaved in strips of channels, panel by panel, in one block of bytes that
// describes itself. The bytes are the same on every machine; a mapped file serves as well as owned memory.
//
// A strip holds `channels` channels (panel_shape), a group `group_k` consecutive places along k. One 32-bit word holds
// the group's codes of one channel; codes narrower than 32 / group_k bits share the word with the next groups (load
// group):
//
//   strip 0: load group 0: [c0][c1]..[c15]   s8:  byte j       = code(j)
//            load group 1: [c0][c1]..[c15]   s4:  byte j       = code(group 0, j) | code(group 1, j) << 4
//   strip 1: ...                             f32: the word     = code(0)
//
// Codes of a codebook lie channel by channel (packed_codebook.hpp), in windows too,
// and their tables in front of all words.
//
//   for each strip: for each load group: w = load(16 words); for each row of the block: acc += dot(broadcast(x), w)

#include <sparq/format/policy.hpp>
#include <sparq/tensor/packed_block.hpp>
#include <sparq/tensor/packed_codebook.hpp>
#include <sparq/tensor/packed_shape.hpp>

#include <algorithm>
#include <bit>
#include <cstdint>

namespace sparq {

/// 32-bit words that a group of one channel takes: one, or one for each bit of a code in bit_panel_shape.
template <numeric N, class Shape>
inline constexpr std::size_t words_per_group_v = Shape::group_k == 32 ? static_cast<std::size_t>(N::bits) : 1;

/// What a weight adds to its channel's weight sum: itself, but |weight| where bits count those that X disagrees with.
template <numeric N, class Shape>
constexpr std::int32_t weight_sum_term(std::int32_t value) {
  if constexpr (Shape::group_k == 32)
    if (N::min_code == -1 && N::max_code == 1 && value < 0) return -value;
  return value;
}

/// Groups of one channel that share a 32-bit word; of a codebook: a word of entries.
template <numeric N, class Shape>
inline constexpr std::size_t groups_per_word_v =
    (std::max)(std::size_t{1}, 32 / (static_cast<std::size_t>(entry_t<N>::bits) * Shape::group_k));

/// Words of one strip with this many groups.
template <numeric N, class Shape>
constexpr std::size_t strip_words(std::size_t groups) {
  if constexpr (has_tables<N>)
    return Shape::channels * detail::codebook_row<N>::words(groups * Shape::group_k);
  else
    return Shape::channels * ceil_div(groups, groups_per_word_v<N, Shape>) * words_per_group_v<N, Shape>;
}

namespace detail {

/// A panel is cut into segments, one for each group of scales along k; a single one without those.
template <class Granularity>
constexpr std::size_t segment_k(std::size_t k) {
  if constexpr (scales_along_k_v<Granularity>)
    return Granularity::group;
  else
    return (std::max)(k, std::size_t{1});
}

/// Whether panels of this kind can be cut so: a segment holds whole words, whole windows of an N:M pattern, and a list
/// can be filled up inside a segment.
template <class RowSelect, class KMap, class Numeric, class Granularity, class Shape>
constexpr bool can_cut() {
  using window = window_of<RowSelect, KMap, Shape::group_k>;
  if constexpr (!scales_along_k_v<Granularity> || (std::is_same_v<KMap, runs> && window::positions_per_group != 0))
    return true;  // windows that may begin anywhere end with their segment
  else if constexpr (std::is_same_v<KMap, list>)
    return window::positions_per_group == 0 &&
           Granularity::group % (Shape::group_k * groups_per_word_v<Numeric, Shape>) == 0;
  else
    return Granularity::group % window::window == 0 &&
           (!window::is_private || Granularity::group / window::window * window::groups %
                                           groups_per_word_v<Numeric, Shape> == 0);
}

}  // namespace detail

/// One panel of a packed tensor; offsets count elements of the array they point into.
struct packed_panel {
  index_t first_channel = 0;        // first output channel
  index_t channels = 0;             // output channels covered, pruned ones included
  index_t kept = 0;                 // channels that have weights; equal to `channels` unless some are left out
  index_t groups = 0;               // groups of every channel, whole words of them
  std::uint64_t words = 0;          // into words: strips x load groups x channels of a strip
  std::uint64_t addresses = 0;      // into addresses (runs: first k of every group)
  std::uint64_t mask = 0;           // into mask (list: one bit for every k)
  std::uint64_t selects = 0;        // into selects (n_m_shared: positions of a group; n_m_select: the same per channel)
  std::uint64_t kept_channels = 0;  // into kept_channels (offsets from first_channel), when kept < channels
  std::uint64_t scales = 0;         // into scales and weight_sums (scales along k): strips x segments x channels
};

namespace detail {

/// The arrays of a packed tensor, in the order in which they lie in the block.
enum class packed_array : std::size_t {
  panels, addresses, mask, selects, kept_channels, segments, weight_sums, scales, words
};
inline constexpr packed_sizes packed_element_bytes = {
    sizeof(packed_panel), sizeof(index_t),      sizeof(std::uint64_t), sizeof(std::uint8_t),  sizeof(index_t),
    sizeof(index_t),      sizeof(std::int32_t), sizeof(float),         sizeof(std::uint32_t), 1, 1};

template <class P>
struct policy_name;
template <>
struct policy_name<contiguous> {
  static std::string text() { return "contiguous"; }
};
template <>
struct policy_name<runs> {
  static std::string text() { return "runs"; }
};
template <>
struct policy_name<list> {
  static std::string text() { return "list"; }
};
template <>
struct policy_name<all> {
  static std::string text() { return "all"; }
};
template <std::size_t N, std::size_t M>
struct policy_name<n_m_shared<N, M>> {
  static std::string text() { return "n_m_shared<" + std::to_string(N) + "," + std::to_string(M) + ">"; }
};
template <std::size_t W>
struct policy_name<window_select<W>> {
  static std::string text() { return "window_select<" + std::to_string(W) + ">"; }
};
template <std::size_t N, std::size_t M>
struct policy_name<n_m_select<N, M>> {
  static std::string text() { return "n_m_select<" + std::to_string(N) + "," + std::to_string(M) + ">"; }
};

}  // namespace detail

/// A packed tensor over memory that somebody else keeps. Trivially copyable.
/// - `KMap`, `RowSelect`: how panels read X (format/policy.hpp)
template <class KMap, class RowSelect, numeric Numeric, quantization_granularity Granularity, class Shape>
class packed_view : public detail::packed_base {
  static_assert(
      has_tables<Numeric> || Numeric::bits == 1 || Numeric::bits == 2 || Numeric::bits == 4 || Numeric::bits % 8 == 0,
      "sparq: kernels hold codes of 1, 2, 4, 8, 16 or 32 bits; name a wider type as `packed` in the numeric type");

 public:
  using k_map = KMap;
  using row_select = RowSelect;
  using numeric_type = Numeric;
  using granularity = Granularity;
  using panel_shape_type = Shape;
  static constexpr bool cuts_patterns_in_lists =
      scales_along_k_v<Granularity> && std::is_same_v<KMap, list> &&
      detail::window_of<RowSelect, KMap, Shape::group_k>::positions_per_group != 0;
  static_assert(
      !cuts_patterns_in_lists,
      "sparq: scales along k cut N:M patterns in a list of k's anywhere; pack for the columns loop with column_shape, "
      "or in windows with window_shape");
  static_assert(cuts_patterns_in_lists || detail::can_cut<RowSelect, KMap, Numeric, Granularity, Shape>(),
                "sparq: scales along k cut a word of codes, or a group of an N:M pattern, in two; use larger groups "
                "(of bits: multiples of 32), or pack for the columns loop with column_shape");

  packed_view() = default;
  packed_view(unchecked_t, const std::byte* block) : packed_base(block) {}

  /// A view of a block that pack_into wrote, here or on another machine.
  /// Errors: a block that is cut short, not aligned to 64 bytes, or packed for other policies or types; an array or
  /// an index that leads out of its bounds. Complexity O(panels + addresses + selects).
  static expected<packed_view> try_from_bytes(std::span<const std::byte> block) {
    if (status s = detail::check_packed_header(block, layout_name(), detail::packed_element_bytes); !s.ok()) return s;
    const packed_view view(unchecked, block.data());
    if (status s = view.check_panels(); !s.ok()) return s;
    return view;
  }
  static packed_view from_bytes(std::span<const std::byte> block) { return try_from_bytes(block).value(); }

  std::span<const packed_panel> panels() const { return array<packed_panel>(detail::packed_array::panels); }
  std::span<const index_t> addresses() const { return array<index_t>(detail::packed_array::addresses); }
  std::span<const std::uint64_t> mask() const { return array<std::uint64_t>(detail::packed_array::mask); }
  std::span<const std::uint8_t> selects() const { return array<std::uint8_t>(detail::packed_array::selects); }
  std::span<const index_t> kept_channels() const { return array<index_t>(detail::packed_array::kept_channels); }
  /// Scales along k: the groups of every segment, panel by panel; the groups of a segment share a scale.
  std::span<const index_t> segments() const { return array<index_t>(detail::packed_array::segments); }
  /// Sum of the codes of each output channel, of their magnitudes for binary and ternary in bit_panel_shape; empty for
  /// floats. With scales along k: of every segment, in the order of `scales`.
  std::span<const std::int32_t> weight_sums() const { return array<std::int32_t>(detail::packed_array::weight_sums); }
  /// As in the canonical form. Scales along k: for each strip, for each segment, those of the strip's channels.
  std::span<const float> scales() const { return array<float>(detail::packed_array::scales); }
  std::span<const std::uint32_t> words() const { return array<std::uint32_t>(detail::packed_array::words); }
  /// Entries of all tables of a codebook.
  const auto* tables() const
    requires has_tables<Numeric>
  {
    return reinterpret_cast<const typename Numeric::entry::code*>(words().data());
  }
  /// The output channel of kept channel `r` of a panel.
  std::size_t channel_of(const packed_panel& panel, std::size_t r) const {
    return panel.first_channel + (panel.kept < panel.channels ? kept_channels().data()[panel.kept_channels + r] : r);
  }

  /// Non-zero codes / stored codes: what part of the multiplications is of use. 1 for an empty matrix and for numeric
  /// types without a code for 0. O(words).
  double slot_efficiency() const {
    if constexpr (has_tables<Numeric>) return entry_efficiency();
    if constexpr (!has_zero_v<Numeric>) return 1.0;
    if constexpr (Shape::group_k == 32) return slot_efficiency_of_planes();
    constexpr std::size_t groups = groups_per_word_v<Numeric, Shape>;
    constexpr std::uint32_t code_mask = ~std::uint32_t{0} >> (32 - Numeric::bits);
    std::size_t useful = 0;
    for (const std::uint32_t word : words())
      for (std::size_t lane = 0; lane < Shape::group_k; ++lane)
        for (std::size_t i = 0; i < groups; ++i)
          useful += ((word >> (lane * (32 / Shape::group_k) + i * Numeric::bits)) & code_mask) != 0;
    const std::size_t stored = words().size() * groups * Shape::group_k;
    return stored == 0 ? 1.0 : static_cast<double>(useful) / static_cast<double>(stored);
  }

  /// What a block must say it is, to be viewed as this type.
  static std::string layout_name() {
    return detail::layout_text(detail::policy_name<KMap>::text() + " " + detail::policy_name<RowSelect>::text(),
                               Numeric::name, Granularity::name, Shape::channels, Shape::group_k);
  }

 private:
  double entry_efficiency() const {
    using row_type = detail::codebook_row<Numeric>;
    std::size_t useful = 0, stored = 0;
    for (const packed_panel& panel : panels())
      for (std::size_t r = 0; r < panel.kept; ++r) {
        const std::size_t places = panel.groups * Shape::group_k;
        const auto* row =
            reinterpret_cast<const std::uint8_t*>(words().data() + panel.words + r * row_type::words(places));
        for (std::size_t place = 0; place < places; ++place) {
          const std::size_t k = (std::min)(place, shape().k - 1);  // tables along k: places are k's
          useful +=
              tables()[table_start<Numeric>(channel_of(panel, r), k, shape().k) + row_type::load(row, place)] != 0;
        }
        stored += places;
      }
    return stored == 0 ? 1.0 : static_cast<double>(useful) / static_cast<double>(stored);
  }
  double slot_efficiency_of_planes() const {
    constexpr std::size_t planes = words_per_group_v<Numeric, Shape>;
    std::size_t useful = 0;
    for (std::size_t i = 0; i < words().size(); ++i) {
      if (i / Shape::channels % planes != 0) continue;
      std::uint32_t any = 0;
      for (std::size_t p = 0; p < planes; ++p) any |= words()[i + p * Shape::channels];
      useful += static_cast<std::size_t>(std::popcount(any));
    }
    const std::size_t stored = words().size() / planes * Shape::group_k;
    return stored == 0 ? 1.0 : static_cast<double>(useful) / static_cast<double>(stored);
  }

  // ---- what try_from_bytes asks of a block --------------------------------------------------------------------------
  using window = detail::window_of<RowSelect, KMap, Shape::group_k>;
  static constexpr bool is_grouped = scales_along_k_v<Granularity>;
  static constexpr bool is_runs = std::is_same_v<KMap, runs>;
  static constexpr bool is_list = std::is_same_v<KMap, list>;
  /// The groups of a panel follow from the number of its k's alone.
  static constexpr bool covers_every_k = !is_runs && !is_list;

  std::size_t segment_k() const { return detail::segment_k<Granularity>(shape().k); }
  std::size_t segments_of_panel() const { return is_grouped ? ceil_div(shape().k, segment_k()) : 0; }
  static std::size_t whole_words(std::size_t groups) { return round_up(groups, groups_per_word_v<Numeric, Shape>); }
  /// Groups of so many k's, of which no address or mask chooses some.
  static std::size_t groups_of(std::size_t k) { return whole_words(ceil_div(k, window::window) * window::groups); }
  static std::size_t strips_of(const packed_panel& panel) { return ceil_div(panel.kept, Shape::channels); }

  status check_panels() const {
    if (status s = check_lengths(); !s.ok()) return s;
    std::size_t next_channel = 0;
    for (std::size_t p = 0; p < panels().size(); ++p) {
      if (const std::string problem = problem_of(p, next_channel); !problem.empty())
        return status::failure("packed tensor: panel " + std::to_string(p) + ": " + problem);
      next_channel += panels()[p].channels;
    }
    if (next_channel != shape().n) return status::failure("packed tensor: the panels do not cover all channels");
    return {};
  }

  /// Arrays that have no offsets in panels are as long as the shape says.
  status check_lengths() const {
    const auto [n, k] = shape();
    if (segments().size() != panels().size() * segments_of_panel())
      return status::failure("packed tensor: segments do not match the panels");
    if (Numeric::is_integer && weight_sums().size() != (is_grouped ? scales().size() : n))
      return status::failure("packed tensor: weight sums do not match the channels");
    if (!is_grouped && scales().size() != Granularity::scale_count(n, k))
      return status::failure("packed tensor: scales do not match the channels");
    if constexpr (has_tables<Numeric>)
      if (words().size() < detail::table_words<Numeric>(n, k))
        return status::failure("packed tensor: tables out of range");
    return {};
  }

  /// What is wrong with a panel, "" if nothing is. Each step relies on those before.
  std::string problem_of(std::size_t p, std::size_t first_channel) const {
    const packed_panel& panel = panels()[p];
    std::string problem = problem_of_extents(panel, first_channel);
    if (problem.empty()) problem = problem_of_segments(p);
    if constexpr (covers_every_k && !is_grouped)
      if (problem.empty() && panel.groups != groups_of(shape().k)) problem = "groups do not match K";
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
    if (panel.groups % groups_per_word_v<Numeric, Shape> != 0) return "groups do not fill their words";
    if (panel.first_channel != first_channel || panel.channels > shape().n - first_channel ||
        panel.kept > panel.channels)
      return "channels out of range";
    if (panel.addresses > addresses().size() || panel.mask > mask().size() || panel.selects > selects().size() ||
        panel.kept_channels > kept_channels().size())
      return "offsets out of range";
    if (!detail::fits(panel.words, strips_of(panel), strip_words<Numeric, Shape>(panel.groups), words().size()))
      return "weights out of range";
    if (is_grouped &&
        !detail::fits(panel.scales, strips_of(panel) * Shape::channels, segments_of_panel(), scales().size()))
      return "scales out of range";
    if (covers_every_k && panel.kept != panel.channels)
      return "keeps " + std::to_string(panel.kept) + " of " + std::to_string(panel.channels) + " channels";
    return {};
  }

  std::string problem_of_segments(std::size_t p) const {
    if constexpr (is_grouped) {
      std::size_t left = panels()[p].groups;
      for (std::size_t s = 0; s < segments_of_panel(); ++s) {
        const std::size_t groups = segments()[p * segments_of_panel() + s];
        const std::size_t length = (std::min)(segment_k(), shape().k - s * segment_k());
        if (whole_words(groups) != groups || groups > left || (covers_every_k && groups != groups_of(length)))
          return "segment " + std::to_string(s) + " has " + std::to_string(groups) + " groups";
        left -= groups;
      }
      if (left != 0) return "segments do not add up to the groups";
    }
    return {};
  }

  std::string problem_of_addresses(const packed_panel& panel) const {
    if (!detail::fits(panel.addresses, panel.groups, 1, addresses().size())) return "addresses out of range";
    // a window begins at any k, but ends with the last one, unless k is less than a window
    constexpr bool is_window = window::positions_per_group != 0;
    const std::size_t k = shape().k;
    const std::size_t end = is_window && k != 0 ? (std::max)(k, window::window) - window::window + 1 : k;
    const index_t* own = addresses().data() + panel.addresses;
    for (std::size_t g = 0; g < panel.groups; ++g)
      if (own[g] >= end || (!is_window && own[g] % Shape::group_k != 0))
        return "address " + std::to_string(g) + " is " + std::to_string(own[g]);
    return {};
  }

  std::string problem_of_mask(const packed_panel& panel) const {
    const std::size_t k = shape().k;
    if (!detail::fits(panel.mask, ceil_div(k, 64), 1, mask().size())) return "mask out of range";
    std::size_t kept = 0;
    for (std::size_t word = 0; word < ceil_div(k, 64); ++word) {
      const std::uint64_t bits = mask().data()[panel.mask + word];
      if (word == k / 64 && (bits >> (k % 64)) != 0) return "mask keeps a k beyond K";
      kept += static_cast<std::size_t>(std::popcount(bits));
    }
    return groups_of(kept) == panel.groups ? "" : "mask does not match the groups";
  }

  std::string problem_of_positions(const packed_panel& panel) const {
    const std::size_t per_group = Shape::group_k * (window::is_private ? strips_of(panel) * Shape::channels : 1);
    const std::size_t bytes = ceil_div(panel.groups, window::groups_per_byte);
    if (!detail::fits(panel.selects, bytes, per_group, selects().size())) return "selects out of range";
    constexpr std::size_t bits = 8 / window::groups_per_byte;
    const std::uint8_t* own = selects().data() + panel.selects;
    for (std::size_t i = 0; i < bytes * per_group; ++i)
      for (std::size_t shift = 0; shift < 8; shift += bits)
        if ((own[i] >> shift & ((1U << bits) - 1)) >= window::position_reach) return "position beyond its window";
    return {};
  }

  std::string problem_of_kept_channels(const packed_panel& panel) const {
    if (!detail::fits(panel.kept_channels, panel.kept, 1, kept_channels().size())) return "kept channels out of range";
    const index_t* own = kept_channels().data() + panel.kept_channels;
    for (std::size_t i = 0; i < panel.kept; ++i)
      if (own[i] >= panel.channels || (i != 0 && own[i] <= own[i - 1]))
        return "kept channel " + std::to_string(i) + " is " + std::to_string(own[i]);
    return {};
  }
};

}  // namespace sparq
