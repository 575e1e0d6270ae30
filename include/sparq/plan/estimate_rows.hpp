// SPDX-License-Identifier: MIT
#pragma once
// Cycles of the rows loop: over weights as they are packed for it, over a bitmask that is expanded, and over windows.
// All three pass strips of 16 channels by blocks of rows.
//
//   X is packed
//   for each part of X that is packed together, for each strip:
//     the first block of rows multiplies while the strip arrives from memory, the others find it in a cache
//     each row's 16 sums are stored

#include <sparq/kernel/blocking.hpp>
#include <sparq/kernel/loop/expand_rows.hpp>
#include <sparq/kernel/loop/few_rows.hpp>
#include <sparq/kernel/loop/packed_rows.hpp>
#include <sparq/kernel/loop/tile_rows.hpp>
#include <sparq/plan/loop_shapes.hpp>
#include <sparq/tensor/pack.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// What stands for X in atoms: std::int16_t and pairs of bf16 have atoms of their own, any others cost what bytes and
/// f32 do.
template <numeric N, class X>
using planned_x_t =
    std::conditional_t<N::is_integer, std::conditional_t<std::is_same_v<X, std::int16_t>, s16, u8>,
                       std::conditional_t<multiplies_bf16_pairs_v<N, X>, bf16, f32>>;

/// Estimates for one tensor and one number of rows of X; every member gives cycles. Members look at the tensor: O(n k).
template <format F, numeric N, quantization_granularity G, class X = void>
class rows_estimate {
  using shape_type = default_panel_shape<N>;
  using k_map = sparq::detail::rows_k_map<F>;
  using window = sparq::detail::window_of<typename F::row_select, k_map, shape_type::group_k>;
  using x_type = planned_x_t<N, X>;
  using atom = atom_for<x_type, packed_numeric_t<N>, shape_type>;
  template <class Shape>
  using packer = sparq::detail::packer_for_t<Shape, F, N, G>;

  static constexpr loop_cycles all_cycles = cycles_of_codes<N, X>();
  static constexpr rows_cycles cycles = all_cycles.rows;
  static constexpr read_speeds read = all_cycles.read;
  static constexpr std::size_t x_bytes =  // of one packed element, at most
      N::is_integer || multiplies_bf16_pairs_v<N, X> ? 2 : 4;
  static constexpr double code_bytes = packed_numeric_t<N>::bits / 8.0;

  static constexpr bool permutes = window::positions_per_group != 0;
  static constexpr bool compacts = compacts_positions_v<atom, window>;
  static constexpr bool is_contiguous = std::is_same_v<k_map, contiguous> && !permutes;
  /// Wide weights in runs are asked for in their strip, too; the times of AVX2 were fitted without.
  static constexpr bool asks_in_runs = SPARQ_HAS_AVX512 && std::is_same_v<k_map, runs>;
  static constexpr bool is_wide = packed_numeric_t<N>::bits >= 16;
  /// Whether a panel's sums can be those of tiles (kernel/loop/tile_rows.hpp): of dense weights, and of these.
  static constexpr bool has_dense_tiles = has_tiles_v<atom> && scales_fill_tiles_v<G>;
  static constexpr bool has_tiles =
      has_dense_tiles &&
      (is_contiguous || (!scales_along_k_v<G> && !std::is_same_v<k_map, runs> && (!permutes || compacts)));

 public:
  rows_estimate(const tensor_view<F, N, G>& w, std::size_t m) : w_(w), m_(m) {}

  /// Weights as the rows loop reads them.
  double rows() const {
    const packer<shape_type> form(w_);
    const bool in_pairs = !SPARQ_HAS_AVX512 || form.strips() > w_.index.panels();  // of strips
    constexpr bool has_addresses = permutes || std::is_same_v<typename F::k_map, runs>;
    const double one_row = !in_pairs ? read.one_strip : is_contiguous ? read.one_row : read.one_row_addresses;
    const double few_rows = !in_pairs ? read.one_strip : has_addresses ? read.asked_addresses : read.asked;
    const weight_stream weights{.groups = form.strip_groups(),
                                .bytes = static_cast<double>(form.bytes()),
                                .strips = is_wide ? 0 : form.strips(),
                                .one_row = one_row,
                                .few_rows = few_rows,
                                .streams = streams(in_pairs),
                                .may_ask_for_next = is_contiguous,
                                .may_ask_in_strip = is_wide && (is_contiguous || compacts || asks_in_runs)};
    const bool tiled = has_tiles && in_tiles();
    const double products = tiled ? tiles(weights)
                                  : blocks<atom>(group_cycles(in_pairs), weights) +
                                        ends_of_blocks<atom>(form.strips(), in_pairs);
    return products + looking_up(form.strip_groups()) + preparing_x(tiled) +
           storing(form.strips(), is_contiguous ? 0 : cycles.listed_strip) + cycles.call;
  }

