// SPDX-License-Identifier: MIT
#pragma once
// What surrounds the columns loop: blocks of X that are packed k-major, weights that are decoded once for many rows,
// and sums that are turned back into rows of Y.
//
//   for each super-block of rows:                     // X fits into the second-level cache
//     pack X: [block of rows][k][row]
//     for each chunk of channels:                     // decoded weights fit beside it
//       decode the chunk's codes
//       for each block of rows:  for each section of k:  for each panel of the chunk:  add_section
//         for each 16 channels:  transpose the sums, unless Y takes them by columns -> epilogue -> Y
//
// Panels that are cut along k for the first-level cache go by sections instead:
// a chunk keeps the sums of all its blocks.
//
//       for each section of k:
//         decode the section's codes
//         for each block of rows:  for each panel of the chunk:  add_section

#include <sparq/kernel/blocking.hpp>
#include <sparq/kernel/epilogue/epilogue.hpp>
#include <sparq/kernel/loop/column_chunks.hpp>
#include <sparq/kernel/loop/columns.hpp>
#include <sparq/kernel/loop/gather_loop.hpp>
#include <sparq/kernel/loop/section_scaling.hpp>
#include <sparq/kernel/select.hpp>
#include <sparq/kernel/source/source.hpp>
#include <sparq/simd/transpose.hpp>
#include <sparq/tensor/packed_columns.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

/// One operation: everything the loop needs besides its range. Strips are 16 channels, the unit in which work is
/// divided. A Y of very few rows is left to gather_loop.
template <class Packed, class Atom, class Source, class Y, class Epilogue>
class column_loop {
 public:
  using x_code = typename Atom::x_code;
  using packed_x = typename Atom::packed_x;
  using weight = typename Atom::weight;
  using acc_type = typename Atom::acc_type;
  using numeric_type = typename Packed::numeric_type;
  static constexpr std::size_t channels = Packed::shape_type::channels;
  using chunks = column_chunks<Packed>;
  static constexpr std::size_t strip_channels = chunks::strip_channels;
  static constexpr std::size_t block_rows = Atom::lanes * Atom::registers;
  static constexpr std::size_t block_channels = channels;
  using gather_atom = gather_atom_for<numeric_of_t<x_code>, numeric_type, typename Packed::shape_type>;

  /// Scales along k: sums are scaled section by section and end as floats.
  static constexpr bool is_grouped = scales_along_k_v<typename Packed::granularity>;
  using sum_type = std::conditional_t<is_grouped, float, acc_type>;

  /// - `zero_point`: as in panel_loop
  column_loop(const Packed& w, const Source& source, Y y, const Epilogue& stages, std::int32_t zero_point = 0)
      : w_(w), source_(source), y_(y), stages_(stages), chunks_(w, true), gather_(w, source, y, stages, zero_point),
        scaling_(w, Atom::weight_sum_factor - zero_point) {
    gathers_ = y.rows <= machine::gathered_rows<Atom>;
    const std::size_t block_bytes = x_k() * block_rows * sizeof(packed_x);
    cached_rows_ = chunks::template blocks<Atom>(block_bytes, chunks_.by_sections(), chunks_.codes()) * block_rows;
  }

  std::string_view loop_name() const { return gathers_ ? "columns, gathering" : "columns"; }
  std::string_view atom_name() const { return gathers_ ? gather_atom::name : Atom::name; }
  /// How rows of X reach the atom.
  std::string x_access() const {
    const std::string text = Source::access;
    const std::size_t element_bytes = gathers_           ? sizeof(typename gather_atom::packed_x)
                                      : has_few(y_.rows) ? sizeof(few_x)
                                                         : sizeof(packed_x);
    return text + (Source::is_k_major || gathers_ ? "copied" : "transposed") +
           (element_bytes > sizeof(x_code) ? " and widened to 16 bits" : "");
  }
  std::size_t cached_rows() const { return cached_rows_; }
  std::size_t strips() const { return chunks_.strips(); }

  /// Bytes of scratch that one part of the work needs, a multiple of 64.
  std::size_t scratch_bytes(std::size_t m) const {
    if (gathers_) return gather_.scratch_bytes(m);
    return x_bytes(m) + gathered_bytes() + chunks_.template buffer_bytes<Atom>() + tile_bytes(m);
  }

