// SPDX-License-Identifier: MIT
#pragma once
// Which loop multiplies a tensor fastest. The estimates count what each loop does and weigh it with cycles that were
// measured for each instruction set (docs/plan.md says how, and how far the picks are off).

#include <sparq/plan/estimate_columns.hpp>
#include <sparq/plan/estimate_rows.hpp>
#include <sparq/plan/loop_costs.hpp>
#include <sparq/plan/loop_shapes.hpp>

#include <algorithm>
#include <cstddef>
#include <limits>

namespace sparq {
SPARQ_ABI_BEGIN

/// Estimates the loops for m rows of X that take the tensor. Columns of X run in the columns loop alone. O(n k).
/// - `X`: of activations, which need to be named only if they have 16 bits (std::int16_t, or brain_float for weights of
///   bf16): their products take more instructions
/// - `Y`: what is stored; unless it is named, sums as they are. Bytes cost the columns loop less: it tells at a small k
template <class X = void, class Y = void, format F, numeric N, quantization_granularity G>
loop_costs estimate_loops(const tensor_view<F, N, G>& w, std::size_t m, x_layout layout = x_layout::row_major) {
  constexpr double never = std::numeric_limits<double>::infinity();
  constexpr bool takes_rows = packs_for_v<loop_kind::rows, F, N, G>;
  loop_costs costs{never, never, never, never, never};
  if constexpr (packs_for_v<loop_kind::columns, F, N, G>) {
    const machine::columns_estimate<F, N, G, X, Y> in_columns(w, m, layout);
    costs.columns = in_columns.columns();
    costs.dense = in_columns.dense();
  }
  if (layout == x_layout::k_major) return costs;

  const machine::rows_estimate<F, N, G, X> in_rows(w, m);
  if constexpr (takes_rows) costs.rows = in_rows.rows();
  if constexpr (packs_for_v<loop_kind::rows, dense, N, G>) costs.dense = (std::min)(costs.dense, in_rows.dense());
  if constexpr (!has_tables<N> && packs_for_v<loop_kind::expand, F, N, G>)
    costs.expand = in_rows.expand();  // looking up costs more than reading dense codes
  if constexpr (packs_for_v<loop_kind::window, F, N, G> && takes_rows)
    costs.window = in_rows.windows();  // groups of scales that cut the rows loop's groups fill windows badly
  return costs;
}

/// The faster loop for m rows of X, as far as estimates go, among those that take X as it lies. `X` and `Y` as above.
/// O(n k).
template <class X = void, class Y = void, format F, numeric N, quantization_granularity G>
loop_kind choose_loop(const tensor_view<F, N, G>& w, std::size_t m, x_layout layout = x_layout::row_major) {
  return estimate_loops<X, Y>(w, m, layout).best();
}
template <class X = void, class Y = void, format F, numeric N, quantization_granularity G>
loop_kind choose_loop(const tensor<F, N, G>& w, std::size_t m, x_layout layout = x_layout::row_major) {
  return choose_loop<X, Y>(w.view(), m, layout);
}

SPARQ_ABI_END
}  // namespace sparq
