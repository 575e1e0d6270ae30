// SPDX-License-Identifier: MIT
#pragma once
// Y[m][n] = epilogue(sum_k X[m][k] * W[n][k]) for packed weights of any format and numeric type.

#include <sparq/kernel/epilogue.hpp>
#include <sparq/kernel/executor.hpp>
#include <sparq/kernel/explanation.hpp>
#include <sparq/kernel/panel_loop.hpp>
#include <sparq/kernel/select.hpp>
#include <sparq/kernel/workspace.hpp>
#include <sparq/tensor/matrix.hpp>
#include <sparq/tensor/pack.hpp>

#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

template <class T>
inline constexpr bool is_packed_v = false;
template <class... T>
inline constexpr bool is_packed_v<packed_view<T...>> = true;

/// The view behind whatever weights were given; explains what is missing when they are not packed.
template <class W>
constexpr auto packed_of(const W& w) {
  static_assert(!sparq::detail::is_tensor_v<W>, "sparq: operations take packed weights; call sparq::pack(w) once and keep the result");
  if constexpr (is_packed_v<W>)
    return w;
  else
    return w.view();
}

template <class X, class Packed, class Atoms, class... Stages>
constexpr void check_types() {
  using atom = atom_for<numeric_of_t<X>, typename Packed::numeric_type, typename Packed::panel_shape_type, Atoms>;
  static_assert(!std::is_same_v<atom, no_atom>,
                "sparq: no kernel multiplies this type of X by these weights; floats meet f32, bytes meet integer "
                "weights packed in panel_shape<16, 4>");
  static_assert(!requires { Packed::granularity::group; } ||
                    !(std::is_same_v<Stages, subtract_zero_point> || ... || false),
                "sparq: scales along k leave no sum to correct; use activations with zero point 0");
  if constexpr (requires { Packed::granularity::group; })
    static_assert(Packed::granularity::group % 32 == 0,
                  "sparq: kernels take scales along k in groups of a multiple of 32; use per_group<32>");
}

/// How work is cut for an executor: a grid of rows by strips of channels.
struct work_grid {
  std::size_t row_parts = 1;
  std::size_t strip_parts = 1;

  static work_grid make(std::size_t concurrency, std::size_t rows, std::size_t block, std::size_t strips) {
    work_grid grid;
    const std::size_t parts = (std::max)(concurrency, std::size_t{1});
    grid.row_parts = (std::min)(parts, (std::max)(ceil_div(rows, block), std::size_t{1}));
    grid.strip_parts = (std::min)(parts / grid.row_parts, (std::max)(strips, std::size_t{1}));
    return grid;
  }
  std::size_t parts() const { return row_parts * strip_parts; }
  /// Rows of one part, whole blocks of them.
  std::size_t part_rows(std::size_t rows, std::size_t block) const {
    return round_up(ceil_div(rows, row_parts), block);
  }
};

/// Runs a panel_loop over all rows and channels. @pre scratch has parts * scratch_bytes(part_rows)
template <class Loop, class Executor>
void run_parts(const Loop& loop, const work_grid& grid, std::size_t rows, std::size_t block, std::byte* scratch,
               Executor& executor) {
  const std::size_t part_rows = grid.part_rows(rows, block);
  const std::size_t strips = loop.strips();
  const std::size_t part_strips = ceil_div(strips, grid.strip_parts);
  const std::size_t bytes = loop.scratch_bytes((std::min)(part_rows, rows));
  executor.parallel_for(grid.parts(), [&](std::size_t part) {
    const std::size_t m0 = part / grid.strip_parts * part_rows;
    const std::size_t s0 = part % grid.strip_parts * part_strips;
    if (m0 < rows && s0 < strips)
      loop.run(m0, (std::min)(m0 + part_rows, rows), s0, (std::min)(s0 + part_strips, strips), scratch + part * bytes);
  });
}

/// An operation and how it is cut: what runs, what it needs, and what explain() tells.
template <class Atoms, class Source, class Packed, class Y, class Epilogue>
class panel_operation {
 public:
  using atom = atom_for<numeric_of_t<typename Source::element>, typename Packed::numeric_type,
                        typename Packed::panel_shape_type, Atoms>;

  panel_operation(const Source& source, std::size_t m, const Packed& w, matrix_view<Y> y, const Epilogue& stages,
                  std::size_t concurrency)
      : loop_(w, source, y, stages),
        m_(m),
        grid_(work_grid::make(concurrency, m, atom::block_rows, loop_.strips())) {}

