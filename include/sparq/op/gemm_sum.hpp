// SPDX-License-Identifier: MIT
#pragma once
// A product with the sum of two weight tensors, added before the epilogue: W = a structured part + a remainder, for
// example tile-wise pruning that gives some of the best pruned weights back (TEW, arXiv 2008.13006).

#include <sparq/op/gemm.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

/// Both products of a gemm_sum or conv2d_sum, of the first block of rows.
struct sum_explanation {
  explanation first;
  explanation second;
  std::size_t workspace_bytes = 0;  // of the whole, which a fixed workspace must hold
};

namespace machine {

/// The part of a list of stages that concerns the sums of one tensor by itself: its share of X's zero point, unless the
/// loop takes that back itself.
template <class Packed, class Stage>
auto zero_point_stage(const Stage& stage) {
  if constexpr (std::is_same_v<Stage, subtract_zero_point> && !scales_along_k_v<typename Packed::granularity>)
    return std::tuple<Stage>(stage);
  else
    return std::tuple<>();
}
template <class Packed, class... Stages>
auto zero_point_stages(const epilogue<Stages...>& stages) {
  return std::apply(
      [](const auto&... stage) {
        return std::apply([](const auto&... found) { return epilogue(found...); },
                          std::tuple_cat(zero_point_stage<Packed>(stage)...));
      },
      stages.stages);
}

/// The epilogue of a block of rows: adds the first product's sums.
template <class Acc, class Epilogue>
struct adding_epilogue {
  numbered_rows<Acc> sums;  // of the block
  const Epilogue* stages;

  template <class Bound>
  struct bound_stages {
    numbered_rows<Acc> sums;
    Bound stages;

    SPARQ_INLINE auto operator()(const vec<Acc>& v, const lane_position& at) const {
      return stages(v + vec<Acc>::load(&sums(at.row, at.channel), at.count), at);
    }
  };
  SPARQ_INLINE auto for_channels(const lane_position& at) const {
    return bound_stages<decltype(stages->for_channels(at))>{sums, stages->for_channels(at)};
  }
};

/// The type of the sums that a product leaves for the stages. It stands here and not in the function that uses it,
/// because gcc 12 fails on a constant of a function in a type that the function's lambdas use.
template <class X, class Packed>
using product_sum =
    std::conditional_t<!Packed::numeric_type::is_integer || scales_along_k_v<typename Packed::granularity>, float,
                       std::conditional_t<std::is_same_v<X, std::int16_t>, std::int64_t, std::int32_t>>;

/// The products of X with A and with B, block by block of rows: A's sums wait for B's in the second-level cache.
/// - First, Second: what the loops of A and of B read X as; Y: what a loop stores to
template <class Atoms, class First, class Second, class A, class B, class Y>
struct two_products {
  static_assert(A::numeric_type::is_integer == B::numeric_type::is_integer,
                "sparq: two tensors add up when both hold integers or both hold floats");
  static_assert(scales_along_k_v<typename A::granularity> == scales_along_k_v<typename B::granularity>,
                "sparq: scaled sums and sums of codes do not add up; use scales along k for both tensors, or for none");
  using acc_type = product_sum<typename First::element, A>;
  using first_operation = operation<Atoms, First, A>;
  using second_operation = operation<Atoms, Second, B>;

  First first_x;
  Second second_x;
  std::size_t m;  // rows of X and Y
  A a;
  B b;
  Y y;
  std::size_t concurrency;

  /// Of a block: 256 KiB of sums, or 64 rows for each part.
  std::size_t block_rows() const {
    constexpr std::size_t sum_bytes = 256 * 1024, least = 64;
    const std::size_t fitting = sum_bytes / (sizeof(acc_type) * (std::max)(a.shape().n, std::size_t{1}));
    return (std::min)(m, round_up((std::max)(fitting, least), least) * (std::max)(concurrency, std::size_t{1}));
  }
  std::size_t sum_bytes() const { return round_up(block_rows() * a.shape().n * sizeof(acc_type), alignment); }
  std::size_t height(std::size_t row) const { return (std::min)(block_rows(), m - row); }
  /// The products of a block of this many rows, for questions only.
  first_operation first_product(std::size_t rows) const {
    return first_operation(first_x, rows, a, numbered_rows<acc_type>{}, concurrency);
  }
  second_operation second_product(std::size_t rows) const {
    return second_operation(second_x, rows, b, y, concurrency);
  }
  /// Scratch of the larger product; the last block may be smaller, and then cut into more parts.
  std::size_t product_bytes() const {
    std::size_t bytes = 0;
    if (m != 0)
      for (const std::size_t row : {std::size_t{0}, (m - 1) / block_rows() * block_rows()})
        bytes = (std::max)({bytes, first_product(height(row)).workspace_bytes(),
                            second_product(height(row)).workspace_bytes()});
    return bytes;
  }
  std::size_t workspace_bytes() const { return sum_bytes() + product_bytes(); }
  sum_explanation explain() const {
    const std::size_t rows = block_rows();
    return {first_product(rows).explain(), second_product(rows).explain(), workspace_bytes()};
  }

