// SPDX-License-Identifier: MIT
#pragma once
// The form that the columns loop reads: any zeros anywhere, panels of a few channels, vector lanes are rows of X. The
// k's of a panel are sorted by which of its channels use them (column_steps.hpp); group_k k's of one set make a group.
// The bytes are the same on every machine.
//
//   panel of 4 channels, k range of a section
//   lists   [k k k k] [k k k k] ...      k's of one group after the other, relative to the section's first k
//   codes   [c0: 4 codes] [c2: 4 codes]  ... for every group: the codes of each channel of its set, in ascending order
//
// Groups of integers that are not full are filled up with k's of code 0, of a codebook with the code whose entry is 0.

#include <sparq/numeric/codec.hpp>
#include <sparq/tensor/column_steps.hpp>
#include <sparq/tensor/packed_block.hpp>
#include <sparq/tensor/packed_codebook.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>

namespace sparq {

/// Geometry of a panel of the columns loop: channels that share their k's, k's multiplied at once, and k's that stay
/// together: with Run = 4 a group is 4 neighbouring k's from a multiple of 4 on,
/// which X in quads holds beside each other.
template <std::size_t Channels, std::size_t GroupK, std::size_t Run = 1>
struct column_shape {
  static constexpr std::size_t channels = Channels;
  static constexpr std::size_t group_k = GroupK;
  static constexpr std::size_t run = Run;
  static_assert(Run == 1 || Run == GroupK,
                "sparq: the k's of a group are scattered or one run; use a Run of 1 or GroupK");
};

/// Integers meet four at a time, floats one by one.
template <numeric N>
using default_column_shape = column_shape<4, N::is_integer ? 4 : 1>;

namespace detail {

/// The codes of a stream for the columns loop: N itself, or unsigned integers that choose an entry.
template <numeric N>
struct column_code {
  using type = N;
};
template <has_tables N>
struct column_code<N> {
  using type =
      std::conditional_t<packed_code_bits_v<N> == 2, u2, std::conditional_t<packed_code_bits_v<N> == 4, u4, u8>>;
};

}  // namespace detail

/// A range of k's of one panel; offsets count elements of the array they point into.
template <std::size_t Channels>
struct column_section {
  std::uint64_t lists = 0;
  std::uint64_t codes = 0;
  index_t first_k = 0;
  std::array<std::uint16_t, column_steps<Channels>::count> groups{};  // of every set of each step
};

namespace detail {

/// The arrays of a tensor packed for the columns loop, in the order in which they lie in the block.
enum class column_array : std::size_t { sections, lists, weight_sums, scales, codes, tables };
template <std::size_t Channels>
inline constexpr packed_sizes column_element_bytes = {
    sizeof(column_section<Channels>), sizeof(std::uint16_t), sizeof(std::int32_t), sizeof(float), 1,
    1, 1, 1, 1, 1, 1};

}  // namespace detail

/// A tensor packed for the columns loop, over memory that somebody else keeps. Trivially copyable.
template <numeric Numeric, quantization_granularity Granularity, class Shape>
class packed_columns_view : public detail::packed_base {
 public:
  using numeric_type = Numeric;
  using granularity = Granularity;
  using shape_type = Shape;
  using section = column_section<Shape::channels>;
  using steps = column_steps<Shape::channels>;
  /// How the stream of codes is read.
  using code_type = typename detail::column_code<Numeric>::type;
  static_assert(!requires { Numeric::table::bucket; },
                "sparq: the columns loop sorts the k's, buckets need them in order; pack for the rows loop");

  packed_columns_view() = default;
  packed_columns_view(unchecked_t, const std::byte* block) : packed_base(block) {}

  /// A view of a block that pack_into wrote, here or on another machine.
  /// Errors: a block that is cut short, not aligned to 64 bytes, or packed for another loop or types; an array or an
  /// index that leads out of its bounds. Complexity O(bytes).
  static expected<packed_columns_view> try_from_bytes(std::span<const std::byte> block) {
    if (status s = detail::check_packed_header(block, layout_name(), sizes); !s.ok()) return s;
    const packed_columns_view view(unchecked, block.data());
    if (status s = view.check_sections(); !s.ok()) return s;
    return view;
  }
  static packed_columns_view from_bytes(std::span<const std::byte> block) { return try_from_bytes(block).value(); }

  std::size_t panels() const { return ceil_div(shape().n, Shape::channels); }
  std::size_t sections_per_panel() const { return panels() == 0 ? 0 : all_sections().size() / panels(); }
  std::span<const section> sections(std::size_t panel) const {
    return all_sections().subspan(panel * sections_per_panel(), sections_per_panel());
  }
  std::span<const std::uint16_t> lists() const { return array<std::uint16_t>(detail::column_array::lists); }
  /// A stream of codes (numeric/codec.hpp).
  std::span<const std::byte> codes() const { return array<std::byte>(detail::column_array::codes); }
  /// Sum of the codes of each output channel; empty for floats. With scales along k: of every section, in the order of
  /// `scales`.
  std::span<const std::int32_t> weight_sums() const { return array<std::int32_t>(detail::column_array::weight_sums); }
  /// As in the canonical form. Scales along k: for each panel, for each section, those of the panel's channels.
  std::span<const float> scales() const { return array<float>(detail::column_array::scales); }
  /// Entries of the table of an output channel; a channel beyond the last has the last one's. @pre n > 0
  const auto* table_of(std::size_t channel) const
    requires has_tables<Numeric>
  {
    using entry = typename Numeric::entry::code;
    return reinterpret_cast<const entry*>(array<std::byte>(detail::column_array::tables).data()) +
           table_start<Numeric>(channel < shape().n ? channel : shape().n - 1, 0, shape().k);
  }
  /// f(channel, first code) for the codes of each group and channel, group_k of them, in the order of the stream.
  template <class Visit>
  void for_each_group(std::size_t first_panel, std::size_t last_panel, Visit&& visit) const {
    for (std::size_t p = first_panel; p < last_panel; ++p)
      for (const section& s : sections(p)) {
        std::size_t code = static_cast<std::size_t>(s.codes);
        for (std::size_t i = 0; i < steps::count; ++i) {
          std::size_t channels[Shape::channels], members = 0;  // the sets of a step share no channel
          for (std::size_t j = 0; j < steps::all[i].count; ++j)
            for (std::size_t c = 0; c < Shape::channels; ++c)
              if ((steps::all[i].sets[j] >> c & 1) != 0) channels[members++] = p * Shape::channels + c;
          for (std::size_t g = 0; g < s.groups[i]; ++g)
            for (std::size_t member = 0; member < members; ++member, code += Shape::group_k)
              visit(channels[member], code);
        }
      }
  }

