// SPDX-License-Identifier: MIT
#pragma once
// What real number a code means. Weights are symmetric, w = scale * code, with one scale per tensor, per output channel
// or per group of k; pruned weights are real zeros because code 0 is. Activations are asymmetric,
// x = scale * (code - zero_point), with one pair per tensor.
//
// Rounding is to nearest, ties to even, and scales divide (no multiplication by a reciprocal): as ONNX QuantizeLinear.
// All arithmetic is IEEE binary32 in the default rounding mode.

#include <sparq/base/error.hpp>
#include <sparq/base/math.hpp>
#include <sparq/numeric/number_text.hpp>
#include <sparq/numeric/numeric.hpp>
#include <sparq/numeric/rounding.hpp>

#include <array>
#include <bit>
#include <cfloat>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sparq {

namespace detail {
template <std::size_t G>
struct per_group_name;
template <std::size_t R, std::size_t G>
struct per_block_name;
constexpr float scale_for(float range, std::int32_t steps);
inline float largest_magnitude(std::span<const float> values);
template <class Granularity>
status check_scale_sizes(std::size_t weights, std::size_t n, std::size_t k, std::size_t scales);
inline status refuse_weight(std::size_t n, std::size_t k, float weight);
}  // namespace detail

// ---- granularities: which weights share a scale ---------------------------------------------------------------------

/// Codes are the real numbers; there are no scales.
struct unquantized {
  static constexpr std::string_view name = "unquantized";
  static constexpr std::size_t scale_count(std::size_t, std::size_t) { return 0; }
  /// Never used to read a scale: scale_count is 0.
  static constexpr std::size_t scale_index(std::size_t, std::size_t, std::size_t) { return 0; }
  static constexpr std::size_t scale_run(std::size_t k) { return k; }
};

/// One scale for all weights.
struct per_tensor {
  static constexpr std::string_view name = "per_tensor";
  static constexpr std::size_t scale_count(std::size_t, std::size_t) { return 1; }
  static constexpr std::size_t scale_index(std::size_t, std::size_t, std::size_t) { return 0; }
  static constexpr std::size_t scale_run(std::size_t k) { return k; }
};

/// One scale for each output channel.
struct per_channel {
  static constexpr std::string_view name = "per_channel";
  static constexpr std::size_t scale_count(std::size_t n, std::size_t) { return n; }
  static constexpr std::size_t scale_index(std::size_t channel, std::size_t, std::size_t) { return channel; }
  static constexpr std::size_t scale_run(std::size_t k) { return k; }
};

/// One scale for every G consecutive k of a channel; the last group of a channel may be short.
/// Scales are laid out [n][ceil(k / G)].
template <std::size_t G>
struct per_group {
  static_assert(G > 0, "sparq: a group holds at least one k; use per_group<1> or more");
  static constexpr std::size_t group = G;
  static constexpr std::string_view name = detail::per_group_name<G>::text;
  static constexpr std::size_t scale_count(std::size_t n, std::size_t k) { return n * ceil_div(k, G); }
  static constexpr std::size_t scale_index(std::size_t channel, std::size_t k_index, std::size_t k_extent) {
    return channel * ceil_div(k_extent, G) + k_index / G;
  }
  static constexpr std::size_t scale_run(std::size_t) { return G; }
};

/// One scale for every R channels x G consecutive k's; the last block in each direction may be short. Blocks over the
/// whole of k are per_channel and per_tensor.
/// Scales are laid out [ceil(n / R)][ceil(k / G)].
template <std::size_t R, std::size_t G>
struct per_block {
  static_assert(R > 0 && G > 0, "sparq: a block holds at least one channel and one k; use per_block<1, 32> or more");
  static constexpr std::size_t group = G;
  static constexpr std::string_view name = detail::per_block_name<R, G>::text;
  static constexpr std::size_t scale_count(std::size_t n, std::size_t k) { return ceil_div(n, R) * ceil_div(k, G); }
  static constexpr std::size_t scale_index(std::size_t channel, std::size_t k_index, std::size_t k_extent) {
    return channel / R * ceil_div(k_extent, G) + k_index / G;
  }
  static constexpr std::size_t scale_run(std::size_t) { return G; }
};

/// Says how many scales W[n][k] has and which one a weight uses.
template <class T>
concept quantization_granularity = requires(std::size_t i) {
  { T::name } -> std::convertible_to<std::string_view>;
  { T::scale_count(i, i) } -> std::same_as<std::size_t>;
  { T::scale_index(i, i, i) } -> std::same_as<std::size_t>;
  { T::scale_run(i) } -> std::same_as<std::size_t>;  // consecutive k's that share a scale, of all k's
};

/// Scales change along k, every `group` k's: sums must be scaled group by group, inside the kernel.
template <quantization_granularity Granularity>
inline constexpr bool scales_along_k_v = requires { Granularity::group; };

// ---- weights --------------------------------------------------------------------------------------------------------

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

// ---- activations ----------------------------------------------------------------------------------------------------

/// x = scale * (code - zero_point).
struct activation_quantization {
  float scale = 1.0f;
  std::int32_t zero_point = 0;
  friend constexpr bool operator==(const activation_quantization&, const activation_quantization&) = default;
};

/// A numeric type that activations can use.
template <class T>
concept activation_numeric = integer_numeric<T> && T::bits <= 8;

