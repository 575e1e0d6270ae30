// SPDX-License-Identifier: MIT
#pragma once
// What X, W and Y of a product may be, and what has to hold among them. What types decide, the compiler refuses with a
// sentence; what extents decide is an error of the call.

#include <sparq/kernel/epilogue/epilogue.hpp>
#include <sparq/kernel/epilogue/row_sum_stages.hpp>
#include <sparq/kernel/select.hpp>
#include <sparq/kernel/source/bit_rows.hpp>
#include <sparq/kernel/source/narrow_rows.hpp>
#include <sparq/kernel/source/quads.hpp>
#include <sparq/kernel/source/source.hpp>
#include <sparq/tensor/matrix.hpp>
#include <sparq/tensor/pack.hpp>
#include <sparq/tensor/packed.hpp>
#include <sparq/tensor/packed_bitmask.hpp>
#include <sparq/tensor/packed_columns.hpp>
#include <sparq/tensor/tensor.hpp>
#include <sparq/tensor/up_to_127.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

template <class T>
inline constexpr bool is_packed_v = false;
template <class... T>
inline constexpr bool is_packed_v<packed_view<T...>> = true;
template <class N, class G, class Shape>
inline constexpr bool is_packed_v<packed_columns_view<N, G, Shape>> = true;
template <class N, class G, class Shape>
inline constexpr bool is_packed_v<packed_bitmask_view<N, G, Shape>> = true;

/// Where X and Y lie: by rows for every loop, by columns for the columns loop alone.
template <class T>
inline constexpr bool is_k_major_v = false;
template <class T>
inline constexpr bool is_k_major_v<k_major_view<T>> = true;
template <class T>
inline constexpr bool is_k_major_v<quad_view<T>> = true;
/// Elements that share bytes.
template <class T>
inline constexpr bool is_narrow_matrix_v = false;
template <class N>
inline constexpr bool is_narrow_matrix_v<narrow_matrix_view<N>> = true;
template <class View>
concept activations = is_k_major_v<View> || is_narrow_matrix_v<View> ||
                      std::is_same_v<View, matrix_view<std::remove_reference_t<decltype(*View::data)>>>;

template <class X>
strided_rows<std::remove_const_t<X>> source_of(const matrix_view<X>& x) { return {x}; }
template <class X>
  requires std::is_same_v<std::remove_const_t<X>, byte_up_to_127>
source_of_codes<strided_rows<std::uint8_t>, u8_up_to_127> source_of(const matrix_view<X>& x) {
  return {{sparq::detail::as_bytes(x)}};
}
template <class X>
k_major_rows<std::remove_const_t<X>> source_of(const k_major_view<X>& x) { return {x}; }
template <class X>
quad_rows<std::remove_const_t<X>> source_of(const quad_view<X>& x) { return {x}; }
template <class N>
auto source_of(const narrow_matrix_view<N>& x) { return narrow_rows_of<std::remove_const_t<N>>(x, 0, x.columns); }

/// What the loop of these weights reads X as.
template <class Packed, class View>
auto source_for(const View& x) {
  if constexpr (counts_bits_v<View, Packed>)
    return bit_rows_of(x, 0, x.columns);
  else
    return source_of(x);
}
template <class Packed, class View>
using x_element = std::conditional_t<counts_bits_v<View, Packed>, eight_bits, element_of<View>>;

/// What a loop stores to.
template <class Y>
const Y& target_of(const Y& y) { return y; }
template <class Y>
quad_target<Y> target_of(const quad_view<Y>& y) { return {y.data, y.rows, y.columns, y.stride}; }
template <class N>
narrow_target target_of(const narrow_matrix_view<N>& y) { return narrow_target_of(y, 0, y.columns); }

/// The view behind whatever weights were given; explains what is missing when they are not packed, and goes on as if
/// they were, so that the compiler says nothing else.
template <class W>
constexpr auto packed_of(const W& w) {
  static_assert(!sparq::detail::is_tensor_v<W>,
                "sparq: operations take packed weights; call sparq::pack(w) once and keep the result");
  static_assert(sparq::detail::is_tensor_v<W> || is_packed_v<W> || requires { w.view(); },
                "sparq: weights that a plan packed have one of several forms; call this operation from their visit");
  if constexpr (is_packed_v<W>)
    return w;
  else if constexpr (sparq::detail::is_tensor_v<W>)
    return packed_view_of<W>();
  else if constexpr (requires { typename W::tensor_type; })
    return packed_view_of<typename W::tensor_type>();
  else
    return w.view();
}

template <class XView, class YView, class Packed>
constexpr void check_layouts() {
  static_assert(
      (!is_k_major_v<XView> && !is_k_major_v<YView>) || requires { typename Packed::steps; },
      "sparq: X or Y by columns needs weights packed for the columns loop; call sparq::pack<column_shape<4, 4>>(w), "
      "or column_shape<4, 1> for floats");
}

/// Packed weights among which some may be left out, as real zeros: all but those of dense, in the rows loop.
template <class Packed>
constexpr bool may_leave_weights_out() {
  if constexpr (requires { typename Packed::k_map; })
    return !std::is_same_v<typename Packed::k_map, contiguous> || !std::is_same_v<typename Packed::row_select, all>;
  else
    return true;
}

