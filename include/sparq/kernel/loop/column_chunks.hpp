// SPDX-License-Identifier: MIT
#pragma once
// Weights of the columns loop in chunks: strips of 16 channels, as many as fit beside X once their codes are decoded.

#include <sparq/kernel/blocking.hpp>
#include <sparq/kernel/loop/few_rows.hpp>
#include <sparq/kernel/select.hpp>
#include <sparq/numeric/codec.hpp>
#include <sparq/tensor/packed_columns.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

/// The chunks of a packed tensor.
template <class Packed>
class column_chunks {
 public:
  using numeric_type = typename Packed::numeric_type;
  static constexpr std::size_t strip_channels = 16;
  static constexpr std::size_t strip_panels = strip_channels / Packed::shape_type::channels;

  /// - `by_sections`: panels that are cut along k are decoded a section at a time
  explicit column_chunks(const Packed& w, bool by_sections = false)
      : w_(w), per_panel_(w.sections_per_panel()), by_sections_(by_sections && may_go_by_sections && per_panel_ > 1) {
    if (per_panel_ != 0) sections_ = w.sections(0).data();
    for (std::size_t s = 0; s < strips(); ++s) largest_strip_ = (std::max)(largest_strip_, strip_codes(s));
  }

  std::size_t strips() const { return ceil_div(w_.shape().n, strip_channels); }
  std::size_t first_panel(std::size_t strip) const { return (std::min)(strip * strip_panels, w_.panels()); }

  /// Where in the stream of codes a panel starts.
  std::size_t first_code(std::size_t panel) const {
    if (per_panel_ == 0) return 0;
    if (panel < w_.panels()) return static_cast<std::size_t>(section(panel, 0).codes);
    const auto& last = section(w_.panels() - 1, per_panel_ - 1);
    return static_cast<std::size_t>(last.codes) + Packed::code_count(last);
  }
  /// Codes of all panels.
  std::size_t codes() const { return first_code(w_.panels()) - first_code(0); }
  /// Channels of the largest chunk.
  std::size_t most_channels() const { return (std::min)(strips() * strip_channels, column_blocking::chunk_channels); }
  /// The end of the chunk that starts with strip s and ends at s1 at the latest.
  std::size_t end(std::size_t s, std::size_t s1) const {
    std::size_t codes = strip_codes(s);
    std::size_t end = s + 1;
    while (end < s1 && (end + 1 - s) * strip_channels <= column_blocking::chunk_channels) {
      codes += strip_codes(end);
      if (codes > column_blocking::chunk_codes) break;
      ++end;
    }
    return end;
  }

  /// Whether codes are weights as they lie in memory.
  template <class Atom>
  static constexpr bool in_place = [] {
    if constexpr (has_tables<numeric_type>)
      return false;
    else
      return Atom::template in_place<numeric_type>;
  }();

  /// Blocks of X that are packed together.
  /// - `by_sections`: panels are cut along k
  /// - `codes`: of all weights
  template <class Atom>
  static constexpr std::size_t blocks(std::size_t block_bytes, bool by_sections, std::size_t codes) {
    constexpr bool floats_in_place = std::is_same_v<typename Atom::weight, float> && in_place<Atom>;
    return column_blocking::blocks(block_bytes, floats_in_place && !by_sections,
                                   !in_place<Atom> && codes > column_blocking::chunk_codes);
  }

  /// Whether a chunk is decoded section by section: then it has as many channels as for a short k, and X, which is
  /// long, is read no more often. Not with scales along k, whose sections are short, and not for codebooks.
  bool by_sections() const { return by_sections_; }
  static constexpr bool may_go_by_sections =
      !has_tables<numeric_type> && !scales_along_k_v<typename Packed::granularity>;

