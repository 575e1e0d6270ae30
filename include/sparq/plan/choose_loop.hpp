// SPDX-License-Identifier: MIT
#pragma once
// Which loop multiplies a tensor fastest: `rows`, `columns`, or rows over weights packed as a bitmask (`expand`) or in
// windows of unstructured k's (`window`). The estimate counts what each loop does and weighs it with cycles that were
// measured for each instruction set (docs/plan.md says how, and how far the picks are off).

#include <sparq/format/dense.hpp>
#include <sparq/kernel/blocking.hpp>
#include <sparq/kernel/column_chunks.hpp>
#include <sparq/kernel/expand_rows.hpp>
#include <sparq/kernel/rows.hpp>
#include <sparq/kernel/select.hpp>
#include <sparq/plan/loop_cycles.hpp>
#include <sparq/tensor/pack.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>

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
  bool dense_is_as_fast() const { return std::isfinite(dense) && dense <= 1.02 * (std::min)({rows, columns, expand, window}); }
};

/// Windows as wide as one permute of this instruction set reaches, or of bytes two of AVX2; one where scales along k end a
/// window every 64 k's or sooner.
template <numeric N, quantization_granularity G = unquantized>
using native_window_shape =
    std::conditional_t<N::is_integer, window_shape<16, 4, SPARQ_HAS_AVX512VBMI ? 64 : sparq::detail::segment_k<G>(128) <= 64 ? 16 : 32>,
                       window_shape<16, 1, SPARQ_HAS_AVX512 ? 16 : 8>>;

/// Whether the plan considers windows: for formats that list k's that channels do not share, and codes that are weights, floats
/// of a table or looked up in registers. Bytes of larger tables take 3 cycles each wherever they are packed, and the columns
/// loop looks up the fewest.
template <format F, numeric N, quantization_granularity G>
inline constexpr bool takes_windows_v =
    std::is_same_v<typename F::k_map, scattered> && (!has_tables<N> || machine::has_small_tables_v<N> || machine::has_float_tables_v<N>);