/// Fails unless the scale is positive and finite and the zero point is a code of N.
template <activation_numeric N>
status validate(const activation_quantization& q) {
  if (!(q.scale > 0.0f && is_finite(q.scale)))
    return status::failure("activation_quantization: scale " + number_text(q.scale) + " is not positive and finite");
  if (q.zero_point < N::min_code || q.zero_point > N::max_code)
    return status::failure("activation_quantization: zero point " + std::to_string(q.zero_point) + " is no code of " +
                           std::string(N::name));
  return {};
}

/// The quantization that covers [min, max] and 0; 0 is exactly a code.
/// scale = (max(0, max) - min(0, min)) / (codes - 1), zero_point = round(min_code - min(0, min) / scale): ONNX
/// DynamicQuantizeLinear. An empty range gets scale 1; a scale is at least FLT_MIN.
/// Fails when min or max is NaN or infinite, when min > max, and when max - min overflows.
template <activation_numeric N>
expected<activation_quantization> choose_activation_quantization(float min, float max) {
  if (!is_finite(min)) return status::failure("choose_activation_quantization: min is " + number_text(min));
  if (!is_finite(max)) return status::failure("choose_activation_quantization: max is " + number_text(max));
  if (min > max)
    return status::failure("choose_activation_quantization: min " + number_text(min) + " exceeds max " +
                           number_text(max));
  const float low = min < 0 ? min : 0.0f;
  const float high = max > 0 ? max : 0.0f;
  if (!is_finite(high - low))
    return status::failure("choose_activation_quantization: the range from " + number_text(min) + " to " +
                           number_text(max) + " overflows a float");
  const float scale = detail::scale_for(high - low, N::max_code - N::min_code);
  // -low is at most the range, so the quotient is at most codes - 1 and a rounding error: always a code.
  return activation_quantization{scale, round_half_even(static_cast<float>(N::min_code) - low / scale)};
}

/// saturate(round(value / scale) + zero_point); NaN gives the zero point. @pre validate<N>(q)
template <activation_numeric N>
constexpr typename N::code quantize_activation(float value, activation_quantization q) {
  const std::int64_t code = std::int64_t{round_half_even(value / q.scale)} + q.zero_point;
  return static_cast<typename N::code>(code < N::min_code ? N::min_code : code > N::max_code ? N::max_code : code);
}

/// scale * (code - zero_point).
template <activation_numeric N>
constexpr float dequantize_activation(typename N::code code, activation_quantization q) {
  return static_cast<float>(code - q.zero_point) * q.scale;
}

/// `quantize_activation` of every value. @pre codes.size() == values.size()
template <activation_numeric N>
constexpr void quantize_activations(std::span<const float> values, activation_quantization q,
                                    std::span<typename N::code> codes) {
  SPARQ_ASSERT(codes.size() == values.size());
  for (std::size_t i = 0; i < values.size(); ++i) codes[i] = quantize_activation<N>(values[i], q);
}

/// `dequantize_activation` of every code. @pre values.size() == codes.size()
template <activation_numeric N>
constexpr void dequantize_activations(std::span<const typename N::code> codes, activation_quantization q,
                                      std::span<float> values) {
  SPARQ_ASSERT(values.size() == codes.size());
  for (std::size_t i = 0; i < codes.size(); ++i) values[i] = dequantize_activation<N>(codes[i], q);
}

namespace detail {

/// Prefix, numbers and '>' as one constant text.
template <std::size_t... Numbers>
struct numbered_name {
  static constexpr auto make(std::string_view prefix) {
    std::array<char, 64> result{};
    std::size_t at = 0;
    for (const char c : prefix) result[at++] = c;
    const auto append = [&](std::size_t number) {
      std::size_t end = at;
      for (std::size_t rest = number; end == at || rest != 0; rest /= 10) ++end;
      for (std::size_t i = end; i > at; --i, number /= 10) result[i - 1] = static_cast<char>('0' + number % 10);
      at = end;
      result[at++] = ',';
    };
    (append(Numbers), ...);
    result[at - 1] = '>';
    return result;
  }
  static constexpr std::size_t length(const std::array<char, 64>& text) {
    std::size_t at = 0;
    while (text[at] != '\0') ++at;
    return at;
  }
};

/// "per_group<G>" as a constant.
template <std::size_t G>
struct per_group_name {
  static constexpr auto characters = numbered_name<G>::make("per_group<");
  static constexpr std::string_view text{characters.data(), numbered_name<G>::length(characters)};
};
template <std::size_t R, std::size_t G>
struct per_block_name {
  static constexpr auto characters = numbered_name<R, G>::make("per_block<");
  static constexpr std::string_view text{characters.data(), numbered_name<R, G>::length(characters)};
};

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

/// max |values|; infinite or NaN if any value is. Compared as integers, which order magnitudes like the floats do.
inline float largest_magnitude(std::span<const float> values) {
  std::uint32_t largest = 0;
  for (const float value : values) {
    const std::uint32_t magnitude = std::bit_cast<std::uint32_t>(value) & 0x7FFFFFFFU;
    largest = magnitude > largest ? magnitude : largest;
  }
  return std::bit_cast<float>(largest);
}

/// range / steps; 1 where the range is empty, and never subnormal, so that dividing by it is safe under flush-to-zero.
constexpr float scale_for(float range, std::int32_t steps) {
  if (range == 0.0f) return 1.0f;
  const float scale = range / static_cast<float>(steps);
  return scale < FLT_MIN ? FLT_MIN : scale;
}

}  // namespace detail
}  // namespace sparq
