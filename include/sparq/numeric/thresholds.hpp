// SPDX-License-Identifier: MIT
#pragma once
// Outputs of a few bits by comparison: 2^bits - 1 sorted thresholds for each channel, and the code is how many of them
// the sum reaches. NEMO and PULP-NN fold a batch normalization and its requantization into them.
//
//   channel that rises    code = #{p: acc >= t[p]}
//   channel that falls    code = #{p: ~acc >= t[p]}     ~ turns the order around and cannot overflow
//
// Thresholds lie [2^bits - 1][n], so that neighbouring channels are beside each other.

#include <sparq/base/error.hpp>
#include <sparq/base/math.hpp>
#include <sparq/numeric/requantize.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace sparq {

/// Thresholds of n channels. `flips[channel]` is 0 where codes rise with the sum and -1 where they fall.
struct threshold_table {
  std::size_t channels = 0;
  std::int32_t count = 0;            ///< thresholds of a channel: 2^bits - 1
  std::vector<std::int32_t> values;  ///< [count][channels]
  std::vector<std::int32_t> flips;   ///< [channels]

  /// Whether the arrays have the sizes that `channels` and `count` say, and flips are 0 or -1. O(channels).
  status validate() const {
    if (count < 1 || count > 255)
      return status::failure("thresholds: count " + std::to_string(count) + " is not in [1, 255]");
    if (flips.size() != channels || !is_product(values.size(), channels, static_cast<std::size_t>(count)))
      return status::failure("thresholds: " + std::to_string(values.size()) + " values and " +
                             std::to_string(flips.size()) + " flips; " + std::to_string(channels) + " channels need " +
                             std::to_string(count) + " and 1 each");
    for (std::size_t c = 0; c < channels; ++c)
      if (flips[c] != 0 && flips[c] != -1)
        return status::failure("thresholds: flips[" + std::to_string(c) + "] is " + std::to_string(flips[c]) +
                               ", not 0 or -1");
    return {};
  }
  /// The code of a sum: 0 to count. O(count).
  std::int32_t apply(std::int32_t acc, std::size_t channel) const {
    std::int32_t code = 0;
    for (std::size_t p = 0; p < static_cast<std::size_t>(count); ++p)
      code += (acc ^ flips[channel]) >= values[p * channels + channel] ? 1 : 0;
    return code;
  }
};

namespace detail {

/// floor(a / b). @pre b > 0
constexpr std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

}  // namespace detail

/// The thresholds that give clamp((kappa * acc + lambda) >> shift, 0, 2^bits - 1) for every sum but the two ends of
/// int32. kappa > 0 rises, kappa < 0 falls, kappa = 0 gives a constant.
/// Errors: bits outside of [1, 8], parameters that do not validate, a shift above 53. O(2^bits n).
inline expected<threshold_table> try_thresholds(std::span<const floor_shift::parameters> channels, int bits) {
  if (bits < 1 || bits > 8) return status::failure("thresholds: " + std::to_string(bits) + " bits are not in [1, 8]");
  threshold_table table;
  table.channels = channels.size();
  table.count = (1 << bits) - 1;
  table.values.resize(static_cast<std::size_t>(table.count) * channels.size());
  table.flips.resize(channels.size());
  for (std::size_t c = 0; c < channels.size(); ++c) {
    const floor_shift::parameters& p = channels[c];
    if (status s = p.validate(); !s.ok())
      return status::failure("thresholds: channel " + std::to_string(c) + ": " + s.message());
    if (p.shift > 53)
      return status::failure("thresholds: channel " + std::to_string(c) + ": shift " + std::to_string(p.shift) +
                             " is not in [0, 53]");
    table.flips[c] = p.kappa < 0 ? -1 : 0;
    for (std::int32_t code = 1; code <= table.count; ++code) {
      const std::int64_t needed = (std::int64_t{code} << p.shift) - p.lambda;  // kappa * acc >= needed
      std::int32_t& t = table.values[static_cast<std::size_t>(code - 1) * channels.size() + c];
      if (p.kappa > 0)
        t = saturate_to_int32(-detail::floor_div(-needed, p.kappa));
      else if (p.kappa < 0)
        t = ~saturate_to_int32(detail::floor_div(-needed, -std::int64_t{p.kappa}));
      else
        t = needed <= 0 ? INT32_MIN : INT32_MAX;
    }
  }
  return table;
}
/// Throwing twin.
inline threshold_table thresholds_of(std::span<const floor_shift::parameters> channels, int bits) {
  return try_thresholds(channels, bits).value();
}

}  // namespace sparq
