// SPDX-License-Identifier: MIT
#pragma once
// The form that stores every weight that is not zero once, and one bit for each that could be: any zeros anywhere, for
// products of few rows, whose time is the time to read the weights. The loop expands it to words of the rows loop
// (packed.hpp), a piece at a time in the first-level cache. The bytes are the same on every machine.
//
//   strip of 16 channels, section of k's
//   masks   [64 bits] [64 bits] ...    bit i: place i of the words of 16 channels and 4 k's holds a weight
//   codes   [code] [code] ...          a stream of the weights, in the order of places; starts on a whole byte
//
//   integers: place = 4 channel + k        floats: place = 16 k + channel
//
// Codes of a codebook lie in the same stream, their tables behind it; a weight is not zero if its entry is not. Where
// scales run along k, a section holds whole groups of them.
//
//   for each strip: for each section:  words = expand(codes, masks);  for each row: rows loop over the words

#include <sparq/numeric/codebook.hpp>
#include <sparq/numeric/codec.hpp>
#include <sparq/tensor/packed_block.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>

namespace sparq {

/// Geometry of a strip that is stored as a bitmask: channels interleaved, and consecutive k's in one group.
template <std::size_t Channels, std::size_t GroupK>
struct bitmask_shape {
  static constexpr std::size_t channels = Channels;
  static constexpr std::size_t group_k = GroupK;
  /// k's of one word of mask.
  static constexpr std::size_t mask_k = 64 / Channels;
  static_assert(64 % (Channels * GroupK) == 0,
                "sparq: 64 places hold whole groups of all channels; use bitmask_shape<16, 4>, "
                "or bitmask_shape<16, 1> for floats");
};

/// Integers meet four at a time, floats one by one.
template <numeric N>
using default_bitmask_shape = bitmask_shape<16, N::is_integer ? 4 : 1>;

namespace detail {

/// The arrays of a tensor packed as a bitmask, in the order in which they lie in the block.
enum class bitmask_array : std::size_t { sections, masks, weight_sums, scales, codes, tables };
inline constexpr packed_sizes bitmask_element_bytes = {
    sizeof(std::uint64_t), sizeof(std::uint64_t), sizeof(std::int32_t), sizeof(float), 1, 1, 1, 1, 1, 1, 1};
/// Bytes behind the codes, which expanding may read.
inline constexpr std::size_t bitmask_slack = 64;

/// Whether scales along k leave whole groups of k's, which are multiplied at once.
template <class Granularity, class Shape>
constexpr bool bitmask_can_cut() {
  if constexpr (scales_along_k_v<Granularity>)
    return Granularity::group % Shape::group_k == 0;
  else
    return true;
}

/// k's of a section: its words take 4 KB, 8 KB for floats. With scales along k as many whole groups,
/// or the one that is longer.
template <class Numeric, class Granularity, class Shape>
constexpr std::size_t bitmask_section_k() {
  constexpr std::size_t wanted = Numeric::is_integer ? 256 : 128;
  if constexpr (scales_along_k_v<Granularity>) {
    constexpr std::size_t group = std::lcm(Granularity::group, Shape::mask_k);
    return group > wanted ? group : wanted / group * group;
  } else {
    return wanted;
  }
}

}  // namespace detail

/// A tensor packed as a bitmask, over memory that somebody else keeps. Trivially copyable.
template <numeric Numeric, quantization_granularity Granularity, class Shape>
class packed_bitmask_view : public detail::packed_base {
 public:
  using numeric_type = Numeric;
  using granularity = Granularity;
  using shape_type = Shape;
  static_assert(
      detail::bitmask_can_cut<Granularity, Shape>(),
      "sparq: scales along k cut the k's that a bitmask multiplies at once; use groups of a multiple of 4, or pack in "
      "windows or for the columns loop");
  static constexpr std::size_t section_k = detail::bitmask_section_k<Numeric, Granularity, Shape>();

  packed_bitmask_view() = default;
  packed_bitmask_view(unchecked_t, const std::byte* block) : packed_base(block) {}

  /// A view of a block that pack_into wrote, here or on another machine.
  /// Errors: a block that is cut short, not aligned to 64 bytes, or packed for another loop or types; masks that do not
  /// match the codes. Complexity O(n k / 64).
  static expected<packed_bitmask_view> try_from_bytes(std::span<const std::byte> block) {
    if (status s = detail::check_packed_header(block, layout_name(), detail::bitmask_element_bytes); !s.ok()) return s;
    const packed_bitmask_view view(unchecked, block.data());
    if (status s = view.check_sections(); !s.ok()) return s;
    return view;
  }
  static packed_bitmask_view from_bytes(std::span<const std::byte> block) { return try_from_bytes(block).value(); }