/// Whether a kernel multiplies X by weights of this type in the shape that they are packed in.
template <class X, class Packed, class Atoms>
inline constexpr bool multiplies_v = !std::is_same_v<
    atom_for<numeric_of_t<X>, typename Packed::numeric_type, typename Packed::shape_type, Atoms>, no_atom>;

template <class X, class Packed, class Atoms, class... Stages>
constexpr void check_types() {
  static_assert(multiplies_v<X, Packed, Atoms>,
                "sparq: no kernel multiplies this type of X by these weights; floats meet f32, bytes and 16 bits "
                "meet integer weights packed in panel_shape<16, 4> or column_shape<4, 4>, binary "
                "views binary, ternary and 2-bit weights in bit_panel_shape");
  static_assert(Packed::shape_type::group_k != 32 || !(takes_zero_point_of_x_v<Stages> || ... || false),
                "sparq: codes of -1 and 1 have no zero point; leave subtract_zero_point out");
  static_assert(
      !may_leave_weights_out<Packed>() || !(gives_zero_a_value_v<Stages> || ... || false),
      "sparq: weights that a format leaves out are 0 and have no zero point or offset; keep such weights in dense, "
      "packed in panel_shape");
  static_assert(
      !scales_along_k_v<typename Packed::granularity> ||
          !(std::is_same_v<Stages, subtract_weight_zero_point> || ... || false),
      "sparq: scales along k leave no integer sum that a zero point of W could be taken from; use group_sums, or "
      "subtract it from the codes before they are encoded");
  static_assert(
      !scales_along_k_v<typename Packed::granularity> ||
          !(std::is_same_v<Stages, subtract_zero_point_per_row> || ... || false),
      "sparq: scales along k leave no integer sum that zero points of rows could be taken from; quantize the rows "
      "to std::int8_t");
}

/// Scales along k leave no integer sum behind the loop: it takes X's zero point back itself, and the stage falls away;
/// so do those that check_types has refused.
template <class Stage>
auto keep_unless_zero_point(const Stage& stage) {
  if constexpr (std::is_same_v<Stage, subtract_zero_point> || std::is_same_v<Stage, subtract_weight_zero_point> ||
                std::is_same_v<Stage, subtract_zero_point_per_row>)
    return std::tuple<>();
  else
    return std::tuple<Stage>(stage);
}
template <class Packed, class... Stages>
auto stages_behind(const epilogue<Stages...>& stages) {
  if constexpr (!scales_along_k_v<typename Packed::granularity>)
    return stages;
  else
    return std::apply(
        [](const auto&... stage) {
          return std::apply([](const auto&... kept) { return epilogue(kept...); },
                            std::tuple_cat(keep_unless_zero_point(stage)...));
        },
        stages.stages);
}
template <class Packed, class... Stages>
std::int32_t zero_point_inside(const epilogue<Stages...>& stages) {
  std::int32_t sum = 0;
  if constexpr (scales_along_k_v<typename Packed::granularity>)
    std::apply(
        [&](const auto&... stage) {
          [[maybe_unused]] const auto add = [&](const auto& one) {
            if constexpr (std::is_same_v<std::remove_cvref_t<decltype(one)>, subtract_zero_point>)
              sum += one.zero_point;
          };
          (add(stage), ...);
        },
        stages.stages);
  return sum;
}

/// A view without its elements: what checks look at, so that they are compiled once.
struct matrix_extents {
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::size_t stride = 0;
  std::size_t least_stride = 0;  // the extent that the stride steps over
};
template <class View>
matrix_extents extents_of(const View& v) {
  if constexpr (is_narrow_matrix_v<View>)
    return {v.rows, v.columns, v.stride, v.row_bytes()};
  else if constexpr (requires { v.quad(0); })
    return {v.rows, v.columns, v.stride, 4 * v.rows};
  else
    return {v.rows, v.columns, v.stride, is_k_major_v<View> ? v.rows : v.columns};
}
inline std::string extent_text(const matrix_extents& v) {
  return std::to_string(v.rows) + " x " + std::to_string(v.columns);
}

inline status check_extents(const matrix_extents& x, weight_shape w, const matrix_extents& y) {
  if (x.columns != w.k)
    return status::failure("gemm: X is " + extent_text(x) + ", W is " + to_string(w) + "; X needs " +
                           std::to_string(w.k) + " columns");
  if (y.rows != x.rows || y.columns != w.n)
    return status::failure("gemm: Y is " + extent_text(y) + ", it needs to be " + std::to_string(x.rows) + " x " +
                           std::to_string(w.n));
  if (status s = sparq::detail::check_stride("gemm: X", x.stride, x.least_stride); !s.ok()) return s;
  return sparq::detail::check_stride("gemm: Y", y.stride, y.least_stride);
}
template <class XView, class YView>
status check_operands(const XView& x, weight_shape w, const YView& y) {
  return check_extents(extents_of(x), w, extents_of(y));
}

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
