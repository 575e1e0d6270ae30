// SPDX-License-Identifier: MIT
#pragma once
// How the work of an operation is cut into parts that an executor runs. A product is cut into rows by strips of
// channels, and the rows of a part into pieces for which the scratch suffices; other operations are cut into ranges.

#include <sparq/base/config.hpp>
#include <sparq/base/math.hpp>
#include <sparq/base/memory.hpp>
#include <sparq/kernel/executor.hpp>

#include <algorithm>
#include <cstddef>
#include <span>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// f(first, end) for ranges that cover [0, count): as many as the executor asks for, their lengths differing by one at
/// most.
template <class Executor, class F>
void for_each_range(Executor& executor, std::size_t count, const F& f) {
  const std::size_t parts = (std::min)((std::max)(concurrency_of(executor), std::size_t{1}), count);
  executor.parallel_for(parts, [&](std::size_t part) {
    const std::size_t share = count / parts, longer = count % parts;  // so many have one more
    const std::size_t first = part * share + (std::min)(part, longer);
    f(first, first + share + (part < longer ? 1 : 0));
  });
}

/// f(panel, first, last) for each panel with strips of 16 channels in [s0, s1), which count through all panels of w;
/// first and last count within the panel.
template <class Packed, class F>
SPARQ_INLINE void for_strips(const Packed& w, std::size_t s0, std::size_t s1, F&& f) {
  std::size_t strip = 0;
  for (const auto& panel : w.panels()) {
    const std::size_t strips = ceil_div(panel.kept, std::size_t{16});
    const std::size_t first = (std::max)(s0, strip), last = (std::min)(s1, strip + strips);
    if (first < last) f(panel, first - strip, last - strip);
    strip += strips;
  }
}

/// How work is cut for an executor: a grid of rows by strips of channels.
struct work_grid {
  std::size_t row_parts = 1;
  std::size_t strip_parts = 1;

  static work_grid make(std::size_t concurrency, std::size_t rows, std::size_t block, std::size_t strips) {
    work_grid grid;
    const std::size_t parts = (std::max)(concurrency, std::size_t{1});
    grid.row_parts = (std::min)(parts, (std::max)(ceil_div(rows, block), std::size_t{1}));
    grid.strip_parts = (std::min)(parts / grid.row_parts, (std::max)(strips, std::size_t{1}));
    return grid;
  }
  std::size_t parts() const { return row_parts * strip_parts; }
  /// Rows of one part, whole blocks of them.
  std::size_t part_rows(std::size_t rows, std::size_t block) const {
    return round_up(ceil_div(rows, row_parts), block);
  }
};

/// How many of `rows` rows a loop can take at a time with this much scratch: all of them, else whole blocks, else
/// multiples of `least`.
template <class Loop>
std::size_t rows_in(const Loop& loop, std::size_t rows, std::size_t block, std::size_t least, std::size_t bytes) {
  if (loop.scratch_bytes(rows) <= bytes) return rows;
  const auto most = [&](std::size_t unit) {  // of these units, by bisection: the scratch never shrinks with the rows
    std::size_t fits = 0, too_many = ceil_div(rows, unit);
    while (too_many - fits > 1) {
      const std::size_t half = fits + (too_many - fits) / 2;
      (loop.scratch_bytes(half * unit) <= bytes ? fits : too_many) = half;
    }
    return fits * unit;
  };
  const std::size_t whole = most(block);
  return whole != 0 || least == block ? whole : most(least);
}

/// Runs a loop over `rows` rows, from `first_row` on, and all channels; the rows of a part in pieces for which the
/// scratch suffices.
/// - `least`: rows of the smallest piece. @pre scratch has parts * scratch_bytes(least)
template <class Loop, class Executor>
void run_parts(const Loop& loop, const work_grid& grid, std::size_t rows, std::size_t block, std::size_t least,
               std::span<std::byte> scratch, Executor& executor, std::size_t first_row = 0) {
  const std::size_t part_rows = grid.part_rows(rows, block);
  const std::size_t strips = loop.strips();
  const std::size_t part_strips = ceil_div(strips, grid.strip_parts);
  const std::size_t bytes = scratch.size() / grid.parts() / alignment * alignment;
  const std::size_t piece = (std::max)(rows_in(loop, (std::min)(part_rows, rows), block, least, bytes), least);
  executor.parallel_for(grid.parts(), [&](std::size_t part) {
    const std::size_t m0 = part / grid.strip_parts * part_rows, m1 = (std::min)(m0 + part_rows, rows);
    const std::size_t s0 = part % grid.strip_parts * part_strips;
    if (s0 < strips)
      for (std::size_t m = m0; m < m1; m += piece)
        loop.run(first_row + m, first_row + (std::min)(m + piece, m1), s0, (std::min)(s0 + part_strips, strips),
                 scratch.data() + part * bytes);
  });
}

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
