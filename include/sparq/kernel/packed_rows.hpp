// SPDX-License-Identifier: MIT
#pragma once
// Rows of X as an atom of the rows loop reads them: in place, packed once for all weights, or compacted for each panel that
// lists its k's. Everything that the loop has to know of X but the products.
//
//   X, row-major      [ k 0 .. k-1 ]                       what the source gives
//   packed rows       [ elements of the atom | zeros ]     row_stride from one row to the next, some rows together

#include <sparq/kernel/blocking.hpp>
#include <sparq/kernel/rows.hpp>
#include <sparq/simd/bits.hpp>
#include <sparq/simd/compact.hpp>
#include <sparq/tensor/packed.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

/// The side of X of one operation. Refers to weights and a source that outlive it.
template <class Packed, class Atom, class Source>
class packed_rows {
 public:
  using x_code = typename Atom::x_code;
  using packed_x = typename Atom::packed_x;
  using k_map = typename Packed::k_map;
  using row_select = typename Packed::row_select;
  using granularity = typename Packed::granularity;
  using window = detail::window_of<row_select, k_map, Atom::group_k>;
  static constexpr bool is_list = std::is_same_v<k_map, list>;
  static constexpr bool permutes = window::positions_per_group != 0;
  /// Channels with k's of their own anywhere: every strip has its own addresses.
  static constexpr bool has_windows = std::is_same_v<k_map, runs> && permutes;
  static constexpr std::size_t groups_per_word =
      groups_per_word_v<typename Packed::numeric_type, typename Packed::panel_shape_type>;

  /// - `together`: bytes of packed X that should stay in a cache
  packed_rows(const Packed& w, const Source& source, std::size_t together) : w_(w), source_(source) {
    in_place_ = lies_in_place();
    std::size_t elements = round_up(w.shape().k, window::window) + (groups_per_word - 1) * window::window;
    if constexpr (is_list) {
      elements = 0;
      for (const packed_panel& panel : w.panels())
        elements = (std::max)(elements, ceil_div(panel.groups, window::groups) * window::window);
    }
    elements = machine::packed_elements<Atom>(elements);
    // 64 elements more than the groups: permutes and compaction touch whole registers
    stride_ = round_up((elements + compact_slack) * sizeof(packed_x), alignment) / sizeof(packed_x);
    if constexpr (machine::in_planes<Atom>) stride_ *= 2;
    at_once_ = blocking<Atom>::rows(stride_ * sizeof(packed_x), together);
  }

  /// X is used where it lies, without a copy.
  bool in_place() const { return in_place_; }
  /// Rows that are packed together.
  std::size_t at_once() const { return at_once_; }
  /// Bytes of packed rows when a part of the work has m of them, a multiple of 64.
  std::size_t bytes(std::size_t m) const {
    return in_place_ ? 0 : round_up((std::min)(m, at_once_) * stride_ * sizeof(packed_x), alignment);
  }
  /// Bytes of buffers that packing and compacting need beside, a multiple of 64.
  std::size_t buffer_bytes() const {
    return gathered_bytes() + (is_list && !Atom::in_place ? one_row_bytes() : 0);
  }

  /// How rows of X reach the atom.
  std::string access() const {
    if (in_place_) return "in place";
    std::string text = Source::access;
    if (is_list) text += "compacted for each panel, ";
    if constexpr (requires { Atom::x_form; }) return text + std::string(Atom::x_form);
    return text + (sizeof(packed_x) > sizeof(x_code) ? "widened to 16 bits" : "packed");
  }

