// SPDX-License-Identifier: MIT
#pragma once
// Which loop multiplies a tensor fastest: `rows`, `columns`, or rows over weights packed as a bitmask (`expand`) or in
// windows of unstructured k's (`window`). The estimate counts what each loop does and weighs it with cycles that were measured for each instruction set
// (docs/plan.md says how, and how far the picks are off).

#include <sparq/kernel/blocking.hpp>
#include <sparq/kernel/expand_rows.hpp>
#include <sparq/kernel/rows.hpp>
#include <sparq/kernel/select.hpp>
#include <sparq/plan/loop_cycles.hpp>
#include <sparq/tensor/pack.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string_view>

namespace sparq {

/// A way to multiply.
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
  loop_kind best() const {
    const double least = (std::min)({rows, columns, expand, window});
    if (rows == least) return loop_kind::rows;
    if (columns == least) return loop_kind::columns;
    return expand == least ? loop_kind::expand : loop_kind::window;
  }
  /// Below break-even: dense weights take no longer, because the zeros cost as much to skip as to multiply.
  bool dense_is_as_fast() const { return dense <= 1.02 * (std::min)({rows, columns, expand, window}); }
};

/// Windows as wide as one permute of this instruction set reaches, or of bytes two of AVX2.
template <numeric N>
using native_window_shape = std::conditional_t<N::is_integer, window_shape<16, 4, SPARQ_HAS_AVX512VBMI ? 64 : 32>,
                                               window_shape<16, 1, SPARQ_HAS_AVX512 ? 16 : 8>>;

/// Whether the plan considers windows: for formats that list k's that channels do not share, and codes that are weights.
template <format F, numeric N, quantization_granularity G>
inline constexpr bool takes_windows_v = std::is_same_v<typename F::k_map, scattered> && !has_tables<N>;

namespace machine {

/// Estimates for one tensor and one number of rows; every member gives cycles.
template <format F, numeric N, quantization_granularity G>
class loop_estimate {
  using shape_type = default_panel_shape<N>;
  using column_shape_type = column_shape_for_t<F, N>;
  using row_packer = sparq::detail::packer_for_t<shape_type, F, N, G>;
  using column_packer = sparq::detail::packer_for_t<column_shape_type, F, N, G>;
  using window = sparq::detail::window_of<typename F::row_select, sparq::detail::rows_k_map<F>, shape_type::group_k>;
  using x_type = std::conditional_t<N::is_integer, u8, f32>;
  using atom = atom_for<x_type, packed_numeric_t<N>, shape_type>;
  static constexpr loop_cycles cycles = cycles_of_codes<N>();
  static constexpr loop_cycles expanded = cycles_of_this_isa<N::is_integer, false>();  // expanded words are those of s8
  static constexpr std::size_t x_bytes = N::is_integer ? 2 : 4;  // of one packed element, at most
  static constexpr std::size_t column_x_bytes = N::is_integer && cycles.column_rows >= 32 ? 1 : x_bytes;  // in the columns loop

 public:
  loop_estimate(const tensor_view<F, N, G>& w, std::size_t m) : w_(w), m_(m), k_(static_cast<double>(w.shape().k)) {}

  double rows() const {
    const row_packer form(w_);
    // a window beyond what one permute reaches takes several
    constexpr std::size_t reach = SPARQ_HAS_AVX512 ? 16 : 8;
    constexpr double further = static_cast<double>(ceil_div(window::window, reach) - 1);
    double block = cycles.block, row = cycles.row, least = cycles.least_rows;
    if constexpr (window::positions_per_group != 0 && window::is_private) {
      block = cycles.private_block + further * cycles.window_block;
      row = cycles.private_row + further * cycles.window_row;
      least = 0;
    } else if constexpr (window::positions_per_group != 0) {
      row *= cycles.shared * (1 + 0.5 * further);
    }
    const double lists = std::is_same_v<typename F::k_map, list> ? static_cast<double>(w_.index.panels()) : 0;
    const auto bytes = static_cast<double>(form.bytes());
    return (std::max)(rows_of_blocks(static_cast<double>(form.strip_groups()), block, row / narrow_gain<N>(), least),
                      read_cycles(bytes)) + far_bytes(bytes) + rows_of_x() * k_ * lists * cycles.compacted +
           static_cast<double>(form.strips()) * rows_of_x() * cycles.store + cycles.rows_call;
  }

  /// Of the same weights in the format dense.
  double dense_rows() const {
    const double bytes = static_cast<double>(w_.shape().size()) * code_bytes;
    return (std::max)(rows_of_blocks(dense_strip_groups(), cycles.block, cycles.row / narrow_gain<N>(), cycles.least_rows),
                      read_cycles(bytes)) + far_bytes(bytes) + dense_strips() * rows_of_x() * cycles.store +
           cycles.rows_call;
  }
  double dense_columns(x_layout layout) const {
    const auto panels = static_cast<double>(ceil_div(w_.shape().n, column_shape_type::channels));
    const double groups = panels * static_cast<double>(ceil_div(w_.shape().k, column_shape_type::group_k));
    return columns_of(groups, groups * static_cast<double>(column_shape_type::channels), panels, false, layout,
                      static_cast<double>(w_.shape().size()) * code_bytes, w_.shape().size());
  }