  /// Computes rows [m0, m1) of the channels in strips [s0, s1). @pre scratch has scratch_bytes(m1 - m0)
  void run(std::size_t m0, std::size_t m1, std::size_t s0, std::size_t s1, std::byte* scratch) const noexcept {
    if (gathers_) return gather_.run(m0, m1, s0, s1, scratch);
    auto* x = reinterpret_cast<packed_x*>(scratch);
    auto* gathered = reinterpret_cast<x_code*>(scratch + x_bytes(m1 - m0));
    auto* weights = reinterpret_cast<weight*>(reinterpret_cast<std::byte*>(gathered) + gathered_bytes());
    auto* tile = reinterpret_cast<sum_type*>(reinterpret_cast<std::byte*>(weights) +
                                             chunks_.template buffer_bytes<Atom>());
    for (std::size_t m = m0; m < m1; m += cached_rows_) {
      const std::size_t rows = (std::min)(cached_rows_, m1 - m);
      pack_x(m, rows, x, gathered);
      for (std::size_t s = s0; s < s1;) {
        const std::size_t end = chunks_.end(s, s1);
        run_chunk(m, rows, s, end, x, weights, tile);
        s = end;
      }
    }
  }

 private:
  std::size_t x_bytes(std::size_t m) const {
    const std::size_t blocks = ceil_div((std::min)(m, cached_rows_), block_rows);
    return round_up(blocks * x_k() * block_rows * sizeof(packed_x), alignment);
  }
  /// k's of a block of X: whole runs.
  std::size_t x_k() const { return round_up(w_.shape().k, run_of_v<Atom>); }
  std::size_t gathered_bytes() const {
    return Source::in_memory ? 0 : round_up(gathered_stride() * block_rows * sizeof(x_code), alignment);
  }
  /// 64 elements more than k: gathering touches whole registers.
  std::size_t gathered_stride() const { return w_.shape().k + 64; }
  /// Sums of a chunk for one block, or for all where it goes by sections, and of 16 channels as rows of Y.
  std::size_t tile_bytes(std::size_t m) const {
    const std::size_t blocks = chunks_.by_sections() ? ceil_div((std::min)(m, cached_rows_), block_rows) : 1;
    return (blocks * chunks_.most_channels() + strip_channels) * tile_rows * sizeof(acc_type);
  }

  /// A last block of few rows may have an atom of its own, from some length of k on.
  using few_rows_atom = typename machine::few_rows_atom<Atom>::type;
  using few_x = typename few_rows_atom::packed_x;
  using section_atom = typename machine::section_atom<Atom>::type;
  using few_section_atom = typename machine::section_atom<few_rows_atom>::type;
  static constexpr std::size_t few_rows = few_rows_atom::lanes * few_rows_atom::registers;
  bool has_few(std::size_t rows) const { return machine::takes_few_rows<Atom>(rows, w_.shape().k); }

  /// A block and few rows behind it may go together: the k's are listed, and loops end, once for both.
  using tall_atom = typename machine::tall_atom<Atom>::type;
  static constexpr std::size_t tall_rows = is_grouped ? 0 : machine::tall_rows<Atom>;
  /// From the sums of one channel to those of the next.
  static constexpr std::size_t tile_rows = block_rows + tall_rows;
  /// Rows of the next block where so many are left.
  static std::size_t height_of_block(std::size_t rows) { return rows <= tile_rows ? rows : block_rows; }

