// SPDX-License-Identifier: MIT
#pragma once
// Rows of X as an atom of the rows loop reads them: in place, packed once for all weights, or compacted for each panel
// that lists its k's, or whose channels share positions. Everything that the loop has to know of X but the products.
//
//   X, row-major      [ k 0 .. k-1 ]                       what the source gives
//   packed rows       [ elements of the atom | zeros ]     row_stride from one row to the next, some rows together

#include <sparq/kernel/blocking.hpp>
#include <sparq/kernel/loop/rows.hpp>
#include <sparq/simd/bits.hpp>
#include <sparq/simd/compact.hpp>
#include <sparq/simd/copy.hpp>
#include <sparq/tensor/packed.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// How an atom compacts rows by positions.
template <class Atom, class Window, bool Compacts>
struct compaction_of {
  using type = typename Atom::template compaction<Window>;
};
template <class Atom, class Window>
struct compaction_of<Atom, Window, false> {
  struct type {
    static constexpr bool in_words = false, reads_lines = false;
    struct pair {};
  };
};

}  // namespace machine

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
  /// Positions that the channels of a panel share compact X, where the atom says how; elsewhere it permutes.
  static constexpr bool shares_positions = machine::compacts_positions_v<Atom, window>;
  static constexpr bool permutes = window::positions_per_group != 0 && !shares_positions;
  /// Whether panels have compacted rows of their own; the loop reads them from the first element to the last.
  static constexpr bool compacts = is_list || shares_positions;
  /// The policies as far as blocks tell them apart, so that formats share the code of blocks: rows that are compacted
  /// lie like all others, unless scales along k cut them into segments.
  using loop_k_map =
      std::conditional_t<compacts, std::conditional_t<scales_along_k_v<granularity>, list, contiguous>, k_map>;
  using loop_row_select = std::conditional_t<window::is_private, row_select, all>;
  using compaction = typename machine::compaction_of<Atom, window, shares_positions>::type;
  /// Rows that are compacted by positions need no packing.
  static constexpr bool compacts_as_read = Atom::in_place || compaction::in_words;
  /// Channels with k's of their own anywhere: every strip has its own addresses.
  static constexpr bool has_windows = std::is_same_v<k_map, runs> && permutes;
  static constexpr std::size_t groups_per_word =
      groups_per_word_v<typename Packed::numeric_type, typename Packed::shape_type>;

  /// - `together`: bytes of packed X that should stay in a cache
  /// - `compacted`: the same of rows that are compacted by positions, which are some of those at a time
  /// - `block`: rows that are multiplied together
  /// - `in_lines`: whether X is read where it lies only if all rows begin with lines of a cache, spread over its sets
  packed_rows(const Packed& w, const Source& source, std::size_t together, std::size_t compacted = 1,
              std::size_t block = Atom::block_rows, bool in_lines = false)
      : w_(w), source_(source) {
    needs_no_copy_ = lies_in_place() && !in_lines;
    in_place_ = needs_no_copy_ || (lies_in_place() && begins_lines());
    std::size_t elements = round_up(w.shape().k, window::window) + (groups_per_word - 1) * window::window;
    if constexpr (is_list) {
      elements = 0;
      for (const packed_panel& panel : w.panels())
        elements = (std::max)(elements, ceil_div(panel.groups, window::groups) * window::window);
    }
    if constexpr (shares_positions) elements = measure_pairs();
    elements = machine::packed_elements<Atom>(elements);
    // 64 elements more than the groups: permutes and compaction touch whole registers
    stride_ = round_up((elements + compact_slack) * sizeof(packed_x), alignment) / sizeof(packed_x);
    if constexpr (machine::in_planes<Atom>) stride_ *= 2;
    at_once_ =
        blocking<Atom>::rows(shares_positions ? w.shape().k * sizeof(x_code) : stride_ * sizeof(packed_x), together,
                             block);
    compacted_at_once_ = (std::min)(at_once_, blocking<Atom>::rows(stride_ * sizeof(packed_x), compacted, block));
  }

  /// X is used where it lies, without a copy.
  bool in_place() const { return in_place_; }
  /// Rows that are packed together.
  std::size_t at_once() const { return at_once_; }
  /// Of these, rows that are compacted together by positions, which stay in the first-level cache.
  std::size_t compacted_at_once() const { return compacted_at_once_; }
  /// Bytes of packed rows when a part of the work has m of them, a multiple of 64, wherever X begins: a workspace that
  /// was measured suffices for any X.
  std::size_t bytes(std::size_t m) const {
    if (needs_no_copy_) return 0;
    const std::size_t rows = (std::min)(m, at_once_),
                      packed = shares_positions ? (std::min)(m, compacted_at_once()) : rows;
    return round_up(packed * stride_ * sizeof(packed_x), alignment) +
           round_up(rows * source_stride_ * sizeof(x_code), alignment);
  }
  /// Bytes of buffers that packing and compacting need beside, a multiple of 64.
  std::size_t buffer_bytes() const {
    return gathered_bytes() + compacted_bytes() + part_bytes() + pair_bytes();
  }

  /// How rows of X reach the atom.
  std::string access() const {
    if (in_place_) return "in place";
    std::string text = Source::access;
    if (compacts) text += "compacted for each panel, ";
    if constexpr (requires { Atom::x_form; }) return text + std::string(Atom::x_form);
    return text + (sizeof(packed_x) > sizeof(x_code) ? "widened to 16 bits" : "packed");
  }

  /// Packs rows [m, m + rows), unless they are read in place.
  void pack(std::size_t m, std::size_t rows, packed_x* x, std::byte* buffers) const noexcept
    requires(!compacts)
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
  void compact_to(const packed_panel& panel, std::size_t m, std::size_t rows, packed_x* x,
                  std::byte* buffers) const noexcept
    requires is_list
  {
    const std::size_t k = w_.shape().k;
    auto* gathered = reinterpret_cast<x_code*>(buffers);
    auto* compacted = reinterpret_cast<x_code*>(buffers + gathered_bytes());
    const std::uint64_t* mask = w_.mask().data() + panel.mask;
    auto cursor = source_.start(m);
    if constexpr (std::is_same_v<x_code, eight_bits>) {
      for (std::size_t r = 0; r < rows; ++r, x += stride_) {
        const std::size_t kept = compact_bits(cursor.next(gathered), mask, k, Atom::in_place ? x : compacted);
        if constexpr (!Atom::in_place) Atom::pack_row(compacted, kept, true, x);
      }
    } else {
      auto* parts =
          reinterpret_cast<typename row_compaction<x_code>::part*>(buffers + gathered_bytes() + compacted_bytes());
      const row_compaction<x_code> compact(mask, k, rows, parts);
      // what the groups reach behind the last k
      const std::size_t end = ceil_div(std::size_t{panel.groups}, window::groups) * window::window;
      for (std::size_t r = 0; r < rows; ++r, x += stride_) {
        const x_code* row = cursor.next(gathered);
        if constexpr (Atom::in_place) {
          fill_up(compact(row, x), x + end);
        } else {
          const auto kept = static_cast<std::size_t>(compact(row, compacted) - compacted);
          fill_up(x + kept, x + end);
          Atom::pack_row(compacted, kept, !permutes, x);
        }
      }
    }
  }

  /// Rows [m, m + rows) as the source has them, for all panels that compact them by positions.
  void pack(std::size_t m, std::size_t rows, packed_x* x, std::byte*) const noexcept
    requires shares_positions
  {
    if (!copies_source_) return;
    const std::size_t k = w_.shape().k;
    x_code* to = source_rows(x, rows);
    auto cursor = source_.start(m);
    for (std::size_t r = 0; r < rows; ++r, to += source_stride_) {
      const x_code* row = cursor.next(to);
      if (row != to) copy_elements(row, k, to);
      std::fill_n(to + k, source_stride_ - k, x_code{});
    }
  }

  /// What compacts rows for a panel whose channels share positions.
  struct compacting {
    const typename compaction::pair* first;
    const typename compaction::pair* end;
  };
  compacting compacting_for(const packed_panel& panel, std::byte* buffers) const noexcept
    requires shares_positions
  {
    auto* pairs = reinterpret_cast<typename compaction::pair*>(buffers);
    auto* end = pairs;
    const std::size_t k = w_.shape().k;
    for_segments(panel, [&](std::size_t first_k, std::size_t first_group, std::size_t groups) {
      const std::size_t segment = (std::min)(sparq::detail::segment_k<granularity>(k), k - first_k);
      const std::size_t filled = (std::min)(ceil_div(segment, window::window) * window::groups, groups);
      const std::uint8_t* selects = w_.selects().data() + panel.selects + first_group * Atom::group_k;
      end = compaction::make(selects, filled, groups, first_k, first_group, end);
    });
    return {pairs, end};
  }

  /// Rows [first, first + rows) of the `packed` ones from m on, as the panel keeps them.
  void compact_to(compacting by, const packed_panel& panel, std::size_t m, std::size_t packed, std::size_t first,
                  std::size_t rows, packed_x* x, std::byte* buffers) const noexcept
    requires shares_positions
  {
    std::size_t stride = source_stride_;
    const x_code* from = source_rows(x, packed) + first * stride;
    if constexpr (Source::in_memory)
      if (!copies_source_) from = source_.x.row(m + first), stride = source_.x.stride;
    if constexpr (compacts_as_read) {
      compaction::run(from, stride, rows, by.first, by.end, x, stride_);
    } else {
      auto* compacted =
          reinterpret_cast<x_code*>(buffers + round_up(pairs_ * sizeof(typename compaction::pair), alignment));
      for (std::size_t r = 0; r < rows; ++r, from += stride, x += stride_) {
        compaction::run(from, stride, 1, by.first, by.end, compacted, 0);
        Atom::pack_row(compacted, std::size_t{panel.groups} * Atom::group_k, true, x);
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
  /// f(first k, first group, groups) for every segment of a panel's groups.
  template <class F>
  void for_segments(const packed_panel& panel, F f) const {
    if constexpr (scales_along_k_v<granularity>) {
      const std::size_t segment = sparq::detail::segment_k<granularity>(w_.shape().k),
                        count = ceil_div(w_.shape().k, segment);
      const index_t* groups = w_.segments().data() + static_cast<std::size_t>(&panel - w_.panels().data()) * count;
      for (std::size_t s = 0, first = 0; s < count; first += groups[s++]) f(s * segment, first, std::size_t{groups[s]});
    } else {
      f(std::size_t{0}, std::size_t{0}, std::size_t{panel.groups});
    }
  }

  /// Measures what compacts rows by positions, and returns the elements of a compacted row.
  std::size_t measure_pairs() {
    const std::size_t k = w_.shape().k;
    std::size_t end = 0, elements = 0;  // `end`: bytes of X that pairs touch
    for (const packed_panel& panel : w_.panels()) {
      std::size_t pairs = 0;
      for_segments(panel, [&](std::size_t first_k, std::size_t, std::size_t groups) {
        pairs += compaction::pairs(groups);
        end = (std::max)(end, first_k * sizeof(x_code) + compaction::touched(groups));
      });
      pairs_ = (std::max)(pairs_, pairs);
      elements = (std::max)(elements, std::size_t{panel.groups} * Atom::group_k);
    }
    copies_source_ = !Source::in_memory || end > k * sizeof(x_code) || (compaction::reads_lines && !begins_lines());
    if (copies_source_ || compaction::reads_lines)
      source_stride_ = round_up((std::max)(end, (k + compact_slack) * sizeof(x_code)), alignment) / sizeof(x_code);
    return elements;
  }
  /// Where source rows are copied to: behind the compacted ones.
  x_code* source_rows(packed_x* x, std::size_t rows) const {
    const std::size_t compacted = (std::min)(rows, compacted_at_once());
    return reinterpret_cast<x_code*>(reinterpret_cast<std::byte*>(x) +
                                     round_up(compacted * stride_ * sizeof(packed_x), alignment));
  }

  /// Zeros behind the k's of a row that are kept, up to `end`: mostly a few, and a call for them would take as long as
  /// compacting 64 k's. @pre compact_slack elements more belong to the row
  static void fill_up(packed_x* from, packed_x* end) noexcept {
    if (end - from <= static_cast<std::ptrdiff_t>(compact_slack))
      std::fill_n(from, compact_slack, packed_x{});
    else
      std::fill(from, end, packed_x{});
  }

  bool lies_in_place() const {
    if constexpr (!Atom::in_place || !Source::in_memory || compacts) {
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

  /// Whether all rows begin with lines, but not with lines that meet in few sets of the first-level cache. Who asks
  /// without an X is answered for one that lies anywhere.
  bool begins_lines() const {
    if constexpr (Source::in_memory) {
      const std::size_t stride = source_.x.stride * sizeof(x_code);
      const auto first = reinterpret_cast<std::uintptr_t>(source_.x.data);
      return first != 0 && (first | stride) % alignment == 0 && stride % 2048 != 0;
    } else {
      return false;
    }
  }

  std::size_t one_row_bytes() const { return round_up((w_.shape().k + compact_slack) * sizeof(x_code), alignment); }
  /// A row that the source gathers, unless it can be gathered where the packed row belongs.
  std::size_t gathered_bytes() const {
    return Source::in_memory || shares_positions || (Atom::in_place && !is_list) ? 0 : one_row_bytes();
  }
  /// A row that is compacted before it is packed, and what compacts it, of panels that list their k's.
  std::size_t compacted_bytes() const { return is_list && !Atom::in_place ? one_row_bytes() : 0; }
  std::size_t part_bytes() const {
    using compaction_of_rows = row_compaction<x_code>;
    return is_list ? round_up(compaction_of_rows::parts(w_.shape().k) * sizeof(typename compaction_of_rows::part),
                              alignment)
                   : 0;
  }
  /// What compacts rows of a panel by positions, and a row that is packed behind it.
  std::size_t pair_bytes() const {
    if constexpr (shares_positions) {
      const std::size_t pairs = round_up(pairs_ * sizeof(typename compaction::pair), alignment);
      return pairs + (compacts_as_read ? 0 : round_up((stride_ + compact_slack) * sizeof(x_code), alignment));
    } else {
      return 0;
    }
  }

  Packed w_;
  Source source_;
  bool in_place_ = false;
  bool needs_no_copy_ = false;  // wherever X begins
  std::size_t stride_ = 0;
  std::size_t at_once_ = 0;
  std::size_t compacted_at_once_ = 0;
  bool copies_source_ = false;     // rows that are compacted by positions, which lie in place otherwise
  std::size_t source_stride_ = 0;  // of the copies, 0 where no X asks for them
  std::size_t pairs_ = 0;
};

SPARQ_ABI_END
}  // namespace sparq