  /// The same weights in the format dense.
  double dense() const {
    const bool in_pairs = !SPARQ_HAS_AVX512 || dense_strips() > 1;
    const std::size_t words = dense_groups() * shape_type::channels;
    const weight_stream weights{.groups = dense_groups(),
                                .bytes = static_cast<double>(words * shape_type::group_k) * code_bytes,
                                .strips = is_wide ? 0 : dense_strips(),
                                .one_row = in_pairs ? read.one_row : read.one_strip,
                                .few_rows = in_pairs ? read.asked : read.one_strip,
                                .streams = streams(in_pairs),
                                .may_ask_for_next = true,
                                .may_ask_in_strip = is_wide};
    const bool tiled = has_dense_tiles && in_tiles();
    const double products = tiled ? tiles(weights)
                                  : blocks<atom>(in_pairs ? cycles.plain : cycles.single, weights) +
                                        ends_of_blocks<atom>(dense_strips(), in_pairs);
    return products + (tiled ? copying_x() : packing_x()) + storing(dense_strips()) + cycles.call;
  }

  /// Weights in native_window_shape<N, G>.
  double windows() const {
    using window_shape_type = native_window_shape<N, G>;
    using window_atom = atom_for<x_type, packed_numeric_t<N>, window_shape_type>;
    using atom_of_few = typename few_rows_atom<window_atom>::type;
    const bool shares_cut = !std::is_same_v<atom_of_few, window_atom> && m_ > atom_of_few::block_rows;
    const block_cycles chosen = shares_cut ? cycles.chosen_sharing_cut : cycles.chosen;
    // of bytes, windows of 16 need one permute, those of 32 two
    constexpr double reach = N::is_integer && !SPARQ_HAS_AVX512 && window_shape_type::window == 16 ? 2.0 / 3 : 1;
    constexpr std::size_t sixteens = window_shape_type::channels / 16;
    const packer<window_shape_type> form(w_);
    const weight_stream weights{.groups = form.strip_groups(),
                                .bytes = static_cast<double>(form.bytes()),
                                .one_row = read.one_row_windows,
                                .few_rows = read.few_rows_windows,
                                .by_eight = read.few_rows_windows,
                                .not_hidden = read.not_hidden_windows};
    const double packing = shares_cut ? copying_x() : packing_x();
    return blocks<window_atom>({reach * chosen.block, reach * chosen.row}, weights) +
           ends_of_blocks<window_atom>(form.strips(), false) +
           static_cast<double>(shares_cut ? form.strips() * blocks_of_rows<window_atom>() : 0) * cycles.joined_sums +
           looking_up(form.strip_groups()) + packing + storing(sixteens * form.strips(), cycles.listed_strip) +
           cycles.call;
  }

  /// Weights packed as a bitmask.
  double expand() const {
    using bitmask_shape_type = default_bitmask_shape<packed_numeric_t<N>>;
    using expanding_atom = atom_for<u8, packed_numeric_t<N>, bitmask_shape_type>;
    if constexpr (packed_numeric_t<N>::bits == 8 && !has_tables<N>)
      if (multiplies_expanded_v<expanding_atom> && m_ <= expanded_rows) return expand_in_registers();
    constexpr expand_cycles costs = all_cycles.expand;
    constexpr double just_written = 1.04;  // words come from where they were written to, a moment ago
    // expanded words are those of s8 and f32
    constexpr block_cycles bytes =
        multiplies_bf16_pairs_v<N, X> ? costs.words : cycles_of_this_isa<N::is_integer, false>().rows.plain;
    constexpr block_cycles written{bytes.block, just_written * bytes.row, bytes.least_rows};
    const auto masks = static_cast<double>(dense_strips() * ceil_div(w_.shape().k, bitmask_shape_type::mask_k));
    const auto codes = static_cast<double>(w_.index.slots());
    const double passes = parts();
    const double bytes_read = bitmask_bytes() + (passes - 1) * (std::max)(bitmask_bytes() - read.kept_bytes, 0.0);
    // the first section sets the sums, the others add
    constexpr std::size_t section_k = sparq::detail::bitmask_section_k<N, G, bitmask_shape_type>();
    const auto adding_sections = static_cast<double>(w_.shape().k == 0 ? 0 : (w_.shape().k - 1) / section_k);
    return blocks<atom>(written, {.groups = dense_groups()}) + passes * (masks * costs.mask + codes * costs.code) +
           bytes_read / read.bitmask + rows_of_x() * static_cast<double>(w_.shape().n) * adding_sections * costs.sum +
           static_cast<double>(dense_strips()) * (costs.stored * rows_of_x() * cycles.store + cycles.strip) +
           packing_x() + costs.call;
  }

