// SPDX-License-Identifier: MIT
#pragma once
// How large the blocks of the loops are.

#include <sparq/base/config.hpp>
#include <sparq/base/math.hpp>

#include <algorithm>
#include <cstddef>

namespace sparq {
SPARQ_ABI_BEGIN

/// Block sizes, by atom.
template <class Atom>
struct blocking {
  /// Registers of channels beside the block's rows: 2 fill the accumulators that `block_rows` leaves.
  static constexpr std::size_t registers = 2;
  /// How many of them the loop takes at once; the others follow with the same rows.
  static constexpr std::size_t registers_at_once = [] {
    if constexpr (requires { Atom::block_registers; })
      return Atom::block_registers;
    else
      return registers;
  }();
  /// Bytes of packed X that stay in the second-level cache while all weights pass by.
  static constexpr std::size_t x_bytes = 128 * 1024;

  /// Bytes of them that are compacted together for a panel whose channels share positions: in the first-level cache.
  static constexpr std::size_t compacted_x_bytes = 16 * 1024;

  /// The same where weights are looked up once for all rows that are packed together.
  static constexpr std::size_t looked_up_x_bytes = 384 * 1024;

  /// Bytes of Y beyond which blocks of sums of four bytes are stored one by one: lines that are far from the core.
  static constexpr std::size_t far_y_bytes = 1024 * 1024;

  /// Fewer rows of X neither widen words, which six blocks pay for, nor decode narrow ones, which two do not pay for.
  static constexpr std::size_t widened_rows = 36;

  /// The same where blocks are multiplied in tiles, so quickly that weights are waited for.
  static constexpr std::size_t x_bytes_of_tiles = 640 * 1024;

  /// Rows of X that are packed together: as many as `bytes` hold, in whole blocks of so many rows, at least 48.
  static constexpr std::size_t rows(std::size_t row_bytes, std::size_t bytes = x_bytes,
                                    std::size_t block = Atom::block_rows) {
    const std::size_t fitting = bytes / (std::max)(row_bytes, std::size_t{1}) / block;
    return (std::max)(fitting, ceil_div(4 * Atom::block_rows, block)) * block;
  }

  /// Rows of each pass where `m` are more than fit together: as few passes as `most` allows, of like size, in whole
  /// blocks; a short last one would decode all weights for a few rows. @pre most is positive, in whole blocks
  static constexpr std::size_t rows_of_pass(std::size_t m, std::size_t most, std::size_t block = Atom::block_rows) {
    const std::size_t passes = (std::max)(ceil_div(m, most), std::size_t{1});
    return round_up(ceil_div(m, passes), block);
  }
};

/// Block sizes of the columns loop.
struct column_blocking {
  /// Bytes of packed X, and decoded weights, that stay in the second-level cache together.
  static constexpr std::size_t x_bytes = 128 * 1024;
  /// The same where weights are decoded chunk by chunk, once for all of X that is packed.
  static constexpr std::size_t x_bytes_of_chunks = (SPARQ_HAS_AVX512 ? 128 : 256) * 1024;
  static constexpr std::size_t chunk_codes = 48 * 1024;
  /// What four blocks may take at most: those of AVX-512 have 64 rows, and its CPUs 1 MB of second-level cache.
  static constexpr std::size_t most_x_bytes = SPARQ_HAS_AVX512 ? 640 * 1024 : ~std::size_t{0};
  /// The same of floats whose weights lie as they are multiplied: another pass decodes nothing,
  /// and X stays in the second-level cache.
  static constexpr std::size_t most_x_bytes_in_place = SPARQ_HAS_AVX512 ? most_x_bytes : 320 * 1024;
  /// Blocks of X that are packed together: at least 4, for which the codes are decoded once, unless they are too large.
  /// - `in_place`: of floats, nothing is decoded, and panels are not cut along k
  /// - `in_chunks`: weights are decoded, and are more than one chunk
  static constexpr std::size_t blocks(std::size_t block_bytes, bool in_place = false, bool in_chunks = false) {
    const std::size_t bytes = (std::max)(block_bytes, std::size_t{1});
    const std::size_t most = in_place ? most_x_bytes_in_place : most_x_bytes;
    const std::size_t least = (std::max)((std::min)(most / bytes, std::size_t{4}), std::size_t{1});
    return (std::max)((in_chunks ? x_bytes_of_chunks : x_bytes) / bytes, least);
  }
  /// Channels whose sums stay in the first-level cache, of a block: 8 KB, 16 with 64 rows.
  static constexpr std::size_t chunk_channels = SPARQ_HAS_AVX512 ? 64 : 128;
};

SPARQ_ABI_END
}  // namespace sparq
