// SPDX-License-Identifier: MIT
#pragma once
// Y[m][n] = epilogue(sum_k X[m][k] * W[n][k]) for packed weights of any format and numeric type.

#include <sparq/kernel/bit_rows.hpp>
#include <sparq/kernel/column_loop.hpp>
#include <sparq/kernel/epilogue.hpp>
#include <sparq/kernel/executor.hpp>
#include <sparq/kernel/expand_loop.hpp>
#include <sparq/kernel/explanation.hpp>
#include <sparq/kernel/narrow_rows.hpp>
#include <sparq/kernel/quads.hpp>
#include <sparq/kernel/rows_loop.hpp>
#include <sparq/kernel/select.hpp>
#include <sparq/kernel/tile_target.hpp>
#include <sparq/kernel/work_grid.hpp>
#include <sparq/kernel/workspace.hpp>
#include <sparq/tensor/matrix.hpp>
#include <sparq/tensor/pack.hpp>
#include <sparq/tensor/up_to_127.hpp>

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

/// The loop that reads a packed type.
template <class Packed, class Atom, class Source, class Y, class Epilogue>
struct loop_for {
  using type = rows_loop<Packed, Atom, Source, Y, Epilogue>;
};
template <class N, class G, class Shape, class Atom, class Source, class Y, class Epilogue>
struct loop_for<packed_columns_view<N, G, Shape>, Atom, Source, Y, Epilogue> {
  using type = column_loop<packed_columns_view<N, G, Shape>, Atom, Source, Y, Epilogue>;
};
template <class N, class G, class Shape, class Atom, class Source, class Y, class Epilogue>
struct loop_for<packed_bitmask_view<N, G, Shape>, Atom, Source, Y, Epilogue> {
  using type = expand_loop<packed_bitmask_view<N, G, Shape>, Atom, Source, Y, Epilogue>;
};

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

/// The view behind whatever weights were given; explains what is missing when they are not packed.
template <class W>
constexpr auto packed_of(const W& w) {
  static_assert(!sparq::detail::is_tensor_v<W>, "sparq: operations take packed weights; call sparq::pack(w) once and keep the result");
  if constexpr (is_packed_v<W>)
    return w;
  else
    return w.view();
}

template <class XView, class YView, class Packed>
constexpr void check_layouts() {
  static_assert((!is_k_major_v<XView> && !is_k_major_v<YView>) || requires { typename Packed::steps; },
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
    atom_for<numeric_of_t<X>, typename Packed::numeric_type, typename Packed::panel_shape_type, Atoms>, no_atom>;

template <class X, class Packed, class Atoms, class... Stages>
constexpr void check_types() {
  static_assert(multiplies_v<X, Packed, Atoms>,
                "sparq: no kernel multiplies this type of X by these weights; floats meet f32, bytes and 16 bits "
                "meet integer weights packed in panel_shape<16, 4> or column_shape<4, 4>, binary "
                "views binary, ternary and 2-bit weights in bit_panel_shape");
  static_assert(Packed::panel_shape_type::group_k != 32 || !(takes_zero_point_of_x_v<Stages> || ... || false),
                "sparq: codes of -1 and 1 have no zero point; leave subtract_zero_point out");
  static_assert(!may_leave_weights_out<Packed>() || !(gives_zero_a_value_v<Stages> || ... || false),
                "sparq: weights that a format leaves out are 0 and have no zero point or offset; keep such weights in dense, "
                "packed in panel_shape");
  static_assert(!scales_along_k_v<typename Packed::granularity> ||
                    !(std::is_same_v<Stages, subtract_weight_zero_point> || ... || false),
                "sparq: scales along k leave no integer sum that a zero point of W could be taken from; use group_sums, or "
                "subtract it from the codes before they are encoded");
  static_assert(!scales_along_k_v<typename Packed::granularity> ||
                    !(std::is_same_v<Stages, subtract_zero_point_per_row> || ... || false),
                "sparq: scales along k leave no integer sum that zero points of rows could be taken from; quantize the rows "
                "to std::int8_t");
}

/// Scales along k leave no integer sum behind the loop: it takes X's zero point back itself, and the stage falls away.
template <class Stage>
auto keep_unless_zero_point(const Stage& stage) {
  if constexpr (std::is_same_v<Stage, subtract_zero_point>)
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
            if constexpr (std::is_same_v<std::remove_cvref_t<decltype(one)>, subtract_zero_point>) sum += one.zero_point;
          };
          (add(stage), ...);
        },
        stages.stages);
  return sum;
}

