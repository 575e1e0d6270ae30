// SPDX-License-Identifier: MIT
#pragma once
// Y[m][n] = epilogue(sum_k X[m][k] * W[n][k]) for packed weights of any format and numeric type.

#include <sparq/kernel/operation.hpp>
#include <sparq/op/operands.hpp>
#include <sparq/tensor/pack.hpp>

#include <cstddef>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

/// Y = epilogue(X W^T).
/// - `x`: m x k, u8, s8, s16, f32, bf16 or f16, or bytes up_to_127; `w`: packed n x k; `y`: m x n, s32, f32, s16, s8 or
///   u8, or int64 where X is s16; must not overlap x or w. Each is a matrix_view, a narrow_matrix_view of 1 to 4 bits,
///   or a k_major_view or quad_view where w is packed for the columns loop
/// - `stages`: see kernel/epilogue/epilogue.hpp; empty for plain s32 or f32 sums
/// - `executor`: runs the parts of the work; `scratch`: as many bytes as explain_gemm says
/// Integer sums are exact int32 on every CPU for any input, as long as they fit, and exact int64 where X is s16. Float
/// sums add in the order of k, with exceptions: weights packed as a bitmask add within sections of 128 k's, whose sums
/// are added in their order; few rows of X add to several sums, which are added up at the end, where they meet
/// codebooks of up to 16 f32 entries or are gathered in the columns loop.
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
             source, x.rows, packed, target, behind, concurrency_of(executor),
             machine::zero_point_inside<packed_type>(stages))
      .run(executor, scratch);
}

/// Throwing twin of try_gemm.
template <class Atoms = default_atoms, machine::activations X, class W, machine::activations Y, class... Stages,
          executor Executor>
void gemm(X x, const W& w, Y y, const epilogue<Stages...>& stages, Executor&& executor, workspace& scratch) {
  try_gemm<Atoms>(x, w, y, stages, executor, scratch).value();
}

/// The calling thread, no epilogue.
template <class Atoms = default_atoms, machine::activations X, class W, machine::activations Y>
status try_gemm(X x, const W& w, Y y, workspace& scratch) {
  return try_gemm<Atoms>(x, w, y, epilogue<>(), serial, scratch);
}
template <class Atoms = default_atoms, machine::activations X, class W, machine::activations Y>
void gemm(X x, const W& w, Y y, workspace& scratch) {
  try_gemm<Atoms>(x, w, y, scratch).value();
}

/// What gemm does with x, w and y, whose data is not touched, and this many parts.
/// A fixed workspace must hold `least_workspace_bytes` of the result. With less than `workspace_bytes` fewer rows of X
/// meet the weights at a time; the sums are the same.
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