  /// Rows beyond the last repeat it: their sums are never stored.
  void pack_x(std::size_t m, std::size_t rows, packed_x* x, x_code* gathered) const noexcept {
    const std::size_t k = w_.shape().k;
    if constexpr (Source::is_k_major) {
      const std::size_t rest = rows % block_rows, few = rest != 0 && has_few(rest) ? rest : 0;
      source_.template pack<Atom>(m, rows - few, k, x);
      if (few != 0)
        source_.template pack<few_rows_atom>(m + rows - few, few, k,
                                             reinterpret_cast<few_x*>(x + (rows - few) * x_k()));
    } else {
      auto cursor = source_.start(m);
      for (std::size_t r = 0; r < rows; r += block_rows, x += x_k() * block_rows) {
        const x_code* block[block_rows];
        const std::size_t height = has_few(rows - r) ? few_rows : block_rows;
        for (std::size_t i = 0; i < height; ++i)
          block[i] =
              r + i < rows ? cursor.next(gathered + (Source::in_memory ? 0 : i * gathered_stride())) : block[i - 1];
        if (has_few(rows - r))
          few_rows_atom::pack_rows(block, k, reinterpret_cast<few_x*>(x));
        else
          Atom::pack_rows(block, k, x);
      }
    }
  }

  void run_chunk(std::size_t m, std::size_t rows, std::size_t s, std::size_t end, const packed_x* x, weight* buffer,
                 sum_type* tile) const noexcept {
    if constexpr (chunks::may_go_by_sections) {
      if (chunks_.by_sections()) return run_chunk_by_sections(m, rows, s, end, x, buffer, tile);
    }
    const std::size_t first_panel = chunks_.first_panel(s);
    const std::size_t last_panel = chunks_.first_panel(end);
    // a division, and the next ones are not repeated for every panel
    const std::size_t per_panel = w_.sections_per_panel();
    const auto* sections = w_.sections(first_panel).data();
    const weight* weights = chunks_.template decode<Atom>(s, end, buffer);
    const std::size_t first = chunks_.first_code(first_panel);
    sum_type* rows_of_y = tile + chunks_.most_channels() * tile_rows;
    for (std::size_t r = 0, height = 0; r < rows; r += height, x += x_k() * block_rows) {
      height = height_of_block(rows - r);
      clear_unwritten(is_grouped ? 0 : last_panel - first_panel, (end - s) * strip_channels, tile);
      for (std::size_t i = 0; i < per_panel; ++i)
        for (std::size_t p = first_panel; p < last_panel; ++p) {
          const auto& section = sections[(p - first_panel) * per_panel + i];
          const std::uint16_t* lists = w_.lists().data() + section.lists;
          sum_type* sums = tile + (p - first_panel) * channels * tile_rows;
          if constexpr (is_grouped) {
            alignas(alignment) acc_type unscaled[channels * tile_rows];
            add(height, section, x, lists, weights + (section.codes - first), unscaled, true);
            scaling_.add(p, i, unscaled, tile_rows, (std::min)(block_rows, round_up(height, 16)), sums);
          } else {
            add(height, section, x, lists, weights + (section.codes - first), sums, i == 0);
          }
        }
      store_chunk(m + r, height, s, end, tile, rows_of_y);
    }
  }

  void run_chunk_by_sections(std::size_t m, std::size_t rows, std::size_t s, std::size_t end, const packed_x* x,
                             weight* buffer, sum_type* tiles) const noexcept {
    const std::size_t first_panel = chunks_.first_panel(s);
    const std::size_t last_panel = chunks_.first_panel(end);
    const std::size_t per_panel = w_.sections_per_panel();
    const auto* sections = w_.sections(first_panel).data();
    const std::size_t tile_sums = (end - s) * strip_channels * tile_rows;
    const auto for_blocks = [&](auto f) {  // f(first row, rows, block of X, its sums)
      const packed_x* block = x;
      sum_type* tile = tiles;
      for (std::size_t r = 0, height = 0; r < rows; r += height, block += x_k() * block_rows, tile += tile_sums) {
        height = height_of_block(rows - r);
        f(r, height, block, tile);
      }
      return tile;
    };
    sum_type* rows_of_y = for_blocks([&](std::size_t, std::size_t, const packed_x*, sum_type* tile) {
      clear_unwritten(last_panel - first_panel, (end - s) * strip_channels, tile);
    });
    const weight* weights[column_blocking::chunk_channels / channels];
    for (std::size_t i = 0; i < per_panel; ++i) {
      chunks_.template decode_section<Atom>(first_panel, last_panel, i, buffer, weights);
      for_blocks([&](std::size_t, std::size_t height, const packed_x* block, sum_type* tile) {
        for (std::size_t p = first_panel; p < last_panel; ++p) {
          const auto& section = sections[(p - first_panel) * per_panel + i];
          add(height, section, block, w_.lists().data() + section.lists, weights[p - first_panel],
              tile + (p - first_panel) * channels * tile_rows, i == 0);
        }
      });
    }
    for_blocks([&](std::size_t r, std::size_t height, const packed_x*, sum_type* tile) {
      store_chunk(m + r, height, s, end, tile, rows_of_y);
    });
  }

