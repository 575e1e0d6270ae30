// SPDX-License-Identifier: MIT
#pragma once
// Structured pruning that gives the best pruned weights back: W = a part in format F + a few single weights. With
// tile_wise this is TEW (arXiv 2008.13006), which keeps the accuracy that tiles alone would lose.
//
//   const remainder_pruning p = prune_with_remainder<tile_wise<128>>(w, shape, 0.75, 0.01);
//   const auto tiles = pack(encode<tile_wise<128>, s8>(w, shape, p.structured));
//   const auto rest = pack(encode<csr, s8>(w, shape, p.remainder));  // the same scales: encode looks at all of w
//   gemm_sum(x, tiles, rest, y, stages, executor, scratch);                        // added before the epilogue

#include <sparq/compress/prune.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace sparq {

/// What format F keeps, and what is kept besides. No element is in both masks.
struct remainder_pruning {
  mask structured;
  mask remainder;
};

/// Prunes to format F at `sparsity + remainder`, then keeps the highest |scores| among what was pruned, as many as
/// round(n k remainder) or as there are non-zero ones. Both masks together have the sparsity asked for, as closely as F
/// meets its own.
/// - `scores`: as in try_prune; `sparsity`, `remainder`: parts of all weights, in [0, 1), as is their sum
/// Errors: those of try_prune for F; a sum that is not below 1. Complexity O(n k).
template <format F>
expected<remainder_pruning> try_prune_with_remainder(std::span<const float> scores, weight_shape shape, double sparsity,
                                                     double remainder) {
  for (const double part : {sparsity, remainder})
    if (status s = check_sparsity(part); !s.ok()) return status::failure("prune: " + s.message());
  if (!(sparsity + remainder < 1))
    return status::failure("prune: sparsity " + number_text(sparsity) + " and a remainder of " +
                           number_text(remainder) + " leave nothing to " + F::name());
  auto structured = try_prune<F>(scores, shape, sparsity + remainder);
  if (!structured) return structured.error();

  // kept elements rank last, with the zeros
  const auto each = [&](auto&& visit) {
    for (std::size_t i = 0; i < scores.size(); ++i)
      visit(structured->data()[i] != 0 ? 0.0F : scores[i], std::uint64_t{1});
  };
  rank_selection selection(each, part_count(scores.size(), remainder));
  mask rest(shape, false);
  std::uint8_t* to = rest.data();
  each([&](float score, std::uint64_t weight) { *to++ = selection.keeps(score, weight) && score != 0; });
  return remainder_pruning{*std::move(structured), std::move(rest)};
}

/// Throwing twin.
template <format F>
remainder_pruning prune_with_remainder(std::span<const float> scores, weight_shape shape, double sparsity,
                                       double remainder) {
  return try_prune_with_remainder<F>(scores, shape, sparsity, remainder).value();
}

}  // namespace sparq