  double columns(x_layout layout) const {
    const column_packer form(w_, for_rows{m_});
    return columns_of(static_cast<double>(form.work().groups), static_cast<double>(form.work().adds),
                      static_cast<double>(form.work().steps), column_shape_type::run > 1, layout,
                      static_cast<double>(form.bytes()), w_.index.slots());
  }

  /// Weights in native_window_shape<N>.
  double windows() const {
    using window_packer = sparq::detail::packer_for_t<native_window_shape<N>, F, N, G>;
    using window_atom = atom_for<x_type, packed_numeric_t<N>, native_window_shape<N>>;
    const window_packer form(w_);
    const auto bytes = static_cast<double>(form.bytes());
    return (std::max)(rows_of_blocks<window_atom>(static_cast<double>(form.strip_groups()), cycles.chosen_block, cycles.chosen_row, 0),
                      read_cycles(bytes)) + far_bytes(bytes) +
           static_cast<double>(form.strips()) * rows_of_x() * cycles.store + cycles.rows_call;
  }

  double expand() const {
    using expanding_atom = atom_for<u8, packed_numeric_t<N>, default_bitmask_shape<packed_numeric_t<N>>>;
    if constexpr (packed_numeric_t<N>::bits == 8 && !has_tables<N>)
      if (multiplies_expanded_v<expanding_atom> && m_ <= expanded_rows) {
        const double bytes = static_cast<double>(w_.shape().size()) / 8 + static_cast<double>(w_.index.slots());
        return 0.5 * dense_strip_groups() * (std::max)(cycles.mask_in_register, rows_of_x() * cycles.least_add / 4) +
               read_cycles(bytes) + far_bytes(bytes) + dense_strips() * rows_of_x() * cycles.store + cycles.rows_call;
      }
    const double passes = static_cast<double>(ceil_div(m_, cached_rows()));
    const double masks = static_cast<double>(w_.shape().size()) / 64 * cycles.mask;
    const auto slots = static_cast<double>(w_.index.slots());
    // sums are added to memory
    const double products = rows_of_blocks(dense_strip_groups(), expanded.block + 1, 1.08 * expanded.row, expanded.least_rows);
    const double bytes = static_cast<double>(w_.shape().size()) / 8 + slots * code_bytes;
    return products + passes * (masks + slots * cycles.expanded_code) + read_cycles(bytes) + far_bytes(bytes) +
           rows_of_x() * static_cast<double>(w_.shape().n) * std::ceil(k_ / 128) * cycles.expanded_sum + cycles.expand_call;
  }

 private:
  static constexpr double code_bytes = packed_numeric_t<N>::bits / 8.0;
  double rows_of_x() const { return static_cast<double>(m_); }
  double dense_strips() const { return static_cast<double>(ceil_div(w_.shape().n, shape_type::channels)); }
  double dense_strip_groups() const {
    return dense_strips() * static_cast<double>(ceil_div(w_.shape().k, shape_type::group_k));
  }
  /// Rows that are packed together.
  std::size_t cached_rows() const { return blocking<atom>::rows(w_.shape().k * x_bytes); }

  /// All blocks of rows of the rows loop.
  template <class Atom = atom>
  double rows_of_blocks(double strip_groups, double block, double row, double least_rows) const {
    double total = 0;
    const std::size_t whole = m_ > 2 * Atom::block_rows ? m_ / Atom::block_rows - 1 : 0;
    total += static_cast<double>(whole) * (block + row * (std::max)(static_cast<double>(Atom::block_rows), least_rows));
    for (std::size_t left = m_ - whole * Atom::block_rows; left > 0;) {
      const std::size_t height = next_block_height<Atom>(left);
      total += block + row * (std::max)(static_cast<double>(height), least_rows);
      left -= height;
    }
    return strip_groups * total;
  }
  /// However few the rows: what memory delivers, where the layers of a network come from; a row of floats reads ahead best.
  double read_cycles(double bytes) const { return bytes / (m_ == 1 && !N::is_integer ? 6.5 : 5); }
  /// Weights that only a shared cache or the memory holds pass by once for all rows that are packed together.
  /// Tall blocks of floats do not ask ahead.
  double far_bytes(double bytes) const {
    return (std::max)(bytes - 2.6e6, 0.0) * 0.08 * static_cast<double>(ceil_div(m_, cached_rows())) +
           (!N::is_integer && next_block_height<atom>(m_) > 5 ? 0.2 * bytes : 0);
  }

  /// Codes and lists that the second-level cache does not hold; short loops of bytes wait for them.
  static double far_codes(double bytes) {
    return SPARQ_HAS_AVX2 && !SPARQ_HAS_AVX512 && N::is_integer ? (std::max)(bytes - 0.6e6, 0.0) * 0.45
                                                                : (std::max)(bytes - 2.6e6, 0.0) * 0.1;
  }