/// The shape that picks the atom: sources that cannot pack runs of k's leave them to the atom of single ones, whose lists
/// are the same.
template <class Source, class Shape>
struct shape_for_source {
  using type = Shape;
};
template <class Source, std::size_t Channels, std::size_t GroupK, std::size_t Run>
  requires(requires { Source::packs_runs; })
struct shape_for_source<Source, column_shape<Channels, GroupK, Run>> {
  using type = column_shape<Channels, GroupK, Source::packs_runs ? Run : 1>;
};

/// An operation and how it is cut: what runs, what it needs, and what explain() tells.
template <class Atoms, class Source, class Packed>
class operation {
 public:
  using atom = atom_for<typename numeric_of_source<Source>::type, typename Packed::numeric_type,
                        typename shape_for_source<Source, typename Packed::panel_shape_type>::type, Atoms>;
  // scales along k leave sums that are scaled already
  static constexpr bool is_scaled = scales_along_k_v<typename Packed::granularity>;
  using sum_type = std::conditional_t<is_scaled, float, typename atom::acc_type>;
  using loop_type = typename loop_for<Packed, atom, Source, tile_target<sum_type>, stages_of_target>::type;

  /// Refers to y and stages.
  template <class Y, class Epilogue>
  operation(const Source& source, std::size_t m, const Packed& w, const Y& y, const Epilogue& stages,
            std::size_t concurrency, std::int32_t zero_point = 0)
      : operation(source, m, w, tile_target_of<sum_type>(y, stages), strips_stand_apart(w, y), concurrency, zero_point) {}
  /// For questions only: nothing is stored, so Y may hold what no stages yield.
  template <class Y>
  operation(const Source& source, std::size_t m, const Packed& w, const Y& y, std::size_t concurrency)
      : operation(source, m, w, tile_target<sum_type>{nullptr, nullptr, y.rows, nullptr}, strips_stand_apart(w, y), concurrency) {}
  operation(const Source& source, std::size_t m, const Packed& w, const tile_target<sum_type>& y, bool may_cut_strips,
            std::size_t concurrency, std::int32_t zero_point = 0)
      : loop_(w, source, y, {}, zero_point),
        m_(m),
        grid_(work_grid::make(concurrency, m, loop_type::block_rows, may_cut_strips ? loop_.strips() : 1)) {}

  std::size_t workspace_bytes() const {
    return grid_.parts() * loop_.scratch_bytes((std::min)(grid_.part_rows(m_, loop_type::block_rows), m_));
  }
  /// With which the rows of every part are taken one by one, in the columns loop block by block.
  std::size_t least_workspace_bytes() const { return grid_.parts() * loop_.scratch_bytes((std::min)(least_rows, m_)); }
  template <class Executor>
  status run(Executor& executor, workspace& scratch) const {
    auto bytes = scratch.try_reserve(workspace_bytes(), least_workspace_bytes());
    if (!bytes) return bytes.error();
    run_parts(loop_, grid_, m_, loop_type::block_rows, least_rows, *bytes, executor);
    return {};
  }
  explanation explain() const {
    return {std::string(loop_.atom_name()), to_string(native_isa),  std::string(loop_.loop_name()),
            Packed::layout_name(),   loop_.x_access(),       loop_type::block_rows,
            loop_.block_channels,    loop_.cached_rows(),    grid_.parts(),
            workspace_bytes(),       least_workspace_bytes()};
  }

 private:
  static constexpr std::size_t least_rows = requires { typename Packed::steps; } ? loop_type::block_rows : 1;
  loop_type loop_;
  std::size_t m_;
  work_grid grid_;
};

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

/// Y = epilogue(X W^T).
/// - `x`: m x k, u8, s8, s16 or f32, or bytes up_to_127; `w`: packed n x k; `y`: m x n, s32, f32, s16, s8 or u8, or int64 where X is s16; must
///   not overlap x or w. Each is a matrix_view, a narrow_matrix_view of 1 to 4 bits, or a k_major_view or quad_view
///   where w is packed for the columns loop
/// - `stages`: see kernel/epilogue.hpp; empty for plain s32 or f32 sums
/// - `executor`: runs the parts of the work; `scratch`: as many bytes as explain_gemm says
/// Integer sums are exact int32 on every CPU for any input, as long as they fit, and int64 where X is s16; float sums add
/// in the order of k, for weights packed as a bitmask within sections of 128 k's, whose sums are added in their order, and
/// for few rows of X and codebooks of up to 16 f32 entries in sixteen sums that are added up at the end.
/// X of binary (-1 and 1) and weights in bit_panel_shape are multiplied bit by bit; with other weights X is unpacked.
/// Rows of Y whose channel is pruned hold epilogue(0). Nothing is written when an error is returned.
/// Errors: extents that do not match, epilogue parameters that do not match, a fixed workspace that is too small.
/// Complexity O(m x stored weights).
template <class Atoms = default_atoms, machine::activations X, class W, machine::activations Y, class... Stages,
          executor Executor>
