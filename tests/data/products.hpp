// SPDX-License-Identifier: MIT
#pragma once
// Matrix products and convolutions of the cases, and the calls that run them. The kernels of a call take seconds to
// compile, so the calls are functions over plain arrays, each defined once in a products_*.cpp.

#include <sparq/format/mask.hpp>
#include <sparq/numeric/requantize.hpp>
#include <sparq/numeric/requantize_wide.hpp>
#include <sparq/tensor/image.hpp>
#include <sparq/tensor/window_parameters.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace cases {

/// Y = X W^T, or a convolution if X is an image.
template <class X, class W>
struct product {
  std::vector<std::size_t> x_shape;  // m x k, or images x height x width x channels
  std::vector<X> x;
  std::vector<W> weights;  // n x k; of a convolution OHWI
  std::size_t n = 0;
  sparq::window_parameters window;  // of a convolution, as are the next two
  std::size_t groups = 1;
  X padding{};

  bool is_convolution() const { return x_shape.size() == 4; }
  /// Of a convolution: of one group.
  std::size_t k() const { return is_convolution() ? window.taps() * (x_shape[3] / groups) : x_shape[1]; }
  std::size_t outputs() const {
    if (!is_convolution()) return x_shape[0] * n;
    return x_shape[0] * window.output_height(x_shape[1]) * window.output_width(x_shape[2]) * n;
  }
};

// ---- products_sums.cpp, products_s4.cpp
// ------------------------------------------------------------------------------

/// The int32 sums of (x - zero_point) * w with weights in one format.
struct format_sums {
  std::string format;
  std::string refusal;    // why the format cannot hold the mask; empty if it does
  std::size_t slots = 0;  // stored weights
  std::vector<std::int32_t> sums;
};

/// With s8 weights, stored in every format of the library where `keep` is set. X is std::int8_t or std::uint8_t.
template <class X>
std::vector<format_sums> sums_in_every_format(const product<X, std::int8_t>& p, std::int32_t zero_point,
                                              sparq::mask_view keep);

/// With s8 weights given as compressed sparse rows.
std::vector<std::int32_t> sums_of_csr(const product<std::int8_t, std::int8_t>& p,
                                      std::vector<std::uint64_t> row_offsets, std::vector<std::uint32_t> columns);

/// With dense weights of 4 bits.
template <class X>
std::vector<std::int32_t> sums_of_s4(const product<X, std::int8_t>& p, std::int32_t zero_point);

// ---- products_codes.cpp, products_s4.cpp
// -----------------------------------------------------------------------------

/// How sums become codes.
template <class Parameters>
struct output_codes {
  std::vector<Parameters> per_channel;
  std::vector<std::int32_t> bias;  // one for each channel
  std::int32_t zero_point = 0;
  std::int32_t low = 0;
  std::int32_t high = 0;
};
using tflite_codes = output_codes<sparq::tflite_double::parameters>;
using floor_shift_codes = output_codes<sparq::floor_shift::parameters>;

/// Layers whose activations have 16 bits: sums and bias are int64, requantized by `Parameters`.
template <class Parameters>
struct output_codes_s16 {
  std::vector<Parameters> per_channel;
  std::vector<std::int64_t> bias;
  std::int32_t low = 0;
  std::int32_t high = 0;
};

struct format_codes_s16 {
  std::string format;
  std::vector<std::int16_t> codes;
};

struct format_codes {
  std::string format;
  std::vector<std::int8_t> codes;
};

/// TFLite's int8 layers with s8 weights: dense and csr.
std::vector<format_codes> tflite_s8(const product<std::int8_t, std::int8_t>& p, std::int32_t zero_point,
                                    const tflite_codes& out);
/// With dense weights of 4 bits.
std::vector<std::int8_t> tflite_s4(const product<std::int8_t, std::int8_t>& p, std::int32_t zero_point,
                                   const tflite_codes& out);

/// TFLite's layers of 16-bit activations with s8 weights: dense and tile_wise.
std::vector<format_codes_s16> tflite_s16(const product<std::int16_t, std::int8_t>& p,
                                         const output_codes_s16<sparq::tflite_16x8::parameters>& out);
/// The same where the sums fit int32 and are requantized as int8 layers are.
std::vector<format_codes_s16> tflite_s16(const product<std::int16_t, std::int8_t>& p,
                                         const output_codes_s16<sparq::tflite_double::parameters>& out);

/// Dense weights of 4 bits, kappa * sum + lambda shifted right. X, which is also the type of Y, is std::int8_t or
/// std::uint8_t.
template <class X>
std::vector<X> floor_shift_s4(const product<X, std::int8_t>& p, const floor_shift_codes& out);
/// The same in products_narrow.cpp with elements that share bytes, as the case names them: "int4", "uint2", ...; X in
/// bytes if `x_type` is empty, Y narrow in any case. Convolutions have one group.
template <class X>
std::vector<X> floor_shift_narrow(const product<X, std::int8_t>& p, const std::string& x_type,
                                  const std::string& w_type, const std::string& y_type, const floor_shift_codes& out);

/// Matrix products of which both sides have a zero point. `weights` is n x k.
std::vector<std::int8_t> tflite_two_zero_points(const product<std::int8_t, std::int8_t>& p, std::int32_t x_zero_point,
                                                std::int32_t w_zero_point, const tflite_codes& out);
/// As above, requantized in float.
std::vector<std::int8_t> onnx_two_zero_points(const product<std::int8_t, std::int8_t>& p, std::int32_t x_zero_point,
                                              std::int32_t w_zero_point,
                                              const output_codes<sparq::fp32_nearest_even::parameters>& out);

// ---- products_f32.cpp
// ------------------------------------------------------------------------------------------------

struct float_outputs {
  std::vector<float> bias;  // one for each channel
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
};

struct format_floats {
  std::string format;
  std::vector<float> values;
};

/// With f32 weights: dense, csr, and tile_wise.
std::vector<format_floats> f32_in_every_format(const product<float, float>& p, const float_outputs& out);

/// With f32 weights given as compressed sparse rows.
std::vector<float> f32_of_csr(const product<float, float>& p, std::vector<std::uint64_t> row_offsets,
                              std::vector<std::uint32_t> columns);

/// alpha X W^T + added; dense weights, `added` is m x n.
std::vector<float> f32_scaled_and_added(const product<float, float>& p, float alpha, const std::vector<float>& added);

}  // namespace cases