 private:
  /// Weights on their way from memory.
  struct weight_stream {
    std::size_t groups = 0;         // strip groups
    double bytes = 0;               // 0: they do not come from memory
    std::size_t strips = 0;         // whose first nothing has asked for; 0: no such wait is counted
    double one_row = 1;             // bytes a cycle that one row of X gets
    double few_rows = 1;            // and two to five, where no block comes before them
    double by_eight = read.asked_by_eight;  // and six to eight, at most
    double streams = 1;             // times the speeds of two strips at once
    bool may_ask_for_next = false;  // tall blocks ask for the next strip, too, where the weights are many
    bool may_ask_in_strip = false;  // or in their own, where they are fewer
    double not_hidden = 0.1;        // of the shorter of multiplying and reading, what the longer does not hide
  };
  /// A panel of one strip is one stream, which comes more slowly.
  static constexpr double streams(bool in_pairs) { return in_pairs ? 1 : read.one_strip / read.asked; }

  double rows_of_x() const { return static_cast<double>(m_); }
  double k() const { return static_cast<double>(w_.shape().k); }
  std::size_t dense_strips() const { return ceil_div(w_.shape().n, shape_type::channels); }
  std::size_t dense_groups() const { return dense_strips() * ceil_div(w_.shape().k, shape_type::group_k); }
  double bitmask_bytes() const {
    return static_cast<double>(w_.shape().size()) / 8 + static_cast<double>(w_.index.slots()) * code_bytes;
  }

  /// Rows of X that are packed together, and how many times that is.
  template <class Atom>
  std::size_t rows_together() const {
    return blocking<Atom>::rows(w_.shape().k * x_bytes,
                                has_tables<N> ? blocking<Atom>::looked_up_x_bytes : blocking<Atom>::x_bytes);
  }
  /// Blocks that all rows of X are cut into.
  template <class Atom>
  std::size_t blocks_of_rows() const {
    std::size_t count = 0;
    for (std::size_t left = m_; left > 0; ++count) left -= next_block_height<Atom>(left);
    return count;
  }
  /// - `in_pairs`: a block has two strips
  template <class Atom>
  double ends_of_blocks(std::size_t strips, bool in_pairs) const {
    return static_cast<double>(ceil_div(strips, in_pairs ? 2 : 1) * blocks_of_rows<Atom>()) * cycles.block_end;
  }
  double parts() const { return static_cast<double>(ceil_div(m_, rows_together<atom>())); }

  /// Of a strip group of this format.
  /// - `in_pairs`: panels have several strips, and blocks take two
  static constexpr block_cycles group_cycles(bool in_pairs) {
    if constexpr (permutes && window::is_private) {
      constexpr double further = further_registers();
      constexpr double windows = 1.0 / window::groups;
      return {cycles.permuted.block + further * cycles.further.block,
              cycles.permuted.row + further * cycles.further.row + windows * cycles.permuted_window};
    } else if constexpr (permutes && !compacts) {
      constexpr double for_each_register = 0.5;  // a permute serves two registers of channels
      block_cycles shared = cycles.plain;
      shared.row *= cycles.shared_permute * (1 + for_each_register * further_registers());
      return shared;
    } else {
      return in_pairs ? cycles.plain : cycles.single;
    }
  }
  /// Registers that a permute reaches into, besides the first.
  static constexpr double further_registers() {
    constexpr std::size_t reach = SPARQ_HAS_AVX512 ? 16 : 8;
    return static_cast<double>(ceil_div(window::window, reach) - 1);
  }

  /// X as this format takes it: compacted for each panel, or packed once for all.
  double preparing_x(bool tiled) const {
    const double panel_k = k() * static_cast<double>(w_.index.panels());
    if constexpr (compacts)
      return panel_k * (rows_of_x() * cycles.compacted_shared + parts() * cycles.position);
    else if constexpr (std::is_same_v<typename F::k_map, list>)
      return panel_k * rows_of_x() * cycles.compacted;
    else
      return tiled ? copying_x() : packing_x();
  }
  double packing_x() const { return rows_of_x() * (cycles.packed_row + k() * cycles.widened_k); }
  double copying_x() const { return rows_of_x() * (cycles.packed_row + k() * cycles.copied_k); }

  /// Sums of all rows.
  double storing(std::size_t strips, double besides = 0) const {
    return static_cast<double>(strips) * (rows_of_x() * cycles.store + cycles.strip + besides);
  }
  /// Entries that tables give the groups of all strips.
  double looking_up(std::size_t groups) const { return static_cast<double>(groups) * parts() * cycles.looked_up; }