status try_gemm(X x, const W& w, Y y, const epilogue<Stages...>& stages, Executor&& executor, workspace& scratch) {
  const auto packed = machine::packed_of(w);
  using packed_type = std::remove_cvref_t<decltype(packed)>;
  machine::check_layouts<X, Y, packed_type>();
  machine::check_types<machine::x_element<packed_type, X>, packed_type, Atoms, Stages...>();
  if (status s = machine::check_operands(x, packed.shape(), y); !s.ok()) return s;
  if (status s = stages.check(y.rows, y.columns); !s.ok()) return s;
  const auto source = machine::source_for<packed_type>(x);
  const auto target = machine::target_of(y);
  const auto behind = machine::stages_behind<packed_type>(stages);
  return machine::operation<Atoms, std::remove_const_t<decltype(source)>, packed_type>(
             source, x.rows, packed, target, behind, static_cast<std::size_t>(executor.concurrency()),
             machine::zero_point_inside<packed_type>(stages))
      .run(executor, scratch);
}

/// Throwing twin of try_gemm.
template <class Atoms = default_atoms, machine::activations X, class W, machine::activations Y, class... Stages,
          executor Executor>
void gemm(X x, const W& w, Y y, const epilogue<Stages...>& stages, Executor&& executor, workspace& scratch) {
  try_gemm<Atoms>(x, w, y, stages, executor, scratch).value();
}

/// One thread, no epilogue.
template <class Atoms = default_atoms, machine::activations X, class W, machine::activations Y>
void gemm(X x, const W& w, Y y, workspace& scratch) {
  try_gemm<Atoms>(x, w, y, epilogue<>{}, serial, scratch).value();
}

namespace machine {

/// X of a type that no kernel multiplies by weights packed as View.
template <class X, class View>
status no_kernel() {
  return status::failure("gemm: no kernel multiplies X of " + std::string(numeric_of_t<X>::name) + " by weights packed as " +
                         View::layout_name());
}

/// try_gemm by weights whose type is known at run time only: what would not compile is refused.
template <class Atoms, class X, class View, class Y, class Epilogue, class Executor>
status try_gemm_of_any(X x, const packed<View>& w, Y y, const Epilogue& stages, Executor&& executor, workspace& scratch) {
  if constexpr ((is_k_major_v<X> || is_k_major_v<Y>) && !requires { typename View::steps; })
    return status::failure("gemm: X or Y lies by columns, the weights are packed for the rows loop");
  else if constexpr (!multiplies_v<x_element<View, X>, View, Atoms>)
    return no_kernel<element_of<X>, View>();
  else
    return try_gemm<Atoms>(x, w, y, stages, executor, scratch);
}

}  // namespace machine

/// What gemm does with x, w and y, whose data is not touched, and this many parts.
/// A fixed workspace must hold `least_workspace_bytes` of the result; with less than `workspace_bytes` fewer rows of X meet
/// the weights at a time, to the same sums.
template <class Atoms = default_atoms, machine::activations X, class W, machine::activations Y>
explanation explain_gemm(X x, const W& w, Y y, std::size_t concurrency = 1) {
  const auto packed = machine::packed_of(w);
  using packed_type = std::remove_cvref_t<decltype(packed)>;
  machine::check_layouts<X, Y, packed_type>();
  machine::check_types<machine::x_element<packed_type, X>, packed_type, Atoms>();
  const auto source = machine::source_for<packed_type>(x);
  const auto target = machine::target_of(y);
  return machine::operation<Atoms, std::remove_const_t<decltype(source)>, packed_type>(source, x.rows, packed, target,
                                                                                       concurrency)
      .explain();
}

/// The same for m rows of elements X and Y by rows.
template <class X, class Y, class Atoms = default_atoms, class W>
explanation explain_gemm(std::size_t m, const W& w, std::size_t concurrency = 1) {
  const weight_shape shape = machine::packed_of(w).shape();
  return explain_gemm<Atoms>(matrix_view<const X>(nullptr, m, shape.k), w, matrix_view<Y>(nullptr, m, shape.n),
                             concurrency);
}

SPARQ_ABI_END
}  // namespace sparq
