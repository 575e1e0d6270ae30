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

#include <sparq/base/error.hpp>
#include <sparq/base/math.hpp>
#include <sparq/format/policy.hpp>
#include <sparq/numeric/codebook.hpp>
#include <sparq/numeric/granularity.hpp>
#include <sparq/numeric/numeric.hpp>
#include <sparq/tensor/check_panels.hpp>
#include <sparq/tensor/packed_block.hpp>
#include <sparq/tensor/packed_codebook.hpp>
#include <sparq/tensor/packed_panel.hpp>
#include <sparq/tensor/packed_shape.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>

namespace sparq {

namespace detail {

/// The arrays of a packed tensor, in the order in which they lie in the block.
enum class packed_array : std::size_t {
  panels, addresses, mask, selects, kept_channels, segments, weight_sums, scales, words
};
inline constexpr packed_sizes packed_element_bytes = {
    sizeof(packed_panel), sizeof(index_t),      sizeof(std::uint64_t), sizeof(std::uint8_t),  sizeof(index_t),
    sizeof(index_t),      sizeof(std::int32_t), sizeof(float),         sizeof(std::uint32_t), 1, 1};

template <class Policy>
struct policy_name {
  static_assert(!std::is_same_v<Policy, Policy>,
                "sparq: there is no such k_map or row_select; take one of format/policy.hpp");
  static std::string text() { return {}; }
};
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
  using shape_type = Shape;
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
    if (status s = detail::check_panels(view); !s.ok()) return s;
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
    return detail::efficiency(useful, words().size() * groups * Shape::group_k);
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
    return detail::efficiency(useful, stored);
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
    return detail::efficiency(useful, words().size() / planes * Shape::group_k);
  }
};

}  // namespace sparq