  std::size_t strips() const { return ceil_div(shape().n, Shape::channels); }
  std::size_t sections_per_strip() const { return ceil_div(shape().k, section_k); }
  /// Groups of scales along k of one strip; 0 where scales do not run along k.
  std::size_t segments_per_strip() const {
    if constexpr (scales_along_k_v<Granularity>)
      return ceil_div(shape().k, Granularity::group);
    else
      return 0;
  }
  /// Words of mask of one strip.
  std::size_t strip_masks() const { return ceil_div(shape().k, Shape::mask_k); }
  /// The masks of one section.
  std::span<const std::uint64_t> masks(std::size_t strip, std::size_t section) const {
    constexpr std::size_t per_section = section_k / Shape::mask_k;
    const std::size_t first = section * per_section;
    const std::size_t count = strip_masks() - first < per_section ? strip_masks() - first : per_section;
    return all_masks().subspan(strip * strip_masks() + first, count);
  }
  /// Where the codes of a section start, in a stream of its own; bitmask_slack bytes behind them are readable.
  const std::byte* codes(std::size_t strip, std::size_t section) const {
    return array<std::byte>(detail::bitmask_array::codes).data() + sections()[strip * sections_per_strip() + section];
  }
  /// Entries of all tables of a codebook.
  const auto* tables() const
    requires has_tables<Numeric>
  {
    return reinterpret_cast<const typename Numeric::entry::code*>(
        array<std::byte>(detail::bitmask_array::tables).data());
  }
  /// Sum of the weights' codes, or entries, of each output channel; empty for floats. With scales along k: of every
  /// segment, in the order of `scales`.
  std::span<const std::int32_t> weight_sums() const { return array<std::int32_t>(detail::bitmask_array::weight_sums); }
  /// As in the canonical form. Scales along k: for each strip, for each segment, those of the strip's channels.
  std::span<const float> scales() const { return array<float>(detail::bitmask_array::scales); }

  /// Codes that are stored: those that are not zero.
  std::size_t stored_codes() const {
    std::size_t total = 0;
    for (const std::uint64_t mask : all_masks()) total += static_cast<std::size_t>(std::popcount(mask));
    return total;
  }
  /// Non-zero codes / codes that are multiplied, which are all n k of them. 1 for an empty matrix. O(n k / 64).
  double slot_efficiency() const { return detail::efficiency(stored_codes(), shape().size()); }

  /// What a block must say it is, to be viewed as this type.
  static std::string layout_name() {
    return detail::layout_text("bitmask", Numeric::name, Granularity::name, Shape::channels, Shape::group_k);
  }

 private:
  std::span<const std::uint64_t> sections() const { return array<std::uint64_t>(detail::bitmask_array::sections); }
  std::span<const std::uint64_t> all_masks() const { return array<std::uint64_t>(detail::bitmask_array::masks); }

  status check_sections() const {
    const auto [n, k] = shape();
    constexpr bool is_grouped = scales_along_k_v<Granularity>;
    if (Numeric::is_integer && weight_sums().size() != (is_grouped ? scales().size() : n))
      return status::failure("packed tensor: weight sums do not match the channels");
    if (is_grouped ? !detail::fits(0, strips(), segments_per_strip() * Shape::channels, scales().size())
                   : scales().size() != Granularity::scale_count(n, k))
      return status::failure("packed tensor: scales do not match the channels");
    if constexpr (has_tables<Numeric>) {
      if (array<std::byte>(detail::bitmask_array::tables).size() <
          table_entries<Numeric>(n, k) * sizeof(typename Numeric::entry::code))
        return status::failure("packed tensor: tables out of range");
    }
    if (!detail::fits(0, strips(), sections_per_strip(), sections().size()) ||
        !detail::fits(0, strips(), strip_masks(), all_masks().size()))
      return status::failure("packed tensor: sections or masks do not match the weights");
    const std::size_t bytes = array<std::byte>(detail::bitmask_array::codes).size();
    std::uint64_t next = 0;
    for (std::size_t i = 0; i < strips() * sections_per_strip(); ++i) {
      const auto wrong = [&](const std::string& what) {
        return status::failure("packed tensor: section " + std::to_string(i) + ": " + what);
      };
      std::size_t kept = 0;
      for (const std::uint64_t mask : masks(i / sections_per_strip(), i % sections_per_strip()))
        kept += static_cast<std::size_t>(std::popcount(mask));
      if (sections()[i] != next) return wrong("weights do not follow those of the section before");
      next += storage_bytes<Numeric>(kept);
      if (next + detail::bitmask_slack > bytes) return wrong("weights out of range");
    }
    return {};
  }
};

}  // namespace sparq
