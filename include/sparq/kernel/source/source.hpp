// SPDX-License-Identifier: MIT
#pragma once
// Where loops get X from. A source hands out the rows of X one after another: `start(m)` gives a cursor, whose
// `next(buffer)` returns row m, then m + 1, ... as k consecutive elements, in memory or gathered into the buffer (at
// least k + 64 elements). `access` says in words where rows come from. A k-major source packs blocks of rows itself,
// and copies single rows out.

#include <sparq/base/config.hpp>
#include <sparq/base/math.hpp>
#include <sparq/numeric/numeric.hpp>
#include <sparq/simd/columns/column_atom.hpp>
#include <sparq/tensor/matrix.hpp>

#include <algorithm>
#include <cstddef>

namespace sparq {
SPARQ_ABI_BEGIN

/// Rows of X that lie in memory as they are: gemm.
template <class X>
struct strided_rows {
  using element = X;
  static constexpr bool in_memory = true;
  static constexpr bool is_k_major = false;
  static constexpr const char* access = "";
  matrix_view<const X> x;

  struct cursor {
    const X* row;
    std::size_t stride;
    const X* next(X*) {
      const X* current = row;
      row += stride;
      return current;
    }
  };
  cursor start(std::size_t m) const { return {x.row(m), x.stride}; }
};

/// A source whose elements are known to be codes of N.
template <class Source, numeric N>
struct source_of_codes : Source {
  using numeric_type = N;
};
/// The numeric type of a source's elements.
template <class Source>
struct numeric_of_source {
  using type = numeric_of_t<typename Source::element>;
};
template <class Source, numeric N>
struct numeric_of_source<source_of_codes<Source, N>> {
  using type = N;
};

/// X that is k-major: only the columns loop reads it.
template <class X>
struct k_major_rows {
  using element = X;
  static constexpr bool in_memory = true;
  static constexpr bool is_k_major = true;
  static constexpr const char* access = "";
  k_major_view<const X> x;

  /// Packs rows [m, m + rows) in blocks: to[block][k][row].
  template <class Atom>
  void pack(std::size_t m, std::size_t rows, std::size_t k, typename Atom::packed_x* to) const noexcept {
    constexpr std::size_t block = Atom::lanes * Atom::registers;
    constexpr std::size_t run = 64;  // of k's: all rows of a cache line are read while it is there
    const std::size_t block_k = round_up(k, run_of_v<Atom>);
    for (std::size_t first = 0; first < k; first += run)
      for (std::size_t r = 0; r < rows; r += block)
        Atom::pack_columns(x.column(first) + m + r, x.stride, (std::min)(run, k - first), (std::min)(block, rows - r),
                           to + (r / block * block_k + first) * block);
  }
  /// Row m as consecutive k's.
  void row(std::size_t m, X* to) const noexcept {
    for (std::size_t k = 0; k < x.columns; ++k) to[k] = x(m, k);
  }
};

SPARQ_ABI_END
}  // namespace sparq