  std::size_t workspace_bytes() const {
    return grid_.parts() * loop_.scratch_bytes((std::min)(grid_.part_rows(m_, atom::block_rows), m_));
  }
  template <class Executor>
  status run(Executor& executor, workspace& scratch) const {
    auto bytes = scratch.try_reserve(workspace_bytes());
    if (!bytes) return bytes.error();
    run_parts(loop_, grid_, m_, atom::block_rows, *bytes, executor);
    return {};
  }
  explanation explain() const {
    return {std::string(atom::name), to_string(native_isa),  "rows",
            Packed::layout_name(),   loop_.x_access(),       atom::block_rows,
            loop_.block_channels,    loop_.cached_rows(),    grid_.parts(),
            workspace_bytes()};
  }

 private:
  panel_loop<Packed, atom, Source, Y, Epilogue> loop_;
  std::size_t m_;
  work_grid grid_;
};

template <class X, class Y>
status check_operands(matrix_view<X> x, weight_shape w, matrix_view<Y> y) {
  if (x.columns != w.k)
    return status::failure("gemm: X is " + extent_text(x) + ", W is " + to_string(w) + "; X needs " +
                           std::to_string(w.k) + " columns");
  if (y.rows != x.rows || y.columns != w.n)
    return status::failure("gemm: Y is " + extent_text(y) + ", it needs to be " + std::to_string(x.rows) + " x " +
                           std::to_string(w.n));
  if (x.stride < x.columns || y.stride < y.columns)
    return status::failure("gemm: a stride is less than the columns of its matrix");
  return {};
}

}  // namespace machine

/// Y = epilogue(X W^T).
/// - `x`: m x k, u8, s8 or f32; `w`: packed n x k; `y`: m x n, s32, f32, s8 or u8, must not overlap x or w
/// - `stages`: see kernel/epilogue.hpp; empty for plain s32 or f32 sums
/// - `executor`: runs the parts of the work; `scratch`: as many bytes as explain_gemm says
/// Integer sums are exact int32 on every CPU for any input, as long as they fit; float sums add in the order of k.
/// Rows of Y whose channel is pruned hold epilogue(0). Nothing is written when an error is returned.
/// Errors: extents that do not match, epilogue parameters that do not match, a fixed workspace that is too small.
/// Complexity O(m x stored weights).
template <class Atoms = default_atoms, class X, class W, class Y, class... Stages, executor Executor>
status try_gemm(matrix_view<X> x, const W& w, matrix_view<Y> y, const epilogue<Stages...>& stages, Executor&& executor,
                workspace& scratch) {
  const auto packed = machine::packed_of(w);
  using packed_type = std::remove_cvref_t<decltype(packed)>;
  using x_type = std::remove_const_t<X>;
  machine::check_types<x_type, packed_type, Atoms, Stages...>();
  if (status s = machine::check_operands(x, packed.shape(), y); !s.ok()) return s;
  if (status s = stages.check(y.rows, y.columns); !s.ok()) return s;
  return machine::panel_operation<Atoms, strided_rows<x_type>, packed_type, Y, epilogue<Stages...>>(
             strided_rows<x_type>{x}, x.rows, packed, y, stages, executor.concurrency())
      .run(executor, scratch);
}

/// Throwing twin of try_gemm.
template <class Atoms = default_atoms, class X, class W, class Y, class... Stages, executor Executor>
void gemm(matrix_view<X> x, const W& w, matrix_view<Y> y, const epilogue<Stages...>& stages, Executor&& executor,
          workspace& scratch) {
  try_gemm<Atoms>(x, w, y, stages, executor, scratch).value();
}

/// What gemm does with m rows of X's element type, these weights and this many parts.
/// `workspace_bytes` of the result is what a fixed workspace must hold.
template <class X, class Y, class Atoms = default_atoms, class W>
explanation explain_gemm(std::size_t m, const W& w, std::size_t concurrency = 1) {
  const auto packed = machine::packed_of(w);
  using packed_type = std::remove_cvref_t<decltype(packed)>;
  machine::check_types<X, packed_type, Atoms>();
  const matrix_view<const X> x(nullptr, m, packed.shape().k);
  return machine::panel_operation<Atoms, strided_rows<X>, packed_type, Y, epilogue<>>(
             strided_rows<X>{x}, m, packed, matrix_view<Y>(nullptr, m, packed.shape().n), {}, concurrency)
      .explain();
}

/// One thread, no epilogue.
template <class Atoms = default_atoms, class X, class W, class Y>
void gemm(matrix_view<X> x, const W& w, matrix_view<Y> y, workspace& scratch) {
  try_gemm<Atoms>(x, w, y, epilogue<>{}, serial, scratch).value();
}

SPARQ_ABI_END
}  // namespace sparq