  /// Sums that no panel's first section sets, of `all` channels.
  void clear_unwritten(std::size_t panels, std::size_t all, sum_type* tile) const noexcept {
    const std::size_t written = w_.sections_per_panel() == 0 ? 0 : panels * channels;
    std::memset(tile + written * tile_rows, 0, (all - written) * tile_rows * sizeof(sum_type));
  }

  static constexpr std::int32_t sum_factor = is_grouped ? 0 : Atom::weight_sum_factor;  // what storing adds

  /// Sums of the strips [s, end) of one block -> rows [m, m + height) of Y.
  void store_chunk(std::size_t m, std::size_t height, std::size_t s, std::size_t end, const sum_type* tile,
                   sum_type* rows_of_y) const noexcept {
    if constexpr (requires { y_.store_column_sums; }) {
      const std::size_t channel = s * strip_channels;
      if (y_.store_column_sums != nullptr)
        return y_.store_column_sums(y_.y, y_.stages, tile, tile_rows, height,
                                    (std::min)(end * strip_channels, w_.shape().n) - channel, sum_factor,
                                    lane_position{m, channel, 0, w_.weight_sums().data()});
    }
    for (std::size_t strip = s; strip < end; ++strip) {
      const std::size_t channel = strip * strip_channels;
      machine::transpose_16(tile + (channel - s * strip_channels) * tile_rows, tile_rows, height, rows_of_y);
      store_tile(rows_of_y, strip_channels, height, (std::min)(strip_channels, w_.shape().n - channel),
                 sum_factor, y_, lane_position{m, channel, 0, w_.weight_sums().data()}, stages_);
    }
  }

  /// As many registers as the block has rows for. `x`: the block, at its first k
  void add(std::size_t height, const typename Packed::section& section, const packed_x* x, const std::uint16_t* lists,
           const weight* weights, acc_type* tile, bool is_first) const noexcept {
    if constexpr (tall_rows != 0) {
      if (height > block_rows) {
        const typename tall_atom::packed_x both{
            x + section.first_k * block_rows,
            reinterpret_cast<const few_x*>(x + x_k() * block_rows) + section.first_k * few_rows};
        return add_section<tall_atom, channels, tall_atom::registers>(section, &both, lists, weights, tile, tile_rows,
                                                                      is_first);
      }
    }
    if constexpr (!std::is_same_v<few_rows_atom, Atom>) {
      if (has_few(height))
        return add_section<few_section_atom, channels, 1>(
            section, reinterpret_cast<const few_x*>(x) + section.first_k * few_rows, lists, weights, tile, tile_rows,
            is_first);
    }
    x += section.first_k * block_rows;
    if constexpr (Atom::registers >= 2 && !machine::takes_few_rows<Atom>(1, 0)) {
      if (height <= Atom::lanes)
        return add_section<section_atom, channels, 1>(section, x, lists, weights, tile, tile_rows, is_first);
    }
    if constexpr (Atom::registers >= 4) {
      if (height <= 2 * Atom::lanes)
        return add_section<section_atom, channels, 2>(section, x, lists, weights, tile, tile_rows, is_first);
    }
    add_section<section_atom, channels, Atom::registers>(section, x, lists, weights, tile, tile_rows, is_first);
  }

  Packed w_;
  Source source_;
  Y y_;
  Epilogue stages_;
  chunks chunks_;
  gather_loop<Packed, gather_atom, Source, Y, Epilogue> gather_;
  machine::section_scaling<Packed> scaling_;
  bool gathers_ = false;
  std::size_t cached_rows_ = 0;
};

SPARQ_ABI_END
}  // namespace sparq