  bool in_tiles() const {
    return m_ >= tile_rows::least && dense_groups() >= tile_rows::least_groups * dense_strips() && uses_amx();
  }
  /// All tiles of rows; each part of X that is packed together meets all weights, whose reading nothing asks for.
  double tiles(weight_stream weights) const {
    const double parts = static_cast<double>(
        ceil_div(m_, blocking<atom>::rows(w_.shape().k, blocking<atom>::x_bytes_of_tiles, tile_rows::tallest)));
    const auto groups = static_cast<double>(weights.groups);
    double of_rows = cycles.tile_group;
    if constexpr (scales_along_k_v<G>)
      of_rows += cycles.scaled_tile / static_cast<double>(G::group / shape_type::group_k);
    const double products =
        groups * (static_cast<double>(ceil_div(m_, tile_rows::least)) * of_rows + parts * cycles.decoded_group);
    const double again = (parts - 1) * (std::max)(weights.bytes - read.kept_bytes, 0.0);
    const double reads = weights.bytes / read.unasked + again / read.again;
    return (std::max)(products, reads) + weights.not_hidden * (std::min)(products, reads);
  }

  /// All blocks of rows. The first one that meets a strip waits for memory, where the layers of a network come from;
  /// the others find the strip in the first-level cache. Once more for each part of X that is packed together.
  template <class Atom>
  double blocks(block_cycles of_group, weight_stream weights) const {
    const std::size_t together = (std::max)(blocking<Atom>::rows_of_pass(m_, rows_together<Atom>()), std::size_t{1});
    const auto part = [&](std::size_t rows, bool again) {
      return rows == 0 ? 0.0 : part_of_rows<Atom>(rows, of_group, weights, again);
    };
    const std::size_t first = (std::min)(m_, together), others = m_ - first;
    return part(first, false) + static_cast<double>(others / together) * part(together, true) +
           part(others % together, true);
  }
  double speed_of_tall_block(weight_stream weights, bool is_alone) const {
    const asked what = asked_for_weights_of(static_cast<std::size_t>(weights.bytes));
    if (what == asked::next_strip && weights.may_ask_for_next) return read.asked;
    if (what == asked::strip && weights.may_ask_in_strip) return read.asked_in_strip;
    return weights.streams * (is_alone ? read.unasked_alone : read.unasked);
  }
  /// - `again`: these weights have met other rows before
  template <class Atom>
  double part_of_rows(std::size_t rows, block_cycles of_group, weight_stream weights, bool again) const {
    const auto groups = static_cast<double>(weights.groups);
    const std::size_t first = next_block_height<Atom>(rows);
    std::size_t last = first;
    double all_products = groups * of_group(first);
    for (std::size_t left = rows - first; left > 0; left -= last) {
      last = next_block_height<Atom>(left);
      all_products += groups * of_group(last);
    }
    // short blocks ask for the next strip, the last one at the latest; else the first one waits
    const double bytes = (std::max)(weights.bytes - (again ? read.kept_bytes : 0), 0.0);
    const bool is_near = again && weights.bytes <= static_cast<double>(far_bytes);
    const auto waiting = [&](std::size_t height, double speed) {  // of the block that multiplies meanwhile
      if (is_near) speed = (std::max)(speed, read.again);
      const double products = groups * of_group(height), reads = bytes / speed;
      return (std::max)(reads - products, 0.0) + weights.not_hidden * (std::min)(products, reads);
    };
    if (m_ == 1) return all_products + waiting(first, weights.one_row);
    if (rows <= 5) return all_products + waiting(first, weights.few_rows);
    if (rows <= asking_rows<Atom>)
      return all_products + waiting(first, (std::min)(weights.few_rows, weights.by_eight));
    const double waits = last <= 5 ? waiting(last, weights.streams * read.asked)
                         : last <= asking_rows<Atom>
                             ? waiting(last, (std::min)(weights.streams * read.asked, weights.by_eight))
                             : waiting(first, speed_of_tall_block(weights, rows == first));
    if (weights.strips == 0) return all_products + waits;
    // nothing has asked for the first strip: only short blocks ask for what lies behind the weights before
    const double share = 1 / static_cast<double>(weights.strips);
    return all_products + (1 - share) * waits + share * waiting(first, weights.streams * read.unasked);
  }

  /// Few rows of bytes meet what is expanded in registers.
  double expand_in_registers() const {
    constexpr expand_cycles costs = all_cycles.expand;
    const double of_group = costs.mask_in_register + rows_of_x() * costs.row_in_register;
    const double products = static_cast<double>(dense_groups()) * of_group, reads = bitmask_bytes() / read.bitmask;
    return (std::max)(products, reads) + costs.not_hidden * (std::min)(products, reads) + storing(dense_strips()) +
           costs.call_in_registers;
  }

  tensor_view<F, N, G> w_;
  std::size_t m_;
};

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