  template <class... Stages, class Executor>
  status run(const epilogue<Stages...>& stages, Executor& executor, workspace& scratch) const {
    auto bytes = scratch.try_reserve(workspace_bytes(), workspace_bytes());
    if (!bytes) return bytes.error();
    const auto zero_points = zero_point_stages<A>(stages);
    const auto behind = stages_behind<A>(stages);
    const std::int32_t inside = zero_point_inside<A>(stages);
    workspace rest(bytes->subspan(sum_bytes()));
    for (std::size_t row = 0; row < m; row += block_rows()) {
      const std::size_t rows = height(row);
      const numbered_rows<acc_type> sums{{reinterpret_cast<acc_type*>(bytes->data()), rows, a.shape().n}, row};
      const first_operation first(first_x, rows, a, sums, zero_points, concurrency, inside);
      if (status s = first.run(executor, rest, row); !s.ok()) return s;
      const adding_epilogue<acc_type, std::remove_const_t<decltype(behind)>> adding{sums, &behind};
      const second_operation second(second_x, rows, b, y, adding, concurrency, inside);
      if (status s = second.run(executor, rest, row); !s.ok()) return s;
    }
    return {};
  }
};

template <class Atoms, class First, class Second, class A, class B, class Y>
two_products<Atoms, First, Second, A, B, Y> two_products_of(const First& first_x, const Second& second_x, std::size_t m,
                                                            const A& a, const B& b, const Y& y,
                                                            std::size_t concurrency) {
  return {first_x, second_x, m, a, b, y, concurrency};
}

/// Whether both tensors meet such X and Y.
template <class Atoms, class X, class A, class B, class Y, class... Stages>
constexpr void check_both() {
  static_assert(!(std::is_same_v<Stages, subtract_zero_point_per_row> || ... || false),
                "sparq: zero points of rows cannot be shared out to two tensors; quantize the rows to std::int8_t");
  check_layouts<X, Y, A>();
  check_layouts<X, Y, B>();
  check_types<x_element<A, X>, A, Atoms, Stages...>();
  check_types<x_element<B, X>, B, Atoms, Stages...>();
}

}  // namespace machine

/// Y = epilogue(X (A + B)^T).
/// - `a`, `b`: packed n x k of the same numeric kind, each for any loop that takes X and Y; the rest as in gemm
/// - `scratch`: as many bytes as explain_gemm_sum says: what the larger of both products needs, and the sums of a block
///   of rows, 256 KiB or 64 rows for each part
/// Integer sums are exact; float sums add A's part to B's. Nothing is written when an error is returned.
/// Errors: those of gemm for either tensor. Complexity O(m x stored weights of both).
template <class Atoms = default_atoms, machine::activations X, class A, class B, machine::activations Y,
          class... Stages, executor Executor>
status try_gemm_sum(X x, const A& a, const B& b, Y y, const epilogue<Stages...>& stages, Executor&& executor,
                    workspace& scratch) {
  const auto first = machine::packed_of(a);
  const auto second = machine::packed_of(b);
  using first_type = std::remove_const_t<decltype(first)>;
  using second_type = std::remove_const_t<decltype(second)>;
  machine::check_both<Atoms, X, first_type, second_type, Y, Stages...>();
  if (status s = machine::check_operands(x, first.shape(), y); !s.ok()) return s;
  if (status s = machine::check_operands(x, second.shape(), y); !s.ok()) return s;
  if (status s = stages.check(y.rows, y.columns); !s.ok()) return s;
  return machine::two_products_of<Atoms>(machine::source_for<first_type>(x), machine::source_for<second_type>(x),
                                         x.rows, first, second, machine::target_of(y), concurrency_of(executor))
      .run(stages, executor, scratch);
}

/// Throwing twin of try_gemm_sum.
template <class Atoms = default_atoms, machine::activations X, class A, class B, machine::activations Y,
          class... Stages, executor Executor>
void gemm_sum(X x, const A& a, const B& b, Y y, const epilogue<Stages...>& stages, Executor&& executor,
              workspace& scratch) {
  try_gemm_sum<Atoms>(x, a, b, y, stages, executor, scratch).value();
}

/// What gemm_sum does with x, a, b and y, whose data is not touched, and this many parts.
/// @pre `a` and `b` have the same shape.
template <class Atoms = default_atoms, machine::activations X, class A, class B, machine::activations Y>
sum_explanation explain_gemm_sum(X x, const A& a, const B& b, Y y, std::size_t concurrency = 1) {
  const auto first = machine::packed_of(a);
  const auto second = machine::packed_of(b);
  using first_type = std::remove_const_t<decltype(first)>;
  using second_type = std::remove_const_t<decltype(second)>;
  machine::check_both<Atoms, X, first_type, second_type, Y>();
  return machine::two_products_of<Atoms>(machine::source_for<first_type>(x), machine::source_for<second_type>(x),
                                         x.rows, first, second, machine::target_of(y), concurrency)
      .explain();
}

/// The same for m rows of elements X and Y by rows.
template <class X, class Y, class Atoms = default_atoms, class A, class B>
sum_explanation explain_gemm_sum(std::size_t m, const A& a, const B& b, std::size_t concurrency = 1) {
  const weight_shape shape = machine::packed_of(a).shape();
  return explain_gemm_sum<Atoms>(matrix_view<const X>(nullptr, m, shape.k), a, b, matrix_view<Y>(nullptr, m, shape.n),
                                 concurrency);
}

SPARQ_ABI_END
}  // namespace sparq
