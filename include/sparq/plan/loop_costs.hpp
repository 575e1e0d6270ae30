// SPDX-License-Identifier: MIT
#pragma once
// The loops that a product may run in, and what a plan thinks of them.

#include <sparq/base/config.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string_view>

namespace sparq {

/// A way to multiply: `rows`, `columns`, or rows over weights packed as a bitmask (`expand`) or in windows of
/// unstructured k's (`window`).
enum class loop_kind { rows, columns, expand, window };
inline std::string_view to_string(loop_kind loop) {
  constexpr std::string_view names[] = {"rows", "columns", "expand", "window"};
  return names[static_cast<std::size_t>(loop)];
}

/// How X and Y lie in memory: by rows, or by columns and in quads, which the columns loop alone takes.
enum class x_layout { row_major, k_major };

SPARQ_ABI_BEGIN

/// Estimated cycles of one product; infinite for loops that cannot run.
struct loop_costs {
  double rows = 0;
  double columns = 0;
  double expand = 0;
  double dense = 0;  // the same weights, zeros included, in the quickest loop that takes them
  double window = std::numeric_limits<double>::infinity();

  double least() const { return (std::min)({rows, columns, expand, window}); }
  loop_kind best() const {
    if (rows == least()) return loop_kind::rows;
    if (columns == least()) return loop_kind::columns;
    return expand == least() ? loop_kind::expand : loop_kind::window;
  }
  /// Another loop is estimated within a tenth of the best. Estimates can hardly tell them apart, timing can.
  bool is_close() const {
    int close = 0;
    for (const double cost : {rows, columns, expand, window}) close += cost <= 1.1 * least();
    return close > 1;
  }
  /// Below break-even: dense weights take no longer, because the zeros cost as much to skip as to multiply.
  bool dense_is_as_fast() const {
    constexpr double as_fast = 1.02;  // less than estimates can tell apart
    return std::isfinite(dense) && dense <= as_fast * least();
  }
};

SPARQ_ABI_END
}  // namespace sparq
