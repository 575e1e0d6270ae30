// SPDX-License-Identifier: MIT
#pragma once
// Glow's four ways to choose scale and zero point (its "offset") from a range of real numbers.

#include <sparq/base/error.hpp>
#include <sparq/numeric/activation_quantization.hpp>
#include <sparq/numeric/number_text.hpp>
#include <sparq/numeric/numeric.hpp>
#include <sparq/numeric/rounding.hpp>

#include <cfloat>
#include <cstdint>

namespace sparq {

/// In all of them 0 is exactly a code, and that code is the zero point.
enum class quantization_schema {
  asymmetric,                   ///< the codes cover the range
  symmetric,                    ///< the range is widened until the zero point is 0
  symmetric_with_unsigned,      ///< symmetric, or the zero point is the least code where nothing is negative
  symmetric_with_power2_scale,  ///< symmetric with the next greater power of two: requantization is a shift
};

/// Glow's chooseQuantizationParams, computed in double as it does. Constant 0 gets scale 0.1; otherwise a
/// scale is at least FLT_MIN, the smallest normal float.
/// Errors: min or max is NaN or infinite, min > max.
template <integer_numeric N>
expected<activation_quantization> try_choose_quantization(float min, float max, quantization_schema schema) {
  static_assert(N::bits == 8 || N::bits == 16, "sparq: Glow quantizes to 8 or 16 bits; use s8 or s16");
  if (!is_finite(min)) return status::failure("choose_quantization: min is " + number_text(min));
  if (!is_finite(max)) return status::failure("choose_quantization: max is " + number_text(max));
  if (min > max)
    return status::failure("choose_quantization: min " + number_text(min) + " exceeds max " + number_text(max));
  constexpr double least = N::min_code, most = N::max_code;
  min = min < 0 ? min : 0.0f;
  max = max > 0 ? max : 0.0f;
  const bool is_symmetric = schema == quantization_schema::symmetric ||
                            schema == quantization_schema::symmetric_with_power2_scale ||
                            (schema == quantization_schema::symmetric_with_unsigned && min < 0);
  static_assert(N::is_signed, "sparq: zero point 0 in the middle needs signed codes; use s8 or s16");
  if (is_symmetric) {
    const double from_min = min / least, from_max = max / most;
    if (from_min > from_max)
      max = static_cast<float>(from_min * most < FLT_MAX ? from_min * most : FLT_MAX);
    else
      min = static_cast<float>(from_max * least > -FLT_MAX ? from_max * least : -FLT_MAX);
  }
  double scale = (double{max} - min) / (most - least);
  if (scale == 0)
    scale = 0.1;
  else if (scale < FLT_MIN)
    scale = FLT_MIN;  // Glow's float would be subnormal, or 0
  if (schema == quantization_schema::symmetric_with_power2_scale) scale = power_of_two(ceil_log2(scale));
  // The end whose terms are smaller gives the smaller error.
  const double error_of_min = -least - min / scale;  // magnitudes: min and least are 0 or less, max and most are not
  const double error_of_max = most + max / scale;
  double zero_point = error_of_min < error_of_max ? least - min / scale : most - max / scale;
  const float difference = max + min;
  if (is_symmetric || (difference <= FLT_EPSILON && difference >= -FLT_EPSILON)) zero_point = 0;
  zero_point = zero_point < least ? least : zero_point > most ? most : zero_point;
  return activation_quantization{static_cast<float>(scale),
                                 static_cast<std::int32_t>(round_half_away_in_range(zero_point))};
}
/// Throwing twin.
template <integer_numeric N>
activation_quantization choose_quantization(float min, float max, quantization_schema schema) {
  return try_choose_quantization<N>(min, max, schema).value();
}

}  // namespace sparq
