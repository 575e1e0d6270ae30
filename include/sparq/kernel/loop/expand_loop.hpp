// SPDX-License-Identifier: MIT
#pragma once
// The rows loop over weights that are packed as a bitmask: pieces of some strips are expanded to words in the
// first-level cache, where all rows of X meet them. Only bits and non-zero codes come from memory,
// which is what few rows wait for.
//
//   for each block of rows:                       // packed X stays in the second-level cache
//     for each few strips:  for each section:     // 16 KB of words
//       decode, if codes are no whole bytes; expand -> words        // a codebook: and look up
//       for each block_rows rows:  rows_block -> sums               // scales along k: scaled_rows_block -> floats
//     epilogue -> Y
//
// Few rows of X meet words of bytes in registers, where the CPU expands them there (expand_rows.hpp).

#include <sparq/kernel/blocking.hpp>
#include <sparq/kernel/epilogue/epilogue.hpp>
#include <sparq/kernel/loop/expand_entries.hpp>
#include <sparq/kernel/loop/expand_rows.hpp>
#include <sparq/kernel/loop/rows.hpp>
#include <sparq/kernel/loop/scaled_rows.hpp>
#include <sparq/kernel/select.hpp>
#include <sparq/kernel/source/source.hpp>
#include <sparq/simd/expand.hpp>
#include <sparq/simd/wrapping.hpp>
#include <sparq/tensor/packed_bitmask.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

/// One operation; see panel_loop.
template <class Packed, class Atom, class Source, class Y, class Epilogue>
class expand_loop {
 public:
  using x_code = typename Atom::x_code;
  using packed_x = typename Atom::packed_x;
  using acc_type = typename Atom::acc_type;
  using numeric_type = typename Packed::numeric_type;
  using decoded = machine::expanded_t<numeric_type>;
  using shape_type = typename Packed::shape_type;
  static constexpr std::size_t channels = shape_type::channels;
  static constexpr std::size_t block_rows = Atom::block_rows;
  static constexpr std::size_t strip_registers = channels / Atom::lanes;
  static constexpr std::size_t registers = (std::min)(blocking<Atom>::registers, strip_registers);
  static constexpr std::size_t block_channels = registers * Atom::lanes;

  /// Scales along k: sums are scaled section by section and arrive as floats.
  using granularity = typename Packed::granularity;
  static constexpr bool is_grouped = scales_along_k_v<granularity>;
  using sum_type = std::conditional_t<is_grouped, float, acc_type>;

  /// - `zero_point`: as in panel_loop
  expand_loop(const Packed& w, const Source& source, Y y, const Epilogue& stages, std::int32_t zero_point = 0)
      : w_(w), source_(source), y_(y), stages_(stages), scale_factor_(Atom::weight_sum_factor - zero_point) {
    const std::size_t k = w.shape().k;
    reads_in_place_ = Atom::in_place && Source::in_memory && k % shape_type::group_k == 0;
    row_stride_ = round_up((round_up(k, shape_type::group_k) + 16) * sizeof(packed_x), alignment) / sizeof(packed_x);
    cached_rows_ = blocking<Atom>::rows(row_stride_ * sizeof(packed_x));
  }

  std::string_view loop_name() const {
    return in_registers && y_.rows <= expanded_rows ? "rows, expanding in registers" : "rows, expanding";
  }
  std::string_view atom_name() const { return Atom::name; }
  /// How rows of X reach the atom.
  std::string x_access() const {
    if (reads_in_place_) return "in place";
    return std::string(Source::access) + (sizeof(packed_x) > sizeof(x_code) ? "widened" : "packed");
  }
  std::size_t cached_rows() const { return cached_rows_; }
  std::size_t strips() const { return w_.strips(); }

  /// Bytes of scratch that one part of the work needs, a multiple of 64.
  std::size_t scratch_bytes(std::size_t m) const {
    return x_bytes(m) + gathered_bytes() + sums_bytes(m) + words_bytes + decoded_bytes;
  }

  /// Computes rows [m0, m1) of the channels in strips [s0, s1). @pre scratch has scratch_bytes(m1 - m0)
  void run(std::size_t m0, std::size_t m1, std::size_t s0, std::size_t s1, std::byte* scratch) const noexcept {
    auto* packed = reinterpret_cast<packed_x*>(scratch);
    std::byte* gathered = scratch + x_bytes(m1 - m0);
    auto* sums = reinterpret_cast<sum_type*>(gathered + gathered_bytes());
    std::byte* words = gathered + gathered_bytes() + sums_bytes(m1 - m0);
    const std::size_t pass = blocking<Atom>::rows_of_pass(m1 - m0, cached_rows_);
    for (std::size_t m = m0; m < m1; m += pass) {
      const std::size_t rows = (std::min)(pass, m1 - m);
      const packed_x* x = packed;
      std::size_t ldx = row_stride_;
      if (!reads_in_place_) pack_rows(m, rows, packed, reinterpret_cast<x_code*>(gathered));
      if constexpr (Source::in_memory && Atom::in_place)
        if (reads_in_place_) {
          x = source_.x.row(m);
          ldx = source_.x.stride;
        }
      for (std::size_t s = s0; s < s1; s += strips_together) {
        const std::size_t together = (std::min)(strips_together, s1 - s);
        multiply_strips(s, together, rows, x, ldx, sums, words);
        const std::size_t channel = s * channels;
        store_tile(sums, sums_stride, rows, (std::min)(together * channels, w_.shape().n - channel),
                   is_grouped ? 0 : Atom::weight_sum_factor, y_, lane_position{m, channel, 0, w_.weight_sums().data()},
                   stages_);
      }
    }
  }

