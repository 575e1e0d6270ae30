// SPDX-License-Identifier: MIT
#pragma once
// Cycles of the columns loop.
//
//   more than two rows:  X is packed, k-major             one or two rows:  X stays as it is
//     for each block of 16 rows (AVX2) or 64:               for each row:
//       for each loop over groups of one kind:                the same loops gather X
//         a group is loaded, its weights are added            sums are added up across lanes
//     sums are turned and stored

#include <sparq/kernel/blocking.hpp>
#include <sparq/kernel/loop/column_chunks.hpp>
#include <sparq/plan/estimate_rows.hpp>
#include <sparq/plan/loop_shapes.hpp>

#include <algorithm>
#include <cstddef>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Estimates for one tensor and one number of rows of X; every member gives cycles. O(n k).
template <format F, numeric N, quantization_granularity G, class X = void, class Y = void>
class columns_estimate {
  using shape_type = uncut_column_shape<F, N, G>;
  using packer = sparq::detail::packer_for_t<shape_type, F, N, G>;
  using atom = atom_for<planned_x_t<N, X>, packed_numeric_t<N>, shape_type>;
  using few_rows = typename few_rows_atom<atom>::type;
  using chunks = column_chunks<packed_view_of<tensor_view<F, N, G>, shape_type>>;

  static constexpr loop_cycles all_cycles = cycles_of_codes<N, X, Y>();
  static constexpr column_cycles cycles = all_cycles.columns;
  /// Whether each channel has k's of its own.
  static constexpr bool chooses_k =
      std::is_same_v<typename F::k_map, scattered> || !std::is_same_v<typename F::row_select, sparq::all>;
  /// Blocks of 1 x 4 fill whole turns; of other weights some are left, whose loop ends at another wrong guess.
  static constexpr bool has_rest = column_shape_for_t<F, s8>::run % 4 != 0;
  static constexpr double code_bytes = packed_numeric_t<N>::bits / 8.0;
  static constexpr std::size_t second_cache = 350000;  // bytes of X; a part of that is for weights
  static constexpr std::size_t block_rows = atom::lanes * atom::registers;
  static constexpr std::size_t row_bytes = block_rows * sizeof(typename atom::packed_x);  // of a block, for each k

  /// What the loop walks through.
  struct work {
    double groups = 0, adds = 0, steps = 0;  // loads of group_k k's of X, times that weights are added, loops
    double bytes = 0;                        // of packed weights
    std::size_t slots = 0;
    bool has_runs = false;  // groups of neighbouring k's
  };

 public:
  columns_estimate(const tensor_view<F, N, G>& w, std::size_t m, x_layout layout)
      : w_(w), m_(m), is_k_major_(layout == x_layout::k_major) {}

  /// Weights as the columns loop reads them.
  double columns() const {
    const packer form(w_, for_rows{m_});
    return of({static_cast<double>(form.work().groups), static_cast<double>(form.work().adds),
               static_cast<double>(form.work().steps), static_cast<double>(form.bytes()), w_.index.slots(),
               shape_type::run > 1});
  }
  /// The same weights in the format dense: each panel is one loop.
  double dense() const {
    const double groups = panels() * static_cast<double>(ceil_div(w_.shape().k, shape_type::group_k));
    return of({groups, groups * static_cast<double>(shape_type::channels), panels(),
               static_cast<double>(w_.shape().size()) * code_bytes, w_.shape().size(), false});
  }

 private:
  double of(const work& weights) const {
    if (m_ > gathered_rows<atom>) return blocks(weights);
    // half of the reading goes beside instructions; of floats none where it starts anew after every wrong guess
    constexpr double waited = chooses_k && has_rest && !N::is_integer ? 1 : 0.5;
    return weights.bytes / all_cycles.read.asked * waited + gathering(weights);
  }
  static double decoded(const work& weights) { return weights.adds * static_cast<double>(shape_type::group_k); }

  double gathering(const work& weights) const {
    constexpr gather_cycles costs = all_cycles.gather;
    const auto rows = static_cast<double>(m_);
    const double products =
        rows * (weights.groups * costs.group + weights.adds * costs.add + weights.steps * costs.step);
    const double guesses = weights.steps * (costs.first_step + (has_rest ? costs.rest : 0));
    const double chain = rows * weights.adds / 4 * costs.turn;
    return (std::max)(products + guesses, chain) + rows * static_cast<double>(w_.shape().n) * costs.sum +
           (decodes_v<N> ? decoded(weights) * costs.code : 0) + costs.call;
  }

  double blocks(const work& weights) const {
    const std::size_t all = ceil_div(m_, block_rows), whole = all - ends_in_half();
    const double passes = static_cast<double>(ceil_div(all, (std::max)(blocks_together(weights), std::size_t{1})));
    const double of_whole = products(weights, cycles.group, cycles.add, row_bytes);
    const double of_half = products(weights, ends_in_few() ? cycles.few_group : cycles.half_group,
                                    ends_in_few() ? cycles.few_add : cycles.half_add, last_row_bytes());
    constexpr double beside_block = 0.5;  // of what few rows take by themselves
    double total = static_cast<double>(whole) * of_whole;
    if (ends_in_half()) total += of_half * (ends_in_tall() ? beside_block : 1);
    // the first block multiplies while weights arrive
    const double reading = weights.bytes / all_cycles.read.columns, first = whole != 0 ? of_whole : of_half;
    total += (std::max)(reading - first, all_cycles.read.columns_shown * reading);
    // half a block is code of its own, whose ends of loops are guessed wrong once more
    const double codes = static_cast<double>((whole != 0) + ends_in_half());
    total += codes * (weights.steps * cycles.first_step + wrong_entries(weights) * cycles.entry);
    total += weights.steps * static_cast<double>(all - ends_in_tall()) * cycles.step;
    return total + packing_x(whole) + passes * decoded(weights) * cycles.code + storing(weights) + cycles.call;
  }