  /// Packs rows [m, m + rows), unless they are read in place.
  void pack(std::size_t m, std::size_t rows, packed_x* x, std::byte* buffers) const noexcept
    requires(!is_list)
  {
    if (in_place_) return;
    const std::size_t k = w_.shape().k;
    const std::size_t end = machine::packed_elements<Atom>(k);
    auto cursor = source_.start(m);
    for (std::size_t r = 0; r < rows; ++r, x += stride_) {
      if constexpr (Atom::in_place) {
        const x_code* row = cursor.next(x);
        if (row != x) Atom::pack_row(row, k, !permutes, x);
        std::fill_n(x + end, stride_ - end, packed_x{});
      } else {
        const x_code* row = cursor.next(reinterpret_cast<x_code*>(buffers));
        std::fill_n(x + end, stride_ - end, packed_x{});
        if constexpr (machine::in_planes<Atom>)
          Atom::pack_row(row, k, stride_ / 2, x);
        else
          Atom::pack_row(row, k, !permutes, x);
      }
    }
  }

  /// The k's of a panel that lists them, of rows [m, m + rows).
  void compact_to(const packed_panel& panel, std::size_t m, std::size_t rows, packed_x* x, std::byte* buffers) const noexcept
    requires is_list
  {
    const std::size_t k = w_.shape().k;
    auto* gathered = reinterpret_cast<x_code*>(buffers);
    auto* compacted = reinterpret_cast<x_code*>(buffers + gathered_bytes());
    const std::uint64_t* mask = w_.mask().data() + panel.mask;
    [[maybe_unused]] const bool few = keeps_few(mask, k);
    auto cursor = source_.start(m);
    for (std::size_t r = 0; r < rows; ++r, x += stride_) {
      const x_code* row = cursor.next(gathered);
      if constexpr (std::is_same_v<x_code, eight_bits>) {
        const std::size_t kept = compact_bits(row, mask, k, Atom::in_place ? x : compacted);
        if constexpr (!Atom::in_place) Atom::pack_row(compacted, kept, true, x);
      } else if constexpr (Atom::in_place) {
        packed_x* end = compact(row, mask, k, x, few);
        std::fill_n(end, window::window, packed_x{});
      } else {
        const auto kept = static_cast<std::size_t>(compact(row, mask, k, compacted, few) - compacted);
        std::fill_n(x + kept, window::window, packed_x{});
        Atom::pack_row(compacted, kept, !permutes, x);
      }
    }
  }

  /// Where the atom finds rows from m on, and from one to the next. `packed`: they, if they are packed
  struct place {
    const packed_x* x;
    std::size_t stride;
  };
  place at(std::size_t m, const packed_x* packed) const noexcept {
    if constexpr (Source::in_memory && Atom::in_place)
      if (in_place_) return {source_.x.row(m), source_.x.stride};
    static_cast<void>(m);
    return {packed, stride_};
  }

 private:
  bool lies_in_place() const {
    if constexpr (!Atom::in_place || !Source::in_memory || is_list) {
      return false;
    } else {
      const std::size_t k = w_.shape().k;
      if constexpr (permutes) {
        using selector = typename Atom::template selector<machine::x_reader<Atom, k_map, row_select>::reach>;
        if (selector::chunk * selector::chunks != window::window) return false;
      }
      if constexpr (has_windows) return k >= window::window;  // none leads beyond X
      const std::size_t segment = scales_along_k_v<granularity> ? sparq::detail::segment_k<granularity>(k) : k;
      return k % window::window == 0 &&
             (std::is_same_v<k_map, runs> || (k / window::window * window::groups % groups_per_word == 0 &&
                                              segment / window::window * window::groups % groups_per_word == 0));
    }
  }

  std::size_t one_row_bytes() const { return round_up((w_.shape().k + compact_slack) * sizeof(x_code), alignment); }
  /// A row that the source gathers, unless it can be gathered where the packed row belongs.
  std::size_t gathered_bytes() const {
    return Source::in_memory || (Atom::in_place && !is_list) ? 0 : one_row_bytes();
  }

  Packed w_;
  Source source_;
  bool in_place_ = false;
  std::size_t stride_ = 0;
  std::size_t at_once_ = 0;
};

SPARQ_ABI_END
}  // namespace sparq
