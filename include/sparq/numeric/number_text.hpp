// SPDX-License-Identifier: MIT
#pragma once
// How a message writes a real number: short, and the same for NaN and infinity on every platform.

#include <cfloat>
#include <cstdio>
#include <string>

namespace sparq {

/// Neither NaN nor infinite.
constexpr bool is_finite(double value) { return value >= -DBL_MAX && value <= DBL_MAX; }

/// Up to nine digits (enough to tell two floats apart), or "nan", "inf", "-inf".
inline std::string number_text(double value) {
  if (!is_finite(value)) return value > 0 ? "inf" : value < 0 ? "-inf" : "nan";
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

}  // namespace sparq
