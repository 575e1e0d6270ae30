// SPDX-License-Identifier: MIT
#pragma once
// A product with the sum of two weight tensors, added before the epilogue: W = a structured part + a remainder, for
// example tile-wise pruning that gives some of the best pruned weights back (TEW, arXiv 2008.13006).

#include <sparq/op/gemm.hpp>

#include <algorithm>
#include <type_traits>
#include <utility>

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

/// The epilogue of a block of rows: adds the first product's sums; positions count from the first row of Y.
template <class Acc, class Epilogue>
struct adding_epilogue {
  matrix_view<const Acc> sums;  // of the block
  const Epilogue* stages;
  std::size_t first_row;

  template <class Bound>
  struct bound_stages {
    matrix_view<const Acc> sums;
    std::size_t first_row;
    Bound stages;

    SPARQ_INLINE auto operator()(const vec<Acc>& v, lane_position at) const {
      const vec<Acc> sum = v + vec<Acc>::load(sums.row(at.row) + at.channel, at.count);
      at.row += first_row;
      return stages(sum, at);
    }
  };
  SPARQ_INLINE auto for_channels(const lane_position& at) const {
    return bound_stages<decltype(stages->for_channels(at))>{sums, first_row, stages->for_channels(at)};
  }
};

/// What a product leaves for the stages. By itself, because gcc 12 fails on a constant of a function in a type that its
/// lambdas use.
template <class Packed>
using product_sum =
    std::conditional_t<Packed::numeric_type::is_integer && !scales_along_k_v<typename Packed::granularity>, std::int32_t,
                       float>;

/// Sums of a block of rows, 256 KiB or 64 rows for each thread, stay in the second-level cache between the two products.
inline std::size_t sum_block_rows(std::size_t rows, std::size_t columns, std::size_t concurrency) {
  constexpr std::size_t sum_bytes = 256 * 1024, block_rows = 64;
  const std::size_t fitting = sum_bytes / (4 * (std::max)(columns, std::size_t{1}));
  return (std::min)(rows, round_up((std::max)(fitting, block_rows), block_rows) * (std::max)(concurrency, std::size_t{1}));
}

}  // namespace machine

/// Y = epilogue(X (A + B)^T).
/// - `x`: m x k by rows; `a`, `b`: packed n x k of the same numeric kind, for whichever loops; the rest as in gemm
/// - `scratch`: beside what the larger of both products needs, the sums of a block of rows: 256 KiB or 64 rows for each
///   thread
/// Integer sums are exact; float sums add A's part to B's. Nothing is written when an error is returned.
/// Errors: those of gemm for either tensor. Complexity O(m x stored weights of both).
template <class Atoms = default_atoms, class X, class A, class B, class Y, class... Stages, executor Executor>
status try_gemm_sum(matrix_view<X> x, const A& a, const B& b, matrix_view<Y> y, const epilogue<Stages...>& stages,
                    Executor&& executor, workspace& scratch) {
  using numeric_type = typename decltype(machine::packed_of(a))::numeric_type;
  static_assert(numeric_type::is_integer == decltype(machine::packed_of(b))::numeric_type::is_integer,
                "sparq: two tensors add up when both hold integers or both hold floats");
  static_assert(!(std::is_same_v<Stages, subtract_zero_point_per_row> || ... || false),
                "sparq: zero points of rows cannot be shared out to two tensors; quantize the rows to std::int8_t");
  static_assert(scales_along_k_v<typename decltype(machine::packed_of(a))::granularity> ==
                    scales_along_k_v<typename decltype(machine::packed_of(b))::granularity>,
                "sparq: scaled sums and sums of codes do not add up; use scales along k for both tensors, or for none");
  using acc_type = machine::product_sum<decltype(machine::packed_of(a))>;
  const std::size_t parts = executor.concurrency();
  if (status s = machine::check_operands(x, machine::packed_of(a).shape(), y); !s.ok()) return s;
  if (status s = machine::check_operands(x, machine::packed_of(b).shape(), y); !s.ok()) return s;
  if (status s = stages.check(y.rows, y.columns); !s.ok()) return s;
  const auto first = machine::packed_of(a);
  const auto second = machine::packed_of(b);
  const auto zero_points = machine::zero_point_stages(stages);
  using first_type = std::remove_const_t<decltype(first)>;
  using second_type = std::remove_const_t<decltype(second)>;
  machine::check_types<std::remove_const_t<X>, first_type, Atoms, Stages...>();
  machine::check_types<std::remove_const_t<X>, second_type, Atoms, Stages...>();
  const std::size_t block = machine::sum_block_rows(y.rows, y.columns, parts);
  const std::size_t sum_bytes = round_up(block * y.columns * sizeof(acc_type), alignment);
  // f(both products) for the rows from `row` on
  const auto products = [&](std::size_t row, acc_type* sum_data, const auto& f) -> status {
    const std::size_t rows = (std::min)(block, y.rows - row);
    const matrix_view<acc_type> sums(sum_data, rows, y.columns);
    const strided_rows<std::remove_const_t<X>> source{{x.row(row), rows, x.columns, x.stride}};
    const matrix_view<Y> block_y(y.row(row), rows, y.columns, y.stride);
    const machine::adding_epilogue<acc_type, epilogue<Stages...>> adding{sums, &stages, row};
    return f(machine::operation<Atoms, strided_rows<std::remove_const_t<X>>, first_type>(source, rows, first, sums,
                                                                                         zero_points, parts),
             machine::operation<Atoms, strided_rows<std::remove_const_t<X>>, second_type>(source, rows, second, block_y,
                                                                                          adding, parts));
  };
  std::size_t work_bytes = 0;
  if (y.rows != 0)
    for (const std::size_t row : {std::size_t{0}, (y.rows - 1) / block * block}) {  // the last block may be smaller
      const status counted = products(row, nullptr, [&](const auto& one, const auto& other) -> status {
        work_bytes = (std::max)({work_bytes, one.workspace_bytes(), other.workspace_bytes()});
        return {};
      });
      if (!counted.ok()) return counted;
    }
  const auto bytes = scratch.try_reserve(sum_bytes + work_bytes);
  if (!bytes) return bytes.error();
  workspace rest(std::span<std::byte>(*bytes + sum_bytes, work_bytes));
  for (std::size_t row = 0; row < y.rows; row += block) {
    const status result =
        products(row, reinterpret_cast<acc_type*>(*bytes), [&](const auto& one, const auto& other) -> status {
          if (status s = one.run(executor, rest); !s.ok()) return s;
          return other.run(executor, rest);
        });
    if (!result.ok()) return result;
  }
  return {};
}

/// Throwing twin of try_gemm_sum.
template <class Atoms = default_atoms, class X, class A, class B, class Y, class... Stages, executor Executor>
void gemm_sum(matrix_view<X> x, const A& a, const B& b, matrix_view<Y> y, const epilogue<Stages...>& stages,
              Executor&& executor, workspace& scratch) {
  try_gemm_sum<Atoms>(x, a, b, y, stages, executor, scratch).value();
}

SPARQ_ABI_END
}  // namespace sparq
