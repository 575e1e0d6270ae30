// SPDX-License-Identifier: MIT
#pragma once
// More policies that round products of floats (numeric/requantize.hpp). fl() is one binary32 rounding.
//
//   policy  y =                                              computed so by
//   onnx    rint(fl(fl(fl(acc) * x_scale) / y_scale))        QuantizeLinear of ONNX, after DequantizeLinear
//   ncnn    round(fl(fl(acc) * scale)) in [-127, 127]        ncnn
//
// oneDNN promises results within one code of the exact ones and no particular rounding; stages to_float,
// scale_per_channel, scale and round_to_integer do the same.

#include <sparq/numeric/checks.hpp>
#include <sparq/numeric/requantize.hpp>

#include <cstdint>
#include <string_view>

namespace sparq {

/// ONNX QuantizeLinear of what the sum means: a true division, ties to even.
struct onnx {
  static constexpr std::string_view name = "onnx";

  struct parameters {
    using policy = onnx;
    float x_scale = 1.0f;  ///< of the sum: input scale * weight scale; positive and finite
    float y_scale = 1.0f;  ///< of the output; positive and finite

    status validate() const {
      for (const float scale : {x_scale, y_scale})
        if (status s = detail::check_positive(name, "scale", scale); !s.ok()) return s;
      return {};
    }
    friend constexpr bool operator==(const parameters&, const parameters&) = default;
  };

  /// @pre p.validate()
  static constexpr std::int32_t apply(std::int32_t acc, parameters p) {
    const float value = static_cast<float>(acc) * p.x_scale;
    return round_half_even(value / p.y_scale);
  }
};

/// ncnn's float2int8: ties away from zero, and -128 is no code.
struct ncnn {
  static constexpr std::string_view name = "ncnn";

  using parameters = scale_parameters<ncnn>;

  /// @pre p.validate()
  static constexpr std::int32_t apply(std::int32_t acc, parameters p) {
    const std::int32_t code = round_half_away(static_cast<float>(acc) * p.scale);
    return code < -127 ? -127 : code > 127 ? 127 : code;
  }
};

}  // namespace sparq
