// SPDX-License-Identifier: MIT
#pragma once
// Floating-point codes: the code is the real number itself, so they need no quantization.

#include <string_view>

namespace sparq {

/// IEEE 754 binary32.
struct f32 {
  using code = float;
  static constexpr int bits = 32;
  static constexpr bool is_integer = false;
  static constexpr bool is_signed = true;
  static constexpr std::string_view name = "f32";
};

}  // namespace sparq
