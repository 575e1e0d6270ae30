// SPDX-License-Identifier: MIT
#pragma once
// What pruning ranks by: one number for each element of W, whose magnitude says how much the element matters. The
// weights themselves serve (magnitude pruning), and so does anything non-negative that was accumulated in training.

#include <sparq/base/error.hpp>
#include <sparq/format/shape.hpp>
#include <sparq/numeric/number_text.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>

namespace sparq {

/// The scores of one layer: shape.n x shape.k, row-major, finite. Does not own.
struct score_matrix {
  std::span<const float> values;
  weight_shape shape;

  /// @pre n < shape.n, k < shape.k
  float operator()(std::size_t n, std::size_t k) const { return values[n * shape.k + k]; }
};

/// Adds the first-order Taylor scores of one mini-batch: (gradient * weight)^2 of every element.
/// @pre all sizes are equal
inline void add_taylor_scores(std::span<const float> weights, std::span<const float> gradients,
                              std::span<float> scores) {
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const float change = gradients[i] * weights[i];
    scores[i] += change * change;
  }
}

/// As many scores as the shape says, none of them NaN or infinite; names the first that is. O(n k).
inline status validate(const score_matrix& scores) {
  if (status s = validate(scores.shape); !s.ok()) return s;
  if (scores.values.size() != scores.shape.size())
    return status::failure(std::to_string(scores.values.size()) + " scores for a matrix of " + to_string(scores.shape));
  constexpr std::uint32_t infinity = std::bit_cast<std::uint32_t>(std::numeric_limits<float>::infinity());
  for (std::size_t i = 0; i < scores.values.size(); ++i)
    if ((std::bit_cast<std::uint32_t>(scores.values[i]) & infinity) == infinity)
      return status::failure("the score " + number_text(scores.values[i]) + " at " +
                             position_text(i / scores.shape.k, i % scores.shape.k) + " is not finite");
  return {};
}

/// A sparsity that can be asked for: in [0, 1).
inline status check_sparsity(double sparsity) {
  if (sparsity >= 0 && sparsity < 1) return {};
  return status::failure("a sparsity of " + number_text(sparsity) + " is outside [0, 1)");
}

/// round(total * part). @pre 0 <= part <= 1, total < 2^53
inline std::size_t part_count(std::size_t total, double part) {
  return static_cast<std::size_t>(static_cast<double>(total) * part + 0.5);
}
/// round(total * (1 - sparsity)): what is kept of `total` elements.
/// @pre check_sparsity(sparsity) is ok, total < 2^53
inline std::size_t kept_count(std::size_t total, double sparsity) { return part_count(total, 1 - sparsity); }

}  // namespace sparq