namespace machine {

/// The shape for the columns loop; runs that scales along k would cut in two are packed k by k.
template <format F, numeric N, quantization_granularity G>
using uncut_column_shape =
    std::conditional_t<sparq::detail::segment_k<G>(4) % column_shape_for_t<F, N>::run == 0, column_shape_for_t<F, N>, default_column_shape<N>>;

/// Estimates for one tensor and one number of rows of X; every member gives cycles.
template <format F, numeric N, quantization_granularity G, class X = void, class Y = void>
class loop_estimate {
  using shape_type = default_panel_shape<N>;
  using column_shape_type = uncut_column_shape<F, N, G>;
  using row_packer = sparq::detail::packer_for_t<shape_type, F, N, G>;
  using column_packer = sparq::detail::packer_for_t<column_shape_type, F, N, G>;
  using window = sparq::detail::window_of<typename F::row_select, sparq::detail::rows_k_map<F>, shape_type::group_k>;
  using x_type = std::conditional_t<!N::is_integer, f32, std::conditional_t<std::is_same_v<X, std::int16_t>, s16, u8>>;
  using atom = atom_for<x_type, packed_numeric_t<N>, shape_type>;
  using column_atom = atom_for<x_type, packed_numeric_t<N>, column_shape_type>;
  static constexpr loop_cycles cycles = cycles_of_codes<N, X, Y>();
  static constexpr loop_cycles expanded = cycles_of_this_isa<N::is_integer, false>();  // expanded words are those of s8
  static constexpr std::size_t x_bytes = N::is_integer ? 2 : 4;  // of one packed element, at most

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
    } else if constexpr (window::positions_per_group != 0 && !compacts_positions_v<atom, window>) {
      row *= cycles.shared * (1 + 0.5 * further);
    }
    const auto panels = static_cast<double>(w_.index.panels());
    double packing = std::is_same_v<typename F::k_map, list> ? k_ * panels * rows_of_x() * cycles.compacted : widening();
    if constexpr (compacts_positions_v<atom, window>)
      packing = k_ * panels * (rows_of_x() * cycles.compacted_shared + static_cast<double>(ceil_div(m_, cached_rows())) * cycles.position);
    using k_map = sparq::detail::rows_k_map<F>;
    constexpr bool is_contiguous = std::is_same_v<k_map, contiguous> && window::positions_per_group == 0;
    const weight_stream stream{static_cast<double>(form.bytes()),
                               std::is_same_v<k_map, runs> ? cycles.one_row_with_addresses : cycles.one_row_bytes,
                               is_contiguous};
    return rows_of_blocks(static_cast<double>(form.strip_groups()), {block, row / narrow_gain<N>(), least}, stream) +
           looked_up(form.strip_groups()) + packing +
           static_cast<double>(form.strips()) * (rows_of_x() * cycles.store + (is_contiguous ? 0 : cycles.listed_strip)) +
           cycles.rows_call;
  }

  /// Of the same weights in the format dense.
  double dense_rows() const {
    constexpr double group_bytes = static_cast<double>(shape_type::channels * shape_type::group_k) * code_bytes;
    const weight_stream stream{dense_strip_groups() * group_bytes, cycles.one_row_bytes, true};
    return rows_of_blocks(dense_strip_groups(), {cycles.block, cycles.row / narrow_gain<N>(), cycles.least_rows}, stream) +
           dense_strips() * rows_of_x() * cycles.store + widening() + cycles.rows_call;
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

  /// Weights in native_window_shape<N, G>.
  double windows() const {
    using window_shape_type = native_window_shape<N, G>;
    using window_packer = sparq::detail::packer_for_t<window_shape_type, F, N, G>;
    using window_atom = atom_for<x_type, packed_numeric_t<N>, window_shape_type>;
    const window_packer form(w_);
    const weight_stream stream{static_cast<double>(form.bytes()), cycles.one_row_windows, false};
    const double reach = N::is_integer && !SPARQ_HAS_AVX512 && window_shape_type::window == 16 ? 2.0 / 3 : 1;  // one permute of two
    return rows_of_blocks<window_atom>(static_cast<double>(form.strip_groups()),
                                       {reach * cycles.chosen_block, reach * cycles.chosen_row, 0}, stream) +
           looked_up(form.strip_groups()) + static_cast<double>(form.strips()) * (rows_of_x() * cycles.store + cycles.listed_strip) +
           widening() + cycles.rows_call;
  }

  double expand() const {
    using bitmask_shape = default_bitmask_shape<packed_numeric_t<N>>;
    using expanding_atom = atom_for<u8, packed_numeric_t<N>, bitmask_shape>;
    if constexpr (packed_numeric_t<N>::bits == 8 && !has_tables<N>)
      if (multiplies_expanded_v<expanding_atom> && m_ <= expanded_rows) {
        const double bytes = static_cast<double>(w_.shape().size()) / 8 + static_cast<double>(w_.index.slots());
        return 0.5 * dense_strip_groups() * (std::max)(cycles.mask_in_register, rows_of_x() * cycles.least_add / 4) +
               bytes / cycles.read_bytes + dense_strips() * rows_of_x() * cycles.store + cycles.rows_call;
      }
    const double passes = static_cast<double>(ceil_div(m_, cached_rows()));
    const double masks = dense_strips() * static_cast<double>(ceil_div(w_.shape().k, bitmask_shape::mask_k)) * cycles.mask;
    const auto slots = static_cast<double>(w_.index.slots());
    const double products = rows_of_blocks(dense_strip_groups(), {expanded.block, 1.04 * expanded.row, expanded.least_rows}, {});
    const double bytes = static_cast<double>(w_.shape().size()) / 8 + slots * code_bytes;
    // the first section sets the sums, which are stored some strips at once
    constexpr std::size_t section_k = sparq::detail::bitmask_section_k<N, G, bitmask_shape>();
    const auto added = static_cast<double>(w_.shape().k == 0 ? 0 : (w_.shape().k - 1) / section_k);
    return products + passes * (masks + slots * cycles.expanded_code) + reading(bytes, passes) / cycles.read_bytes +
           rows_of_x() * (static_cast<double>(w_.shape().n) * added * cycles.expanded_sum + dense_strips() * 0.8 * cycles.store) +
           widening() + cycles.expand_call;
  }

 private:
  static constexpr double code_bytes = packed_numeric_t<N>::bits / 8.0;
  double rows_of_x() const { return static_cast<double>(m_); }
  double widening() const { return k_ * rows_of_x() * cycles.widened_k; }
  /// Entries that tables give the groups of all strips.
  double looked_up(std::size_t strip_groups) const {
    return static_cast<double>(strip_groups * ceil_div(m_, cached_rows())) * cycles.looked_up;
  }
  double dense_strips() const { return static_cast<double>(ceil_div(w_.shape().n, shape_type::channels)); }
  double dense_strip_groups() const {
    return dense_strips() * static_cast<double>(ceil_div(w_.shape().k, shape_type::group_k));
  }
  /// Rows that are packed together.
  std::size_t cached_rows() const { return blocking<atom>::rows(w_.shape().k * x_bytes); }

  /// Weights of the rows loop on their way from memory.
  struct weight_stream {
    double bytes = 0;
    double one_row = 1;            // bytes a cycle that one row of X gets
    bool may_ask_for_all = false;  // tall blocks ask for the next strip, too, where the weights are many
  };
  /// Cycles of a strip group: of a block of rows, and of each of its rows, at least so many.
  struct block_cycles {
    double block, row, least_rows;
    double operator()(std::size_t height) const { return block + row * (std::max)(static_cast<double>(height), least_rows); }
  };

  /// All blocks of rows of the rows loop. The first one that meets a strip waits for memory, where the layers of a network
  /// come from; the others find the strip in the first-level cache. Once more for each part of X that is packed together.
  template <class Atom = atom>
  double rows_of_blocks(double strip_groups, block_cycles of, weight_stream stream) const {
    const std::size_t together = blocking<Atom>::rows(w_.shape().k * x_bytes);
    const std::size_t parts = m_ > 2 * together ? m_ / together - 1 : 0;  // all but the last two are alike
    double total = static_cast<double>(parts) * part_of_rows<Atom>(together, strip_groups, of, stream, cycles.kept_bytes);
    double kept = parts == 0 ? 0 : cycles.kept_bytes;
    for (std::size_t left = m_ - parts * together; left > 0;) {
      const std::size_t rows = (std::min)(left, together);
      total += part_of_rows<Atom>(rows, strip_groups, of, stream, kept);
      kept = cycles.kept_bytes;
      left -= rows;
    }
    return total;
  }
  template <class Atom>
  double part_of_rows(std::size_t rows, double strip_groups, block_cycles of, weight_stream stream, double kept) const {
    const std::size_t first = next_block_height<Atom>(rows);
    const bool asks = first <= 5 || (stream.may_ask_for_all && stream.bytes > static_cast<double>(machine::far_bytes));
    const double speed = m_ == 1 ? stream.one_row : asks ? cycles.read_bytes : cycles.unasked_bytes;
    const double products = strip_groups * of(first), reads = (std::max)(stream.bytes - kept, 0.0) / speed;
    double total = (std::max)(products, reads) + 0.1 * (std::min)(products, reads);  // the rest of the shorter overlaps
    for (std::size_t left = rows - first; left > 0;) {
      const std::size_t height = next_block_height<Atom>(left);
      total += strip_groups * of(height);
      left -= height;
    }
    return total;
  }
  /// Bytes that are read: once, and again for each further pass what the second-level cache does not keep.
  static double reading(double bytes, double passes) {
    return bytes + (passes - 1) * (std::max)(bytes - cycles.kept_bytes, 0.0);
  }

  double columns_of(double groups, double adds, double steps, bool has_runs, x_layout layout, double bytes,
                    std::size_t slots) const {
    const auto n = static_cast<double>(w_.shape().n);
    const double codes = adds * static_cast<double>(column_shape_type::group_k);
    const double waiting = bytes / cycles.read_bytes / 2;  // half of the reading, the other half beside instructions
    if (m_ <= column_blocking::gathered_rows)
      return rows_of_x() * (groups * cycles.gathered_group + adds * cycles.gathered_add + steps * cycles.gathered_step +
                            n * cycles.gathered_sum) +
             steps * cycles.first_step + (decodes_v<N> ? codes * cycles.gathered_code : 0) + waiting + cycles.gather_call;
    constexpr std::size_t block_rows = column_atom::lanes * column_atom::registers;
    const std::size_t rest = m_ % block_rows;
    const bool has_half = rest != 0 && 2 * rest <= block_rows;
    const std::size_t blocks = ceil_div(m_, block_rows);
    const auto whole = static_cast<double>(blocks - has_half);
    using chunks = column_chunks<packed_view_of<tensor_view<F, N, G>, column_shape_type>>;
    constexpr std::size_t row_bytes = block_rows * sizeof(typename column_atom::packed_x);
    const std::size_t longest = (std::max)(w_.shape().k, std::size_t{1});  // k may be 0
    const std::size_t section = (std::min)(sparq::detail::column_section_k<G>(w_.shape(), slots, N::is_integer, m_), longest);
    const auto sections = static_cast<double>(scales_along_k_v<G> ? ceil_div(w_.shape().k, section) : 0);
    const bool by_sections = !scales_along_k_v<G> && section < w_.shape().k;
    const std::size_t cached = (std::min)(chunks::template blocks<column_atom>(w_.shape().k * row_bytes, by_sections), blocks);
    // X that the caches of the core do not hold
    const double further = cached * w_.shape().k * row_bytes > 450000 ? cycles.far_group : 0;
    const auto block = [&](double group, double add, std::size_t k_bytes) {
      const double far = (section * k_bytes > 32768 ? cycles.near_group : 0) + further;
      const double loads = groups * (has_runs ? cycles.run_group : group);
      return groups * far + (std::max)(loads + adds * add, adds * cycles.least_add * (add / cycles.add));
    };
    using few = typename few_rows_atom<column_atom>::type;
    const std::size_t last_bytes = takes_few_rows<column_atom>(rest, w_.shape().k)
                                       ? few::lanes * few::registers * sizeof(typename few::packed_x)
                                       : row_bytes;
    const double passes = static_cast<double>(ceil_div(blocks, (std::max)(cached, std::size_t{1})));
    return whole * block(cycles.group, cycles.add, row_bytes) +
           (has_half ? block(cycles.half_group, cycles.half_add, last_bytes) : 0) +
           steps * cycles.first_step * static_cast<double>((blocks > has_half) + has_half) +  // half a block is code of its own
           static_cast<double>(blocks) * (steps * cycles.step + k_ * cycles.packed_k * (layout == x_layout::k_major ? 0.4 : 1)) +
           passes * codes * cycles.code + waiting + n * rows_of_x() * (cycles.column_sum + sections * cycles.scaled_sum) +
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

/// Whether a tensor can be packed for a loop: scales along k may cut what a loop takes at once, and buckets need k's in order.
/// Windows: whether the plan considers them.
template <loop_kind Loop, format F, numeric N, quantization_granularity G>
inline constexpr bool packs_for_v = [] {
  if constexpr (Loop == loop_kind::rows)
    return machine::rows_take_scales<F, N, G>();
  else if constexpr (Loop == loop_kind::columns)
    return sparq::detail::columns_take_scales<G>() && !requires { N::table::bucket; };
  else if constexpr (Loop == loop_kind::expand)
    return sparq::detail::bitmask_can_cut<G, default_bitmask_shape<N>>();
  else
    return takes_windows_v<F, N, G>;
}();

/// Estimates the loops for m rows of X that take the tensor. Columns of X run in the columns loop alone. O(n k).
/// - `X`: of activations, which need to be named only if they are std::int16_t: their products take more instructions
/// - `Y`: what is stored; unless it is named, sums as they are. Bytes cost the columns loop less, which tells where k is small
template <class X = void, class Y = void, format F, numeric N, quantization_granularity G>
loop_costs estimate_loops(const tensor_view<F, N, G>& w, std::size_t m, x_layout layout = x_layout::row_major) {
  constexpr double never = std::numeric_limits<double>::infinity();
  loop_costs costs{never, never, never, never};
  const machine::loop_estimate<F, N, G, X, Y> estimate(w, m);
  if constexpr (packs_for_v<loop_kind::columns, F, N, G>) {
    costs.columns = estimate.columns(layout);
    costs.dense = estimate.dense_columns(layout);
  }
  if (layout == x_layout::k_major) return costs;
  if constexpr (packs_for_v<loop_kind::rows, F, N, G>) costs.rows = estimate.rows();
  if constexpr (packs_for_v<loop_kind::rows, dense, N, G>) costs.dense = (std::min)(costs.dense, estimate.dense_rows());
  if constexpr (!has_tables<N> && packs_for_v<loop_kind::expand, F, N, G>)
    costs.expand = estimate.expand();  // looking up costs more than reading dense codes
  if constexpr (packs_for_v<loop_kind::window, F, N, G> && packs_for_v<loop_kind::rows, F, N, G>)
    costs.window = estimate.windows();  // groups of scales that cut the rows loop's groups fill windows badly
  return costs;
}

/// The faster loop for m rows of X, as far as estimates go, among those that take X as it lies. `X` and `Y` as above. O(n k).
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
