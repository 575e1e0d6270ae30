// SPDX-License-Identifier: MIT
#pragma once
// Which loop multiplies a tensor fastest: `rows` or `columns`. The estimate counts what each loop does and weighs it with
// cycles that were measured for each instruction set (docs/performance.md says where, and how far it is off).

#include <sparq/kernel/select.hpp>
#include <sparq/tensor/pack.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string_view>

namespace sparq {

/// A way to multiply.
enum class loop_kind { rows, columns };
inline std::string_view to_string(loop_kind loop) { return loop == loop_kind::rows ? "rows" : "columns"; }

/// How X and Y lie in memory.
enum class x_layout { row_major, k_major };

SPARQ_ABI_BEGIN

/// Estimated cycles of one product.
struct loop_costs {
  double rows = 0;
  double columns = 0;
  loop_kind best() const { return rows <= columns ? loop_kind::rows : loop_kind::columns; }
};

namespace machine {

/// Cycles of both loops. A strip group is group_k k's of 16 channels, for one row of X; the rest is for one block of
/// column_rows rows.
struct loop_cycles {
  double strip_group, private_strip_group, shared_strip_group;  // rows: plain, and with a permute of X
  double few_rows_strip_group, few_rows_private;                // at least, however few the rows
  double column_rows, group, add, step;                         // columns
  bool overlaps;                                                // loads of groups and adds use different ports
  double gathered_group, gathered_add, gathered_step;           // columns of few rows, one row
};

/// AVX2: measured on Zen 3. AVX-512: from instruction counts, not measured.
template <bool IsInteger>
constexpr loop_cycles cycles_of_this_isa() {
  if constexpr (SPARQ_HAS_AVX512VNNI && IsInteger)
    return {1.03, 1.38, 1.05, 2.5, 4, 64, 8, 4, 12, true, 5.2, 0.7, 8};
  else if constexpr (SPARQ_HAS_AVX512 && !IsInteger)
    return {1.05, 2.1, 1.1, 1, 2, 64, 0.5, 4, 12, false, 1.3, 0.7, 8};
  else if constexpr (SPARQ_HAS_AVX2)
    return IsInteger ? loop_cycles{2.45, 5.4, 3.9, 5, 13, 16, 1.25, 2.5, 20, false, 5.2, 0.7, 8}
                     : loop_cycles{1.09, 3.6, 1.9, 1, 3, 16, 0.55, 1.35, 16, false, 1, 0.5, 6};
  else
    return IsInteger ? loop_cycles{24, 60, 50, 24, 60, 16, 2, 24, 10, false, 4, 6, 4}
                     : loop_cycles{6, 14, 12, 6, 14, 16, 1, 6, 10, false, 1, 2, 4};
}

}  // namespace machine

/// Estimates both loops for m rows of X. O(n k).
template <format F, numeric N, quantization_granularity G>
loop_costs estimate_loops(const tensor_view<F, N, G>& w, std::size_t m, x_layout layout = x_layout::row_major) {
  using row_packer = sparq::detail::packer_for_t<default_panel_shape<N>, F, N, G>;
  using column_packer = sparq::detail::packer_for_t<column_shape_for_t<F, N>, F, N, G>;
  using window = sparq::detail::window_of<typename F::row_select, sparq::detail::rows_k_map<F>,
                                          default_panel_shape<N>::group_k>;
  constexpr machine::loop_cycles cycles = machine::cycles_of_this_isa<N::is_integer>();
  const auto rows_of_x = static_cast<double>(m);
  const auto k = static_cast<double>(w.shape().k);
  loop_costs costs;

  const row_packer row_form(w);
  // a window beyond what one permute reaches takes several
  constexpr double reach = SPARQ_HAS_AVX512 ? 16 : 8;
  const double permutes = 1 + 1.3 * (std::ceil(static_cast<double>(window::window) / reach) - 1);
  const double strip_group = window::positions_per_group == 0 ? cycles.strip_group
                             : window::is_private              ? cycles.private_strip_group * permutes
                                                               : cycles.shared_strip_group * std::sqrt(permutes);
  // bytes a cycle of weights that no cache of the core holds: from a shared cache, or from memory
  const auto bytes = static_cast<double>(row_form.bytes());
  const double bandwidth = bytes < 4e6 ? 14 : 5.6;
  costs.rows = (std::max)(static_cast<double>(row_form.strip_groups()) *
                              (std::max)(rows_of_x * strip_group,
                                         window::is_private ? cycles.few_rows_private : cycles.few_rows_strip_group),
                          bytes / bandwidth);
  costs.rows += rows_of_x * k * (std::is_same_v<typename F::k_map, list> ? 0.3 * static_cast<double>(w.index.panels()) : 0.1);

  const column_packer column_form(w);
  const auto groups = static_cast<double>(column_form.work().groups);
  const auto adds = static_cast<double>(column_form.work().adds);
  const auto steps = static_cast<double>(column_form.work().steps);
  if (m <= column_blocking::gathered_rows) {
    costs.columns = rows_of_x * (groups * cycles.gathered_group + adds * cycles.gathered_add + steps * cycles.gathered_step);
  } else {
    // a block that is half empty costs little less than a full one
    const double filled = rows_of_x / cycles.column_rows;
    const double whole = std::floor(filled);
    const double blocks = whole + (filled == whole ? 0.0 : filled - whole <= 0.5 ? 0.8 : 1.0);
    // X of runs is interleaved once for all panels
    const double loads = groups * cycles.group * (column_shape_for_t<F, N>::run > 1 ? 0.4 : 1);
    double work = cycles.overlaps ? (std::max)(loads, adds * cycles.add) : loads + adds * cycles.add;
    // a block of X beyond the first-level cache
    if (N::is_integer && k >= 1024 && sparq::detail::column_section_k(w.shape(), w.index.slots(), N::is_integer) == w.shape().k) work *= 1.35;
    costs.columns = blocks * (work + steps * cycles.step) + rows_of_x * k * (layout == x_layout::k_major ? 0.05 : 0.15);
  }
  return costs;
}

/// The faster loop for m rows of X, as far as estimates go. O(n k).
template <format F, numeric N, quantization_granularity G>
loop_kind choose_loop(const tensor_view<F, N, G>& w, std::size_t m, x_layout layout = x_layout::row_major) {
  if constexpr (requires { G::group; })
    return loop_kind::rows;  // scales along k
  else
    return estimate_loops(w, m, layout).best();
}
template <format F, numeric N, quantization_granularity G>
loop_kind choose_loop(const tensor<F, N, G>& w, std::size_t m, x_layout layout = x_layout::row_major) {
  return choose_loop(w.view(), m, layout);
}

SPARQ_ABI_END
}  // namespace sparq
