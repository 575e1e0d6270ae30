// SPDX-License-Identifier: MIT
#pragma once
// A scale from the range of numbers that codes have to cover.

#include <bit>
#include <cfloat>
#include <cstdint>
#include <span>

namespace sparq::detail {

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

}  // namespace sparq::detail
