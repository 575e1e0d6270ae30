// SPDX-License-Identifier: MIT
#pragma once
// Which loop multiplies a tensor fastest: `rows`, `columns`, or `expand`, which is rows over weights packed as a bitmask. The
// estimate counts what each loop does and weighs it with cycles that were measured for each instruction set
// (docs/performance.md says where, and how far it is off).

#include <sparq/kernel/select.hpp>
#include <sparq/tensor/pack.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string_view>

namespace sparq {

/// A way to multiply.
enum class loop_kind { rows, columns, expand };
inline std::string_view to_string(loop_kind loop) {
  return loop == loop_kind::rows ? "rows" : loop == loop_kind::columns ? "columns" : "expand";
}

/// How X and Y lie in memory.
enum class x_layout { row_major, k_major };

SPARQ_ABI_BEGIN

/// Estimated cycles of one product.
struct loop_costs {
  double rows = 0;
  double columns = 0;
  double expand = 0;
  double dense = 0;  // the same weights, zeros included, in the rows loop
  loop_kind best() const {
    if (rows <= columns && rows <= expand) return loop_kind::rows;
    return columns <= expand ? loop_kind::columns : loop_kind::expand;
  }
  /// Below break-even: dense weights take no longer, because the zeros cost as much to skip as to multiply.
  bool dense_is_as_fast() const { return dense <= 1.02 * (std::min)({rows, columns, expand}); }
};

namespace machine {

/// Cycles of the loops. A strip group is group_k k's of 16 channels, for one row of X; the rest is for one block of
/// column_rows rows.
struct loop_cycles {
  double strip_group, private_strip_group, shared_strip_group;  // rows: plain, and with a permute of X
  double few_rows_strip_group, few_rows_private;                // at least, however few the rows
  double column_rows, group, add, step;                         // columns
  bool overlaps;                                                // loads of groups and adds use different ports
  double gathered_group, gathered_add, gathered_step;           // columns of few rows, one row
  double expanded_mask;                                         // expand: 64 places, however many rows
};

/// AVX2: measured on Zen 3. AVX-512: from instruction counts, not measured.
template <bool IsInteger>
constexpr loop_cycles cycles_of_this_isa() {
  if constexpr (SPARQ_HAS_AVX512VNNI && IsInteger)
    return {1.03, 1.38, 1.05, 2.5, 4, 64, 8, 4, 12, true, 5.2, 0.7, 8, 4};
  else if constexpr (SPARQ_HAS_AVX512 && !IsInteger)
    return {1.05, 2.1, 1.1, 1, 2, 64, 0.5, 4, 12, false, 1.3, 0.7, 8, 9};
  else if constexpr (SPARQ_HAS_AVX2)
    return IsInteger ? loop_cycles{2.45, 5.4, 3.9, 5, 13, 16, 1.25, 2.5, 20, false, 5.2, 0.7, 8, 15}
                     : loop_cycles{1.09, 3.6, 1.9, 1, 3, 16, 0.55, 1.35, 16, false, 1, 0.5, 6, 25};
  else
    return IsInteger ? loop_cycles{24, 60, 50, 24, 60, 16, 2, 24, 10, false, 4, 6, 4, 130}
                     : loop_cycles{6, 14, 12, 6, 14, 16, 1, 6, 10, false, 1, 2, 4, 130};
}

/// How much quicker the rows loop multiplies codes of N than those of s8: narrow weights have atoms of their own on AVX2.
template <numeric N>
constexpr double narrow_gain() {
  if constexpr (SPARQ_HAS_AVX2 && !SPARQ_HAS_AVX512 && N::is_integer && !has_tables<N>)
    return packed_numeric_t<N>::bits > 4 ? 1 : packed_numeric_t<N>::bits == 4 ? 1.45 : 1.7;
  else
    return 1;
}

}  // namespace machine

/// Estimates the loops for m rows of X. O(n k).
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
  constexpr double gain = machine::narrow_gain<N>();
  const double strip_group = (window::positions_per_group == 0 ? cycles.strip_group
                              : window::is_private              ? cycles.private_strip_group * permutes
                                                                : cycles.shared_strip_group * std::sqrt(permutes)) / gain;
  // bytes a cycle of weights that no cache of the core holds: from a shared cache, or from memory
  const auto read_cycles = [](double bytes) { return bytes / (bytes < 4e6 ? 14 : 5.6); };
  costs.rows = (std::max)(static_cast<double>(row_form.strip_groups()) *
                              (std::max)(rows_of_x * strip_group,
                                         window::is_private ? cycles.few_rows_private : cycles.few_rows_strip_group),
                          read_cycles(static_cast<double>(row_form.bytes())));
  costs.rows += rows_of_x * k * (std::is_same_v<typename F::k_map, list> ? 0.3 * static_cast<double>(w.index.panels()) : 0.1);

  using shape_type = default_panel_shape<N>;
  const auto strip_groups = static_cast<double>(ceil_div(w.shape().n, shape_type::channels) *
                                                ceil_div(w.shape().k, shape_type::group_k));
  // expanded words are those of s8
  const double multiplied = strip_groups * (std::max)(rows_of_x * cycles.strip_group, cycles.few_rows_strip_group);
  const double multiplied_dense = strip_groups * (std::max)(rows_of_x * cycles.strip_group / gain, cycles.few_rows_strip_group);
  const auto weights = static_cast<double>(w.shape().size());
  constexpr double code_bytes = packed_numeric_t<N>::bits / 8.0;
  if constexpr (std::is_same_v<typename F::k_map, contiguous> && std::is_same_v<typename F::row_select, all>)
    costs.dense = costs.rows;
  else
    costs.dense = (std::max)(multiplied_dense, read_cycles(weights * code_bytes)) + rows_of_x * k * 0.1;
  // codes that share bytes are decoded first
  const double masks = weights / 64 * (cycles.expanded_mask + (N::bits < 8 ? 6 : 0));
  costs.expand = (std::max)(multiplied + masks,
                            read_cycles(weights / 8 + static_cast<double>(w.index.slots()) * code_bytes)) +
                 rows_of_x * k * 0.1;
  if constexpr (has_tables<N>) costs.expand = costs.rows + costs.expand;  // never: codebooks are not packed as a bitmask

  const column_packer column_form(w);
  const auto groups = static_cast<double>(column_form.work().groups);
  const auto adds = static_cast<double>(column_form.work().adds);
  const auto steps = static_cast<double>(column_form.work().steps);
  if (m <= column_blocking::gathered_rows) {
    costs.columns = (std::max)(rows_of_x * (groups * cycles.gathered_group + adds * cycles.gathered_add +
                                            steps * cycles.gathered_step),
                               read_cycles(static_cast<double>(column_form.bytes())));
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
  if constexpr (scales_along_k_v<G>)
    return sparq::detail::can_cut<typename F::row_select, sparq::detail::rows_k_map<F>, packed_numeric_t<N>, G, default_panel_shape<N>>()
               ? loop_kind::rows  // sections of the columns loop are short
               : loop_kind::columns;
  else
    return estimate_loops(w, m, layout).best();
}
template <format F, numeric N, quantization_granularity G>
loop_kind choose_loop(const tensor<F, N, G>& w, std::size_t m, x_layout layout = x_layout::row_major) {
  return choose_loop(w.view(), m, layout);
}

SPARQ_ABI_END
}  // namespace sparq