  /// Codes that all sections hold together, those that only fill groups included.
  std::size_t stored_codes() const {
    std::size_t total = 0;
    for (const section& s : all_sections()) total += code_count(s);
    return total;
  }
  /// Non-zero codes / stored codes: what part of the multiplications is of use. 1 for an empty matrix. O(codes).
  double slot_efficiency() const {
    const std::size_t stored = stored_codes();
    std::size_t useful = 0;
    if constexpr (has_tables<Numeric>) {
      for_each_group(0, panels(), [&](std::size_t channel, std::size_t first) {
        for (std::size_t i = first; i < first + Shape::group_k; ++i) useful += entry_of(channel, i) != 0;
      });
      return detail::efficiency(useful, stored);
    }
    for (std::size_t i = 0; i < stored; ++i)
      useful += load_code<Numeric>(codes().data(), i) != typename Numeric::code{};
    return detail::efficiency(useful, stored);
  }

  /// The entry that code `i` of the stream chooses for an output channel, whatever its bits are. @pre n > 0
  auto entry_of(std::size_t channel, std::size_t i) const
    requires has_tables<Numeric>
  {
    return table_of(channel)[load_code<code_type>(codes().data(), i) & (Numeric::entries - 1)];
  }

  /// Codes of one section.
  static std::size_t code_count(const section& s) {
    std::size_t total = 0;
    for (std::size_t i = 0; i < steps::count; ++i) total += s.groups[i] * steps::members(i) * Shape::group_k;
    return total;
  }
  /// List entries of one section.
  static std::size_t list_count(const section& s) {
    std::size_t total = 0;
    for (std::size_t i = 0; i < steps::count; ++i) total += s.groups[i] * steps::all[i].count * Shape::group_k;
    return total;
  }

  /// What a block must say it is, to be viewed as this type.
  static std::string layout_name() {
    return detail::layout_text("columns", Numeric::name, Granularity::name, Shape::channels, Shape::group_k) +
           (Shape::run == 1 ? "" : " runs of " + std::to_string(Shape::run));
  }

 private:
  static constexpr const detail::packed_sizes& sizes = detail::column_element_bytes<Shape::channels>;

  std::span<const section> all_sections() const { return array<section>(detail::column_array::sections); }

  status check_sections() const {
    const auto [n, k] = shape();
    constexpr bool is_grouped = scales_along_k_v<Granularity>;
    const std::size_t section_scales = all_sections().size() * Shape::channels;
    if (Numeric::is_integer && weight_sums().size() != (is_grouped ? section_scales : n))
      return status::failure("packed tensor: weight sums do not match the channels");
    if (scales().size() != (is_grouped ? section_scales : Granularity::scale_count(n, k)))
      return status::failure("packed tensor: scales do not match the channels");
    if constexpr (has_tables<Numeric>) {
      if (array<std::byte>(detail::column_array::tables).size() <
          table_entries<Numeric>(n, k) * sizeof(typename Numeric::entry::code))
        return status::failure("packed tensor: tables out of range");
    }
    if (panels() == 0 ? !all_sections().empty() : all_sections().size() % panels() != 0)
      return status::failure("packed tensor: sections do not match the channels");
    std::size_t next_code = 0;
    for (std::size_t i = 0; i < all_sections().size(); ++i) {
      const section& s = all_sections()[i];
      const auto wrong = [&](const std::string& what) {
        return status::failure("packed tensor: section " + std::to_string(i) + ": " + what);
      };
      if (s.codes != next_code) return wrong("weights do not follow those of the section before");
      next_code += code_count(s);
      if (storage_bytes<code_type>(next_code) > codes().size()) return wrong("weights out of range");
      if (!detail::fits(s.lists, list_count(s), 1, lists().size())) return wrong("lists out of range");
      const std::uint16_t* list = lists().data() + s.lists;
      for (std::size_t at = 0; at < list_count(s); ++at)
        if (std::uint64_t{s.first_k} + list[at] >= k)
          return wrong("entry " + std::to_string(at) + " is " + std::to_string(list[at]));
      if (s.first_k % Shape::run != 0) return wrong("k's do not start with a run");
      for (std::size_t at = 0; at < list_count(s); at += Shape::group_k)
        if (list[at] % Shape::run != 0) return wrong("entry " + std::to_string(at) + " does not start a run");
    }
    return {};
  }
};

}  // namespace sparq
