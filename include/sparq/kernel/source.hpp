// SPDX-License-Identifier: MIT
#pragma once
// Where loops get X from. A source hands out the rows of X one after another: `start(m)` gives a cursor, whose
// `next(buffer)` returns row m, then m + 1, ... as k consecutive elements, in memory or gathered into the buffer (at least
// k + 64 elements). `access` says how rows come about.

#include <sparq/base/config.hpp>
#include <sparq/tensor/matrix.hpp>

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

/// X that is k-major: only the columns loop reads it.
template <class X>
struct k_major_rows {
  using element = X;
  static constexpr bool in_memory = true;
  static constexpr bool is_k_major = true;
  static constexpr const char* access = "";
  k_major_view<const X> x;
};

SPARQ_ABI_END
}  // namespace sparq
