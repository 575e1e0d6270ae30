// SPDX-License-Identifier: MIT
#pragma once
// X and Y in quads as the columns loop sees them: X is handed to atoms that take quads as they are, or turned into
// columns for others; Y is stored four channels of a row at a time.

#include <sparq/kernel/epilogue/epilogue.hpp>
#include <sparq/simd/columns/column_atom.hpp>
#include <sparq/simd/transpose.hpp>
#include <sparq/tensor/matrix.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace sparq {
SPARQ_ABI_BEGIN

/// X in quads; see k_major_rows.
template <class X>
struct quad_rows {
  using element = X;
  static constexpr bool in_memory = true;
  static constexpr bool is_k_major = true;
  static constexpr const char* access = "from quads, ";
  quad_view<const X> x;

  /// Packs rows [m, m + rows) in blocks: to[block][k][row], or whole runs of k's.
  template <class Atom>
  void pack(std::size_t m, std::size_t rows, std::size_t k, typename Atom::packed_x* to) const noexcept {
    constexpr std::size_t block = Atom::lanes * Atom::registers;
    const std::size_t block_k = round_up(k, run_of_v<Atom>);
    for (std::size_t first = 0; first < k; first += 64)  // as for k_major_rows
      for (std::size_t r = 0; r < rows; r += block) {
        const std::size_t count = (std::min)(block, rows - r), end = (std::min)(first + 64, k);
        auto* const target = to + (r / block * block_k + first) * block;
        if constexpr (run_of_v<Atom> == 4)
          Atom::pack_quads(x.quad(first / 4) + 4 * (m + r), x.stride, ceil_div(end - first, std::size_t{4}), count,
                           target);
        else
          pack_columns<Atom>(first, end, m + r, count, target);
      }
  }
  /// Row m as consecutive k's.
  void row(std::size_t m, X* to) const noexcept {
    for (std::size_t k = 0; k < x.columns; ++k) to[k] = x(m, k);
  }

 private:
  /// @pre at most 64 k's
  template <class Atom>
  void pack_columns(std::size_t first, std::size_t end, std::size_t m, std::size_t count,
                    typename Atom::packed_x* to) const noexcept {
    constexpr std::size_t block = Atom::lanes * Atom::registers;
    X columns[64 * block];
    for (std::size_t k = first; k < end; k += 4)
      machine::transpose_quads(x.quad(k / 4) + 4 * m, count, columns + (k - first) * block, block);
    Atom::pack_columns(columns, block, end - first, count, to);
  }
};

/// Y in quads.
template <class Y>
struct quad_target {
  Y* data = nullptr;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::size_t stride = 0;

  /// @pre at.channel % 4 == 0
  template <class T>
  SPARQ_INLINE void store_lanes(const lane_position& at, const vec<T>& v) const {
    Y lanes[16] = {};
    machine::store_lanes(lanes, v, at.count);
    for (std::size_t c = 0; c < at.count; c += 4)  // beyond the last channel: zeros
      std::memcpy(data + (at.channel + c) / 4 * stride + 4 * at.row, lanes + c, 4 * sizeof(Y));
  }
};

SPARQ_ABI_END
}  // namespace sparq
