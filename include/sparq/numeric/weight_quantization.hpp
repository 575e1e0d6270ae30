// SPDX-License-Identifier: MIT
#pragma once
// What real number the code of a weight means: w = scale * code, symmetric, so pruned weights are real zeros because
// code 0 is. Which weights share a scale says a granularity.
//
// Rounding is to nearest, ties to even, and scales divide (no multiplication by a reciprocal): as ONNX QuantizeLinear.
// All arithmetic is IEEE binary32 in the default rounding mode.

#include <sparq/base/error.hpp>
#include <sparq/base/math.hpp>
#include <sparq/numeric/granularity.hpp>
#include <sparq/numeric/number_text.hpp>
#include <sparq/numeric/numeric.hpp>
#include <sparq/numeric/rounding.hpp>
#include <sparq/numeric/scale.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace sparq {

namespace detail {

/// Whether the arrays of choose_scales are as large as the matrix and its scales.
template <class Granularity>
status check_scale_sizes(std::size_t weights, std::size_t n, std::size_t k, std::size_t scales) {
  const std::string matrix = " for a matrix of " + std::to_string(n) + " x " + std::to_string(k);
  if (!is_product(weights, n, k))
    return status::failure("choose_scales: " + std::to_string(weights) + " weights" + matrix);
  if (const std::size_t needed = Granularity::scale_count(n, k); scales != needed)
    return status::failure("choose_scales: room for " + std::to_string(scales) + " scales; " +
                           std::string(Granularity::name) + " needs " + std::to_string(needed) + matrix);
  return {};
}
inline status refuse_weight(std::size_t n, std::size_t k, float weight) {
  return status::failure("choose_scales: weight [n=" + std::to_string(n) + "][k=" + std::to_string(k) + "] is " +
                         number_text(weight));
}

}  // namespace detail

/// A numeric type that symmetric weights can use: with every code but the lowest, -w has a code too.
template <class T>
concept weight_numeric = integer_numeric<T> && T::is_signed && T::bits <= 8 && (T::max_code > 0);

/// scale * code.
template <weight_numeric N>
constexpr float dequantize_code(typename N::code code, float scale) {
  return static_cast<float>(code) * scale;
}

/// value / scale clamped to [-max_code, max_code] and rounded half to even, or to the nearest code in N's own way
/// (binary, pow2). @pre value is not NaN, scale > 0
template <weight_numeric N>
constexpr typename N::code quantize_code(float value, float scale) {
  constexpr auto limit = static_cast<float>(N::max_code);
  const float steps = value / scale;  // clamped first: the bounds are integers, rounding cannot cross them
  const float clamped = steps < -limit ? -limit : steps > limit ? limit : steps;
  if constexpr (requires { N::nearest(clamped); })
    return N::nearest(clamped);
  else
    return static_cast<typename N::code>(round_half_even_in_range(clamped));
}

/// The scales that map the largest magnitude of every group of weights to max_code: amax / max_code, or 1 where all
/// weights are zero; at least FLT_MIN, the smallest normal float.
/// `weights`: n x k, row-major; `scales`: scale_count(n, k), undefined after a failure.
/// Fails on wrong sizes and on the first NaN or infinite weight. O(n k).
template <weight_numeric N, quantization_granularity Granularity>
status choose_scales(std::span<const float> weights, std::size_t n, std::size_t k, std::span<float> scales) {
  static_assert(!std::same_as<Granularity, unquantized>,
                "sparq: an unquantized tensor has no scales to choose; use per_tensor, per_channel or per_group<G>");
  if (status s = detail::check_scale_sizes<Granularity>(weights.size(), n, k, scales.size()); !s.ok()) return s;
  for (float& scale : scales) scale = 0.0f;
  const std::size_t run = Granularity::scale_run(k);
  for (std::size_t channel = 0; channel < n; ++channel)
    for (std::size_t i = 0; i < k; i += run) {
      const std::span<const float> part = weights.subspan(channel * k + i, run < k - i ? run : k - i);
      const float largest = detail::largest_magnitude(part);
      if (!is_finite(largest)) {
        std::size_t bad = 0;
        while (is_finite(part[bad])) ++bad;
        return detail::refuse_weight(channel, i + bad, part[bad]);
      }
      float& scale = scales[Granularity::scale_index(channel, i, k)];
      if (largest > scale) scale = largest;
    }
  for (float& scale : scales) scale = detail::scale_for(scale, N::max_code);
  return {};
}

/// The scales of types that have no code between 0 and their largest: mean |w| of the weights that share one and that
/// `keep` keeps (not 0); 1 where that is 0 or none are kept, at least FLT_MIN. Added up in double, in order.
/// Sizes, errors and complexity as choose_scales; `keep` is n x k.
template <quantization_granularity Granularity>
status choose_mean_scales(std::span<const float> weights, std::span<const std::uint8_t> keep, std::size_t n,
                          std::size_t k, std::span<float> scales) {
  if (status s = detail::check_scale_sizes<Granularity>(weights.size(), n, k, scales.size()); !s.ok()) return s;
  if (keep.size() != weights.size())
    return status::failure("choose_scales: a mask of " + std::to_string(keep.size()) + " bytes for " +
                           std::to_string(weights.size()) + " weights");
  std::vector<double> sums(scales.size());
  std::vector<std::size_t> counts(scales.size());
  for (std::size_t channel = 0; channel < n; ++channel)
    for (std::size_t i = 0; i < k; ++i) {
      const float weight = weights[channel * k + i];
      if (!is_finite(weight)) return detail::refuse_weight(channel, i, weight);
      if (keep[channel * k + i] == 0) continue;
      const std::size_t scale = Granularity::scale_index(channel, i, k);
      sums[scale] += weight < 0 ? -static_cast<double>(weight) : static_cast<double>(weight);
      ++counts[scale];
    }
  for (std::size_t i = 0; i < scales.size(); ++i)
    scales[i] =
        detail::scale_for(counts[i] == 0 ? 0.0F : static_cast<float>(sums[i] / static_cast<double>(counts[i])), 1);
  return {};
}

/// `quantize_code` of every weight that `keep` keeps (not 0), and 0 for the others.
/// `weights`, `keep`, `codes`: n x k, row-major; `scales`: scale_count(n, k). @pre as quantize_code. O(n k).
template <weight_numeric N, quantization_granularity Granularity>
void quantize_weights(std::span<const float> weights, std::span<const std::uint8_t> keep, std::size_t n, std::size_t k,
                      std::span<const float> scales, std::span<typename N::code> codes) {
  SPARQ_ASSERT(weights.size() == n * k && keep.size() == n * k && codes.size() == n * k);
  const std::size_t run = Granularity::scale_run(k);
  for (std::size_t channel = 0; channel < n; ++channel)
    for (std::size_t i = 0; i < k; i += run) {
      const float scale = scales[Granularity::scale_index(channel, i, k)];
      const std::size_t first = channel * k + i;
      const std::size_t end = first + (run < k - i ? run : k - i);
      for (std::size_t at = first; at < end; ++at) {
        const int kept = -static_cast<int>(keep[at] != 0);  // no branch: a random mask cannot be predicted
        codes[at] = static_cast<typename N::code>(quantize_code<N>(weights[at], scale) & kept);
      }
    }
}

}  // namespace sparq
