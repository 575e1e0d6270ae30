// SPDX-License-Identifier: MIT
#pragma once
// How far stored weights are from the given ones. Sums are taken in double and in the order of the elements, so that
// the figures do not depend on the compiler's vectorisation.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>

namespace explore {

/// Signal to quantization noise, 10 log10(sum r^2 / sum (r - a)^2), in dB; infinite when nothing differs.
/// @pre both spans have the same length
inline double sqnr_db(std::span<const float> reference, std::span<const float> actual) {
  double signal = 0;
  double noise = 0;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const double r = reference[i];
    const double e = r - static_cast<double>(actual[i]);
    signal += r * r;
    noise += e * e;
  }
  if (noise == 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(signal / noise);
}

/// max |r - a| / max |r|: the largest difference as a fraction of the largest reference value; infinite when only the
/// reference is zero throughout. @pre both spans have the same length
inline double max_error(std::span<const float> reference, std::span<const float> actual) {
  double largest = 0;
  double error = 0;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const double r = reference[i];
    largest = (std::max)(largest, std::abs(r));
    error = (std::max)(error, std::abs(r - static_cast<double>(actual[i])));
  }
  return error == 0 ? 0 : error / largest;
}

}  // namespace explore
