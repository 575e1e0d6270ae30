// SPDX-License-Identifier: MIT
#pragma once
// A product with the sum of two weight tensors, added before the epilogue: W = a structured part + a remainder, for
// example tile-wise pruning that gives some of the best pruned weights back (TEW, arXiv 2008.13006).

#include <sparq/op/gemm.hpp>

#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// The part of a list of stages that concerns the sums of one tensor by itself: its share of X's zero point.
template <class Stage>
auto zero_point_stage(const Stage& stage) {
  if constexpr (std::is_same_v<Stage, subtract_zero_point>)
    return std::tuple<Stage>(stage);
  else
    return std::tuple<>();
}
template <class... Stages>
auto zero_point_stages(const epilogue<Stages...>& stages) {
  return std::apply(
      [](const auto&... stage) {
        return std::apply([](const auto&... found) { return epilogue(found...); },
                          std::tuple_cat(zero_point_stage(stage)...));
      },
      stages.stages);
}

template <class Acc, class... Stages>
auto with_addend(matrix_view<Acc> addend, const epilogue<Stages...>& stages) {
  return std::apply([&](const auto&... stage) { return epilogue(add(addend), stage...); }, stages.stages);
}

}  // namespace machine

/// Y = epilogue(X (A + B)^T).
/// - `x`: m x k by rows; `a`, `b`: packed n x k of the same numeric kind, for whichever loops; the rest as in gemm
/// - `scratch`: m n sums of 4 bytes beside what explain_gemm says for the larger of both products
/// Integer sums are exact; float sums add A's part to B's. Nothing is written when an error is returned.
/// Errors: those of gemm for either tensor. Complexity O(m x stored weights of both).
template <class Atoms = default_atoms, class X, class A, class B, class Y, class... Stages, executor Executor>
status try_gemm_sum(matrix_view<X> x, const A& a, const B& b, matrix_view<Y> y, const epilogue<Stages...>& stages,
                    Executor&& executor, workspace& scratch) {
  using numeric_type = typename decltype(machine::packed_of(a))::numeric_type;
  static_assert(numeric_type::is_integer == decltype(machine::packed_of(b))::numeric_type::is_integer,
                "sparq: two tensors add up when both hold integers or both hold floats");
  using acc_type = std::conditional_t<numeric_type::is_integer, std::int32_t, float>;
  const std::size_t parts = executor.concurrency();
  if (status s = machine::check_operands(x, machine::packed_of(a).shape(), y); !s.ok()) return s;
  if (status s = machine::check_operands(x, machine::packed_of(b).shape(), y); !s.ok()) return s;
  if (status s = stages.check(y.rows, y.columns); !s.ok()) return s;
  const std::size_t sum_bytes = round_up(y.rows * y.columns * sizeof(acc_type), alignment);
  const std::size_t work_bytes =
      (std::max)(explain_gemm<std::remove_const_t<X>, acc_type, Atoms>(x.rows, a, parts).workspace_bytes,
                 explain_gemm<std::remove_const_t<X>, Y, Atoms>(x.rows, b, parts).workspace_bytes);
  const auto bytes = scratch.try_reserve(sum_bytes + work_bytes);
  if (!bytes) return bytes.error();
  const matrix_view<acc_type> sums(reinterpret_cast<acc_type*>(*bytes), y.rows, y.columns);
  workspace rest(std::span<std::byte>(*bytes + sum_bytes, work_bytes));
  if (status s = try_gemm<Atoms>(x, a, sums, machine::zero_point_stages(stages), executor, rest); !s.ok()) return s;
  return try_gemm<Atoms>(x, b, y, machine::with_addend(sums, stages), executor, rest);
}

/// Throwing twin of try_gemm_sum.
template <class Atoms = default_atoms, class X, class A, class B, class Y, class... Stages, executor Executor>
void gemm_sum(matrix_view<X> x, const A& a, const B& b, matrix_view<Y> y, const epilogue<Stages...>& stages,
              Executor&& executor, workspace& scratch) {
  try_gemm_sum<Atoms>(x, a, b, y, stages, executor, scratch).value();
}

SPARQ_ABI_END
}  // namespace sparq