 private:
  using element = std::conditional_t<numeric_type::is_integer, std::uint8_t, float>;
  /// Codes that need no decoding to be expanded.
  static constexpr bool in_place = !has_tables<numeric_type> && numeric_type::bits == 8 * sizeof(element);
  static constexpr bool in_registers = in_place && machine::multiplies_expanded_v<Atom>;
  static constexpr std::size_t section_codes = Packed::section_k * channels;
  /// Groups of scales in a section.
  static constexpr std::size_t section_segments = [] {
    if constexpr (is_grouped)
      return Packed::section_k / granularity::group;
    else
      return std::size_t{1};
  }();
  /// As many strips as 16 KB of words hold; one row of X needs that many sums to keep the atom busy. Sections of long
  /// groups of scales are longer.
  static constexpr std::size_t strips_together =
      std::clamp<std::size_t>(16 * 1024 / (section_codes * sizeof(element)), 1, sizeof(element) == 1 ? 4 : 2);
  static constexpr std::size_t sums_stride = strips_together * channels;
  static constexpr std::size_t words_bytes = strips_together * section_codes * sizeof(element);
  static constexpr std::size_t decoded_bytes = in_place ? 0 : section_codes * sizeof(element) + expand_slack;
  static_assert(expand_slack <= sparq::detail::bitmask_slack,
                "sparq: expanding reads beyond the packed codes; raise bitmask_slack");

  std::size_t x_bytes(std::size_t m) const {
    return reads_in_place_ ? 0 : round_up((std::min)(m, cached_rows_) * row_stride_ * sizeof(packed_x), alignment);
  }
  std::size_t gathered_bytes() const {
    return Source::in_memory ? 0 : round_up((w_.shape().k + 64) * sizeof(x_code), alignment);
  }
  std::size_t sums_bytes(std::size_t m) const {
    return (std::min)(m, cached_rows_) * sums_stride * sizeof(sum_type);
  }

  void pack_rows(std::size_t m, std::size_t rows, packed_x* x, x_code* gathered) const noexcept {
    const std::size_t k = w_.shape().k;
    auto cursor = source_.start(m);
    for (std::size_t r = 0; r < rows; ++r, x += row_stride_) {
      std::memset(x + k, 0, (row_stride_ - k) * sizeof(packed_x));
      Atom::pack_row(cursor.next(gathered), k, true, x);
    }
  }

  void multiply_strips(std::size_t s, std::size_t together, std::size_t rows, const packed_x* x, std::size_t ldx,
                       sum_type* sums, std::byte* buffer) const noexcept {
    if constexpr (in_registers) {
      if (rows <= expanded_rows && w_.sections_per_strip() != 0)
        return expand_rows<Atom>(w_, s, together, rows, x, ldx, sums, sums_stride, scale_factor_);
    }
    add_sections(s, together, rows, x, ldx, sums, buffer);
  }

  void add_sections(std::size_t s, std::size_t together, std::size_t rows, const packed_x* x, std::size_t ldx,
                    sum_type* sums, std::byte* buffer) const noexcept {
    auto* words = reinterpret_cast<element*>(buffer);
    if (w_.sections_per_strip() == 0) std::fill_n(sums, rows * sums_stride, sum_type{});
    for (std::size_t i = 0; i < w_.sections_per_strip(); ++i) {
      for (std::size_t j = 0; j < together; ++j)
        expand_section(s + j, i, words + j * section_codes, buffer + words_bytes);
      const std::size_t first_k = i * Packed::section_k;
      block_weights block;
      block.words = reinterpret_cast<const std::uint32_t*>(words);
      block.strip_words = section_codes * sizeof(element) / sizeof(std::uint32_t);
      block.groups = ceil_div((std::min)(Packed::section_k, w_.shape().k - first_k), shape_type::group_k);
      [[maybe_unused]] std::array<index_t, section_segments> segments;
      [[maybe_unused]] const block_scales scales = scales_of(s, i, segments);
      for (std::size_t r = 0; r < rows;) {
        const std::size_t height = next_block_height<Atom>(rows - r);
        if constexpr (is_grouped)
          multiply_scaled(height, together, x + r * ldx + first_k, ldx, block, scales, sums + r * sums_stride);
        else
          multiply(height, together, x + r * ldx + first_k, ldx, block, i == 0, sums + r * sums_stride);
        r += height;
      }
    }
  }

