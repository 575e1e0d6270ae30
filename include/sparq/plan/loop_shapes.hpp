// SPDX-License-Identifier: MIT
#pragma once
// In which shape a tensor is packed for each loop, and whether it can be.

#include <sparq/format/dense.hpp>
#include <sparq/kernel/loop/rows.hpp>
#include <sparq/kernel/select.hpp>
#include <sparq/plan/loop_costs.hpp>
#include <sparq/plan/loop_cycles.hpp>
#include <sparq/tensor/pack.hpp>

#include <cstddef>
#include <tuple>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// k's of a window: as many as one permute of this instruction set reaches, or of bytes two of AVX2; one where scales
/// along k end a window every 64 k's or sooner.
template <numeric N, quantization_granularity G>
inline constexpr std::size_t native_window = [] {
  if constexpr (!N::is_integer)
    return SPARQ_HAS_AVX512 ? 16 : 8;
  else if constexpr (SPARQ_HAS_AVX512VBMI)
    return 64;
  else
    return sparq::detail::segment_k<G>(128) <= 64 ? 16 : 32;
}();

/// Channels that share the addresses of windows: two registers where one permute reaches the whole window, so that its
/// load, which mostly crosses cache lines, serves both; looking entries up needs the registers.
template <numeric N>
inline constexpr std::size_t native_window_channels =
    !has_tables<N> && (N::is_integer ? SPARQ_HAS_AVX512VBMI : SPARQ_HAS_AVX512) ? 32 : 16;

}  // namespace machine

/// Windows as wide, and shared by as many channels, as suits this instruction set.
template <numeric N, quantization_granularity G = unquantized>
using native_window_shape =
    window_shape<machine::native_window_channels<N>, N::is_integer ? 4 : 1, machine::native_window<N, G>>;

/// Whether the plan considers windows: for formats that list k's that channels do not share, and codes that are
/// weights, floats of a table or looked up in registers. Bytes of larger tables take 3 cycles each wherever they are
/// packed, and the columns loop looks up the fewest.
template <format F, numeric N, quantization_granularity G>
inline constexpr bool takes_windows_v =
    std::is_same_v<typename F::k_map, scattered> &&
    (!has_tables<N> || machine::has_small_tables_v<N> || machine::has_float_tables_v<N>);

/// Whether a tensor can be packed for a loop: scales along k may cut what a loop takes at once, and buckets need k's in
/// order. Windows: whether the plan considers them.
template <loop_kind Loop, format F, numeric N, quantization_granularity G>
inline constexpr bool packs_for_v = [] {
  using k_map = sparq::detail::rows_k_map<F>;
  if constexpr (Loop == loop_kind::rows)
    return sparq::detail::can_cut<typename F::row_select, k_map, packed_numeric_t<N>, G, default_panel_shape<N>>();
  else if constexpr (Loop == loop_kind::columns)
    return sparq::detail::columns_take_scales<G>() && !requires { N::table::bucket; };
  else if constexpr (Loop == loop_kind::expand)
    return sparq::detail::bitmask_can_cut<G, default_bitmask_shape<N>>();
  else
    return takes_windows_v<F, N, G>;
}();

namespace machine {

/// The shape for the columns loop; runs that scales along k would cut in two are packed k by k.
template <format F, numeric N, quantization_granularity G>
using uncut_column_shape = std::conditional_t<sparq::detail::segment_k<G>(4) % column_shape_for_t<F, N>::run == 0,
                                              column_shape_for_t<F, N>, default_column_shape<N>>;

/// The shape in which weights are packed for a loop.
template <loop_kind Loop, format F, numeric N, quantization_granularity G>
using shape_of_loop = std::tuple_element_t<static_cast<std::size_t>(Loop),
                                           std::tuple<default_panel_shape<N>, uncut_column_shape<F, N, G>,
                                                      default_bitmask_shape<N>, native_window_shape<N, G>>>;

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
