// SPDX-License-Identifier: MIT
#pragma once
// The columns loop for few rows of X: lanes hold k's of one row. It reads the same packed weights as column_loop.

#include <sparq/kernel/epilogue/epilogue.hpp>
#include <sparq/kernel/loop/column_chunks.hpp>
#include <sparq/kernel/loop/columns.hpp>
#include <sparq/kernel/loop/section_scaling.hpp>
#include <sparq/kernel/source/source.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

/// One operation of few rows; see panel_loop.
template <class Packed, class Atom, class Source, class Y, class Epilogue>
class gather_loop {
 public:
  using x_code = typename Atom::x_code;
  using packed_x = typename Atom::packed_x;
  using weight = typename Atom::weight;
  using acc_type = typename Atom::acc_type;
  using chunks = column_chunks<Packed>;
  static constexpr std::size_t channels = Packed::shape_type::channels;

  static constexpr bool is_grouped = scales_along_k_v<typename Packed::granularity>;
  using sum_type = std::conditional_t<is_grouped, float, acc_type>;

  gather_loop(const Packed& w, const Source& source, Y y, const Epilogue& stages, std::int32_t zero_point = 0)
      : w_(w), source_(source), y_(y), stages_(stages), chunks_(w), scaling_(w, -zero_point) {}

  std::size_t scratch_bytes(std::size_t m) const {
    return x_bytes(m) + gathered_bytes() + chunks_.template buffer_bytes<Atom>() + tile_bytes(m);
  }

  /// Computes rows [m0, m1) of the channels in strips [s0, s1). @pre scratch has scratch_bytes(m1 - m0)
  void run(std::size_t m0, std::size_t m1, std::size_t s0, std::size_t s1, std::byte* scratch) const noexcept {
    const std::size_t rows = m1 - m0;
    auto* x = reinterpret_cast<packed_x*>(scratch);
    std::byte* gathered = scratch + x_bytes(rows);
    auto* buffer = reinterpret_cast<weight*>(gathered + gathered_bytes());
    auto* tile = reinterpret_cast<sum_type*>(reinterpret_cast<std::byte*>(buffer) +
                                             chunks_.template buffer_bytes<Atom>());
    pack_x(m0, rows, x, reinterpret_cast<x_code*>(gathered));
    for (std::size_t s = s0; s < s1;) {
      const std::size_t end = chunks_.end(s, s1);
      const weight* weights = chunks_.template decode<Atom>(s, end, buffer);
      const std::size_t first = chunks_.first_code(chunks_.first_panel(s));
      for (; s < end; ++s) {
        std::fill_n(tile, rows * chunks::strip_channels, sum_type{});
        for (std::size_t p = chunks_.first_panel(s); p < chunks_.first_panel(s + 1); ++p)
          for (std::size_t i = 0; i < w_.sections_per_panel(); ++i)
            for (std::size_t r = 0; r < rows; ++r)
              add_section(p, i, x + r * row_stride(), weights - first,
                          tile + r * chunks::strip_channels + (p - chunks_.first_panel(s)) * channels);
        const std::size_t channel = s * chunks::strip_channels;
        store_tile(tile, chunks::strip_channels, rows, (std::min)(chunks::strip_channels, w_.shape().n - channel), 0,
                   y_, lane_position{m0, channel, 0, w_.weight_sums().data()}, stages_);
      }
    }
  }

 private:
  std::size_t row_stride() const { return round_up(w_.shape().k + 64, 64); }
  std::size_t x_bytes(std::size_t m) const { return m * row_stride() * sizeof(packed_x); }
  std::size_t gathered_bytes() const {
    return Source::in_memory && !Source::is_k_major ? 0 : round_up(row_stride() * sizeof(x_code), alignment);
  }
  static std::size_t tile_bytes(std::size_t m) { return m * chunks::strip_channels * sizeof(acc_type); }

  void add_section(std::size_t panel, std::size_t i, const packed_x* x, const weight* weights,
                   sum_type* sums) const noexcept {
    const auto& section = w_.sections(panel)[i];
    const auto gather = [&](acc_type* to) {
      gather_section<Atom, channels>(section, x + section.first_k, w_.lists().data() + section.lists,
                                     weights + section.codes, to);
    };
    if constexpr (is_grouped) {
      acc_type unscaled[channels] = {};
      gather(unscaled);
      scaling_.add(panel, i, unscaled, 1, 1, sums);
    } else {
      gather(sums);
    }
  }

  void pack_x(std::size_t m, std::size_t rows, packed_x* x, x_code* gathered) const noexcept {
    const std::size_t k = w_.shape().k;
    if constexpr (Source::is_k_major) {
      for (std::size_t r = 0; r < rows; ++r) {
        source_.row(m + r, gathered);
        Atom::pack_row(gathered, k, x + r * row_stride());
      }
    } else {
      auto cursor = source_.start(m);
      for (std::size_t r = 0; r < rows; ++r) Atom::pack_row(cursor.next(gathered), k, x + r * row_stride());
    }
  }

  Packed w_;
  Source source_;
  Y y_;
  Epilogue stages_;
  chunks chunks_;
  machine::section_scaling<Packed> scaling_;
};

SPARQ_ABI_END
}  // namespace sparq