  /// Bytes of the buffer that decode needs.
  template <class Atom>
  std::size_t buffer_bytes() const {
    if (in_place<Atom>) return 0;
    const std::size_t most = (std::max)(largest_strip_, (std::min)(codes(), column_blocking::chunk_codes));
    return round_up(most * sizeof(typename Atom::weight), alignment);
  }
  /// Codes that share bytes, but no group begins inside one: they are unpacked many at a time, which is 15 times as
  /// fast as one by one.
  static constexpr bool groups_fill_bytes =
      numeric_type::bits < 8 && Packed::shape_type::group_k * numeric_type::bits % 8 == 0;
  /// The weights of strips [s, end), in memory or decoded into the buffer. @pre !by_sections() or in_place<Atom>
  template <class Atom>
  const typename Atom::weight* decode(std::size_t s, std::size_t end, typename Atom::weight* buffer) const noexcept {
    const std::size_t first = first_code(first_panel(s));
    if constexpr (in_place<Atom>) {
      return reinterpret_cast<const typename Atom::weight*>(w_.codes().data()) + first;
    } else if constexpr (has_tables<numeric_type>) {
      using code_type = typename Packed::code_type;
      constexpr std::size_t group_k = Packed::shape_type::group_k;
      const std::byte* codes = w_.codes().data();  // found once: a view reads where its arrays are
      const auto* tables = w_.table_of(0);
      const auto [n, k] = w_.shape();
      const auto look_up = [&, last = n - 1, extent = k](std::size_t channel, std::size_t code) SPARQ_LAMBDA_INLINE {
        const auto* table = tables + table_start<numeric_type>((std::min)(channel, last), 0, extent);
        typename Atom::weight* to = buffer + (code - first);
        typename code_type::code places[group_k];
        if constexpr (group_k * code_type::bits % 8 == 0)
          unpack_codes<code_type>(codes + storage_bytes<code_type>(code), places);
        else
          places[0] = load_code<code_type>(codes, code);
        SPARQ_UNROLL for (std::size_t i = 0; i < group_k; ++i)
          to[i] = static_cast<typename Atom::weight>(table[places[i] & (numeric_type::entries - 1)]);
      };
      w_.for_each_group(first_panel(s), first_panel(end), look_up);
      return buffer;
    } else {
      decode_codes<Atom>(first, first_code(first_panel(end)) - first, buffer);
      return buffer;
    }
  }
  /// The weights of section i of panels [first, last): those of panel p at to[p - first]. @pre may_go_by_sections
  template <class Atom>
  void decode_section(std::size_t first, std::size_t last, std::size_t i, typename Atom::weight* buffer,
                      const typename Atom::weight** to) const noexcept {
    for (std::size_t p = first; p < last; ++p) {
      if (!in_place<Atom> && p + 1 < last) fetch_section(p + 1, i);
      const auto begin = static_cast<std::size_t>(section(p, i).codes);
      if constexpr (in_place<Atom>) {
        to[p - first] = reinterpret_cast<const typename Atom::weight*>(w_.codes().data()) + begin;
      } else {
        const std::size_t count = section_end(p, i) - begin;
        decode_codes<Atom>(begin, count, buffer);
        to[p - first] = buffer;
        buffer += count;
      }
    }
  }

 private:
  /// w_ divides and looks its array up in every call: 1 % of a product with 98 % zeros.
  const typename Packed::section& section(std::size_t panel, std::size_t i) const {
    return sections_[panel * per_panel_ + i];
  }
  /// Codes [first, first + count) of the stream.
  template <class Atom>
  void decode_codes(std::size_t first, std::size_t count, typename Atom::weight* buffer) const noexcept {
    if constexpr (groups_fill_bytes && std::is_same_v<typename numeric_type::code, typename Atom::weight>) {
      unpack_codes<numeric_type>(w_.codes().data() + storage_bytes<numeric_type>(first), {buffer, count});
    } else if constexpr (groups_fill_bytes) {
      typename numeric_type::code piece[512];
      for (std::size_t i = 0; i < count; i += 512) {
        const std::size_t codes = (std::min)(std::size_t{512}, count - i);
        unpack_codes<numeric_type>(w_.codes().data() + storage_bytes<numeric_type>(first + i), {piece, codes});
        for (std::size_t j = 0; j < codes; ++j) buffer[i + j] = static_cast<typename Atom::weight>(piece[j]);
      }
    } else {
      for (std::size_t i = 0; i < count; ++i)
        buffer[i] = static_cast<typename Atom::weight>(load_code<numeric_type>(w_.codes().data(), first + i));
    }
  }
  /// Asks for the codes of section i of a panel. They do not lie behind those of the panel before, so nothing else
  /// fetches them in time: 2 % of a product at k = 2304.
  void fetch_section(std::size_t panel, std::size_t i) const noexcept {
    const auto* codes = reinterpret_cast<const std::uint32_t*>(w_.codes().data());
    const std::size_t end = storage_bytes<numeric_type>(section_end(panel, i));
    for (std::size_t at = storage_bytes<numeric_type>(static_cast<std::size_t>(section(panel, i).codes)); at < end;
         at += 64)
      machine::fetch_ahead(codes, at / sizeof *codes);
  }
  /// The end of the codes of section i of a panel.
  std::size_t section_end(std::size_t panel, std::size_t i) const {
    return i + 1 < per_panel_ ? static_cast<std::size_t>(section(panel, i + 1).codes) : first_code(panel + 1);
  }
  /// Codes of a strip that are decoded at once.
  std::size_t strip_codes(std::size_t s) const {
    if (!by_sections_) return first_code(first_panel(s + 1)) - first_code(first_panel(s));
    std::size_t most = 0;
    for (std::size_t i = 0; i < per_panel_; ++i) {
      std::size_t codes = 0;
      for (std::size_t p = first_panel(s); p < first_panel(s + 1); ++p)
        codes += section_end(p, i) - static_cast<std::size_t>(section(p, i).codes);
      most = (std::max)(most, codes);
    }
    return most;
  }

  Packed w_;
  std::size_t per_panel_;
  const typename Packed::section* sections_ = nullptr;
  bool by_sections_;
  std::size_t largest_strip_ = 0;
};

SPARQ_ABI_END
}  // namespace sparq