  /// The scales of section i of the strips from s on. - `segments`: memory for the groups of each
  block_scales scales_of([[maybe_unused]] std::size_t s, [[maybe_unused]] std::size_t i,
                         [[maybe_unused]] std::array<index_t, section_segments>& segments) const noexcept {
    if constexpr (is_grouped) {
      constexpr std::size_t group = granularity::group;
      const std::size_t strip = w_.segments_per_strip() * channels;
      block_scales result = block_scales::of(w_, s * strip + i * section_segments * channels, strip, scale_factor_);
      const std::size_t length = (std::min)(Packed::section_k, w_.shape().k - i * Packed::section_k);
      result.count = ceil_div(length, group);
      for (std::size_t j = 0; j < result.count; ++j)
        segments[j] = static_cast<index_t>(ceil_div((std::min)(group, length - j * group), shape_type::group_k));
      result.segments = segments.data();
      result.adds = i != 0;
      return result;
    } else {
      return {};
    }
  }

  /// The same as multiply, of a section whose sums are scaled.
  void multiply_scaled(std::size_t height, std::size_t together, const packed_x* x, std::size_t ldx,
                       const block_weights& block, const block_scales& scales, float* sums) const noexcept {
    if constexpr (machine::groups_at_once<Atom> == 0)
      if (height == 1 && together == strips_together)
        return scaled_rows_block<Atom, decoded, shape_type, contiguous, all, 1, strips_together * strip_registers>(
            x, ldx, block, scales, sums, sums_stride);
    for (std::size_t c = 0; c < together * channels; c += block_channels)
      scaled_rows_block<Atom, decoded, shape_type, contiguous, all, registers>(
          height, x, ldx, block.from(c, channels), scales.template from<numeric_type>(c, channels), sums + c,
          sums_stride);
  }

  /// Sets or adds the sums of `height` rows of X and all expanded strips.
  void multiply(std::size_t height, std::size_t together, const packed_x* x, std::size_t ldx,
                const block_weights& block, bool first, acc_type* sums) const noexcept {
    alignas(alignment) acc_type tile[block_rows * sums_stride];
    acc_type* to = first ? sums : tile;
    constexpr bool adds_in_parts = machine::groups_at_once<Atom> != 0;
    if (!adds_in_parts && height == 1 && together == strips_together) {
      if constexpr (!adds_in_parts)
        rows_block<Atom, decoded, shape_type, contiguous, all, 1, strips_together * strip_registers>(x, ldx, block, to,
                                                                                                    sums_stride);
    } else {
      for (std::size_t c = 0; c < together * channels; c += block_channels)
        rows_block<Atom, decoded, shape_type, contiguous, all, registers>(height, x, ldx, block.from(c, channels),
                                                                          to + c, sums_stride);
    }
    if (first) return;
    for (std::size_t r = 0; r < height * sums_stride; r += sums_stride)
      for (std::size_t c = 0; c < together * channels; ++c) sums[r + c] = machine::plus(sums[r + c], tile[r + c]);
  }

  void expand_section(std::size_t strip, std::size_t section, element* words, std::byte* buffer) const noexcept {
    [[maybe_unused]] const auto masks = w_.masks(strip, section);
    [[maybe_unused]] const std::byte* codes = w_.codes(strip, section);
    if constexpr (has_tables<numeric_type>) {
      expand_entries(w_, strip, section, words, buffer);
    } else if constexpr (in_place) {
      expand(reinterpret_cast<const element*>(codes), masks.data(), masks.size(), words);
    } else {
      std::size_t count = 0;
      for (const std::uint64_t mask : masks) count += static_cast<std::size_t>(std::popcount(mask));
      auto* values = reinterpret_cast<element*>(buffer);
      decode(codes, count, values);
      expand<element>(values, masks.data(), masks.size(), words);
    }
  }
  static void decode(const std::byte* codes, std::size_t count, element* values) noexcept {
    using code = typename numeric_type::code;
    if constexpr (sizeof(code) == sizeof(element))
      unpack_codes<numeric_type>(codes, {reinterpret_cast<code*>(values), count});
    else
      machine::widen_floats(reinterpret_cast<const code*>(codes), count, values);
  }

  Packed w_;
  Source source_;
  Y y_;
  Epilogue stages_;
  bool reads_in_place_ = false;
  std::size_t row_stride_ = 0;
  std::size_t cached_rows_ = 0;
  std::int32_t scale_factor_;
};

SPARQ_ABI_END
}  // namespace sparq