  double columns_of(double groups, double adds, double steps, bool has_runs, x_layout layout, double bytes,
                    std::size_t slots) const {
    const auto n = static_cast<double>(w_.shape().n);
    const double codes = adds * static_cast<double>(column_shape_type::group_k);
    if (m_ <= column_blocking::gathered_rows)
      return rows_of_x() * (groups * cycles.gathered_group + adds * cycles.gathered_add + steps * cycles.gathered_step +
                            n * cycles.gathered_sum) +
             steps * cycles.first_step + (N::bits < 8 ? codes * cycles.gathered_code : 0) + read_cycles(bytes) +
             far_codes(bytes) + cycles.gather_call;
    const auto block_rows = static_cast<std::size_t>(cycles.column_rows);
    const std::size_t rest = m_ % block_rows;
    const bool has_half = rest != 0 && 2 * rest <= block_rows;
    const std::size_t blocks = ceil_div(m_, block_rows);
    const auto whole = static_cast<double>(blocks - has_half);
    // X that no cache of the core holds
    const std::size_t block_bytes = w_.shape().k * block_rows * column_x_bytes;
    const std::size_t cached = (std::min)(column_blocking::blocks(block_bytes), blocks);
    const std::size_t section = (std::min)(sparq::detail::column_section_k(w_.shape(), slots, N::is_integer, m_), w_.shape().k);
    const double far = (section * block_rows * column_x_bytes > 32768 ? cycles.near_group : 0) +
                       (cached * block_bytes > 450000 ? cycles.far_group : 0);
    const auto block = [&](double group, double add) {
      const double loads = groups * ((has_runs ? cycles.run_group : group) + far);
      return (std::max)(loads + adds * add, adds * cycles.least_add * (add / cycles.add));
    };
    const double passes = static_cast<double>(ceil_div(blocks, (std::max)(cached, std::size_t{1})));
    return whole * block(cycles.group, cycles.add) + (has_half ? block(cycles.half_group, cycles.half_add) : 0) +
           steps * cycles.first_step + static_cast<double>(blocks) * (steps * cycles.step + k_ * cycles.packed_k * (layout == x_layout::k_major ? 0.4 : 1)) +
           passes * (codes * cycles.code + far_codes(bytes)) + read_cycles(bytes) / 2 + n * rows_of_x() * cycles.column_sum +
           cycles.columns_call;
  }

  tensor_view<F, N, G> w_;
  std::size_t m_;
  double k_;
};

/// Whether the rows loop takes scales along k of this tensor.
template <format F, numeric N, quantization_granularity G>
constexpr bool rows_take_scales() {
  return sparq::detail::can_cut<typename F::row_select, sparq::detail::rows_k_map<F>, packed_numeric_t<N>, G,
                                default_panel_shape<N>>();
}

}  // namespace machine

/// Estimates the loops for m rows of X. Columns of X run in the columns loop alone; scales along k in the rows loop where
/// it takes them, or in windows, because sections of the columns loop are short, and never as a bitmask. O(n k).
template <format F, numeric N, quantization_granularity G>
loop_costs estimate_loops(const tensor_view<F, N, G>& w, std::size_t m, x_layout layout = x_layout::row_major) {
  constexpr double never = std::numeric_limits<double>::infinity();
  loop_costs costs{never, never, never, never};
  if constexpr (scales_along_k_v<G>) {
    if constexpr (machine::rows_take_scales<F, N, G>() && takes_windows_v<F, N, G>) {
      if (layout == x_layout::row_major) {
        const machine::loop_estimate<F, N, G> estimate(w, m);
        costs.rows = estimate.rows();
        costs.window = estimate.windows();
        costs.dense = estimate.dense_rows();
        return costs;
      }
    }
    (machine::rows_take_scales<F, N, G>() && layout == x_layout::row_major ? costs.rows : costs.columns) = 1;
    return costs;
  } else {
    const machine::loop_estimate<F, N, G> estimate(w, m);
    costs.columns = estimate.columns(layout);
    if (layout == x_layout::k_major) {
      costs.dense = estimate.dense_columns(layout);
      return costs;
    }
    costs.rows = estimate.rows();
    costs.dense = (std::min)(estimate.dense_rows(), estimate.dense_columns(layout));
    if constexpr (!has_tables<N>) costs.expand = estimate.expand();  // looking up costs more than reading dense codes
    if constexpr (takes_windows_v<F, N, G>) costs.window = estimate.windows();
    return costs;
  }
}

/// The faster loop for m rows of X, as far as estimates go, among those that take X as it lies. O(n k).
template <format F, numeric N, quantization_granularity G>
loop_kind choose_loop(const tensor_view<F, N, G>& w, std::size_t m, x_layout layout = x_layout::row_major) {
  return estimate_loops(w, m, layout).best();
}
template <format F, numeric N, quantization_granularity G>
loop_kind choose_loop(const tensor<F, N, G>& w, std::size_t m, x_layout layout = x_layout::row_major) {
  return choose_loop(w.view(), m, layout);
}

SPARQ_ABI_END
}  // namespace sparq