  /// Loops of which it is guessed wrong whether they are empty: of unstructured weights, most often where half are.
  double wrong_entries(const work& weights) const {
    if (!std::is_same_v<typename F::k_map, scattered> || w_.shape().k == 0) return 0;
    const std::size_t sections = ceil_div(w_.shape().k, section_k(weights));
    const double all = panels() * static_cast<double>(sections * column_steps<shape_type::channels>::count);
    const double filled = (std::min)(weights.steps / (std::max)(all, 1.0), 1.0);
    return all * 2 * filled * (1 - filled);
  }

  /// All groups of one block of rows.
  /// - `k_bytes`: of X in this block
  double products(const work& weights, double group, double add, std::size_t k_bytes) const {
    double fetching = cycles.near_group * left_near(weights, k_bytes);
    if (blocks_together(weights) * w_.shape().k * row_bytes > second_cache) fetching += cycles.far_group;
    // a run is only loaded, as many registers as rows fill
    const double of_run = cycles.run_group * static_cast<double>(k_bytes) / static_cast<double>(row_bytes);
    const double of_group = weights.has_runs ? of_run : group;
    const double loads = weights.groups * (fetching + of_group);
    const double adds = weights.adds * add, least = weights.adds * cycles.least_add * (add / cycles.add);
    // groups for few channels are loaded longer than they are added, others are not; nothing hides fetching
    const double hidden =
        weights.adds > 0.95 * weights.groups * static_cast<double>(shape_type::channels) ? cycles.hidden_by_all
                                                                                         : cycles.hidden;
    return (std::max)(loads + adds - hidden * (std::min)(weights.groups * of_group, adds), least);
  }
  /// Groups whose X has left the first-level cache: the more of X passes until a k comes again, the more. X whose k's
  /// follow each other arrives ahead of them; a list of k's that neighbouring panels share keeps its part of X near.
  double left_near(const work& weights, std::size_t k_bytes) const {
    if constexpr (std::is_same_v<typename F::k_map, contiguous> && !chooses_k) return 0;
    const auto of_passing = [&](double k) {
      const double kept = 32 * 1024 / (std::max)(k * static_cast<double>(k_bytes), 1.0);
      return (std::max)(1 - kept * kept, 0.0);
    };
    const auto all_k = static_cast<double>(section_k(weights));
    if constexpr (chooses_k) return of_passing(all_k);
    const double lists = static_cast<double>(w_.index.panels()), panels_of_list = (std::max)(panels() / lists, 1.0);
    const double of_panel = weights.groups * static_cast<double>(shape_type::group_k) / panels();
    // fetched for the first panel, and as often pushed out again
    const double away = (std::min)(2 / panels_of_list, 1.0);
    return of_passing((std::min)(of_panel, all_k)) * (1 - away) + of_passing(all_k) * away;
  }

  double packing_x(std::size_t whole) const {
    constexpr double by_columns = 0.4;  // X that lies by columns is copied, not turned
    const bool is_far = m_ * w_.shape().k * sizeof(typename atom::x_code) > second_cache;
    double of_k = static_cast<double>(whole) * cycles.packed_k;
    if (ends_in_half()) of_k += ends_in_few() ? cycles.few_packed_k : cycles.packed_k;
    if (is_far) of_k += static_cast<double>(whole + ends_in_half()) * cycles.far_packed_k;
    return static_cast<double>(w_.shape().k) * of_k * (is_k_major_ ? by_columns : 1);
  }
  double panels() const { return static_cast<double>(ceil_div(w_.shape().n, shape_type::channels)); }

  double storing(const work& weights) const {
    const std::size_t sections = scales_along_k_v<G> ? ceil_div(w_.shape().k, section_k(weights)) : 0;
    const double sums = static_cast<double>(round_up(w_.shape().n, 16) * round_up(m_, 8));
    return sums * (cycles.sum + static_cast<double>(sections) * cycles.scaled_sum);
  }

  /// k's of X that a panel passes at a time, at least 1.
  std::size_t section_k(const work& weights) const {
    const std::size_t k = (std::max)(w_.shape().k, std::size_t{1});
    return (std::min)(sparq::detail::column_section_k<G>(w_.shape(), weights.slots, N::is_integer, m_), k);
  }
  /// Blocks of rows whose X is packed together.
  std::size_t blocks_together(const work& weights) const {
    const bool by_sections =
        !scales_along_k_v<G> &&
        sparq::detail::column_section_k<G>(w_.shape(), w_.index.slots(), N::is_integer, m_) < w_.shape().k;
    const std::size_t blocks = chunks::template blocks<atom>(w_.shape().k * row_bytes, by_sections,
                                                             static_cast<std::size_t>(decoded(weights)));
    return (std::min)(blocks, ceil_div(m_, block_rows));
  }

  /// Whether the last block fills at most half of its registers.
  bool ends_in_half() const { return m_ % block_rows != 0 && 2 * (m_ % block_rows) <= block_rows; }
  bool ends_in_few() const { return takes_few_rows<atom>(m_ % block_rows, w_.shape().k); }
  /// Whether few last rows go with the block before them.
  bool ends_in_tall() const {
    return !scales_along_k_v<G> && m_ > block_rows && ends_in_half() && m_ % block_rows <= tall_rows<atom>;
  }
  std::size_t last_row_bytes() const {
    if (!ends_in_few()) return row_bytes;
    return few_rows::lanes * few_rows::registers * sizeof(typename few_rows::packed_x);
  }

  tensor_view<F, N, G> w_;
  std::size_t m_;
  bool is_k_major_;
};

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
