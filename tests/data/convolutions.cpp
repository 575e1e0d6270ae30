// SPDX-License-Identifier: MIT
#include "tests/data/operands.hpp"
#include "tests/data/ops.hpp"
#include "tests/data/scale_shift.hpp"

#include <sparq/op/depthwise.hpp>

#include <algorithm>

namespace cases {

void conv2d(const neutral_case& one, verdict& v) {
  if (holds_int16(one)) return compare_s16(one, v);
  check_packed_weights(one, v);
  const std::size_t n = one.input("weights").array.shape[0];
  if (holds(one.input("input"), sparq::element_type::f32)) {
    for (const auto& got : f32_in_every_format(product_of<float, float>(one), float_outputs_of(one, n)))
      v.compare("output", got.values, got.format);
    return;
  }
  if (one.integer("weight_zero_point") != 0) return v.leave_out("weights with a zero point in a layer with bias");
  const auto zero_point = static_cast<std::int32_t>(one.integer("input_zero_point"));
  const auto p = product_of<std::int8_t, std::int8_t>(one, static_cast<std::int8_t>(zero_point));
  const tflite_codes out = tflite_codes_of(one, n);
  for (const auto& got : tflite_s8(p, zero_point, out)) v.compare("output", got.codes, "s8 " + got.format);
  if (one.has_tag("int4-weights")) v.compare("output", tflite_s4(p, zero_point, out), "s4");
}

void conv2d_scale_shift(const neutral_case& one, verdict& v) {
  if (one.integer("input_zero_point") != 0) return v.leave_out("scale and shift with a zero point");
  compare_scale_shift(one, v);
}

void conv2d_codebook(const neutral_case& one, verdict& v) {
  const auto codes = one.input("codes");
  const auto codebook = values_of<float>(one, "codebook");
  product<float, float> p;
  p.x_shape = one.input("input").array.shape;
  p.x = values_of<float>(one, "input");
  p.n = codes.array.shape[0];
  p.window = window_of(one, codes.array.shape[1], codes.array.shape[2]);
  p.groups = static_cast<std::size_t>(one.integer("groups"));
  for (const std::uint8_t code : codes.array.as<std::uint8_t>()) p.weights.push_back(codebook.at(code));
  for (const auto& got : f32_in_every_format(p, float_outputs_of(one, p.n)))
    v.compare("output", got.values, got.format);
  v.leave_out_part("the published stream of relative indices: no reader");
}

void conv2d_nchw_f32(const neutral_case& one, verdict& v) {
  const extents x_shape = one.input("x").array.shape, w_shape = one.input("w").array.shape;
  product<float, float> p;
  p.x_shape = channels_last(x_shape);
  p.x = channels_last(values_of<float>(one, "x"), x_shape);
  p.weights = channels_last(values_of<float>(one, "w"), w_shape);
  p.n = w_shape[0];
  p.window = onnx_window_of(one, w_shape[2], w_shape[3], x_shape[2], x_shape[3]);
  p.groups = static_cast<std::size_t>(one.integer("group", 1));
  const float_outputs out = float_outputs_of(one, p.n);
  const extents y_shape = channels_last(one.expected("y").array.shape);
  for (const auto& got : f32_in_every_format(p, out)) v.compare("y", channels_first(got.values, y_shape), got.format);

  if (p.groups == 1 || p.groups != x_shape[1]) return;
  const auto taps_first = transposed(values_of<float>(one, "w"), w_shape, {1, 2, 3, 0});
  std::vector<float> y(p.outputs());
  sparq::depthwise_conv2d(
      sparq::image_view<const float>(p.x.data(), p.x_shape[0], p.x_shape[1], p.x_shape[2], p.x_shape[3]),
      std::span(taps_first), sparq::image_view<float>(y.data(), y_shape[0], y_shape[1], y_shape[2], y_shape[3]),
      p.window, 0.0F, sparq::epilogue(sparq::bias(std::span(out.bias)), sparq::clamp(out.low, out.high)),
      sparq::serial);
  v.compare("y", channels_first(y, y_shape), "depthwise");
}

void conv_integer_nchw(const neutral_case& one, verdict& v) {
  const extents x_shape = one.input("x").array.shape, w_shape = one.input("w").array.shape;
  const auto w_zero_point = value_of<std::int32_t>(one, "w_zero_point", 0);
  const auto x_zero_point = value_of<std::int32_t>(one, "x_zero_point", 0);
  product<std::uint8_t, std::int8_t> p;
  p.x_shape = channels_last(x_shape);
  p.x = channels_last(values_of<std::uint8_t>(one, "x"), x_shape);
  for (const std::int32_t w : channels_last(values_of<std::int32_t>(one, "w"), w_shape)) {
    if (w - w_zero_point < -128 || w - w_zero_point > 127) return v.leave_out("weights of uint8 beyond s8");
    p.weights.push_back(static_cast<std::int8_t>(w - w_zero_point));
  }
  p.n = w_shape[0];
  p.window = onnx_window_of(one, w_shape[2], w_shape[3], x_shape[2], x_shape[3]);
  p.groups = static_cast<std::size_t>(one.integer("group", 1));
  if (p.groups != 1) return v.leave_out("grouped conv_integer");
  p.padding = static_cast<std::uint8_t>(x_zero_point);
  const sparq::mask everything({p.n, p.k()});
  for (const auto& got : sums_in_every_format(p, x_zero_point, everything))
    if (got.refusal.empty())
      v.compare("y", channels_first(got.sums, channels_last(one.expected("y").array.shape)), got.format);
}

namespace {

template <class T>
struct depthwise_operands {
  extents x_shape, y_shape;
  std::vector<T> x, weights, y;
  sparq::window_parameters window;

  explicit depthwise_operands(const neutral_case& one)
      : x_shape(one.input("input").array.shape),
        y_shape(one.expected("output").array.shape),
        x(values_of<T>(one, "input")),
        weights(values_of<T>(one, "weights")) {
    const extents w_shape = one.input("weights").array.shape;
    window = window_of(one, w_shape[0], w_shape[1]);
    y.resize(one.expected("output").array.size());
  }
  template <class... Stages>
  void run(T zero_point, const sparq::epilogue<Stages...>& stages) {
    sparq::depthwise_conv2d(sparq::image_view<const T>(x.data(), x_shape[0], x_shape[1], x_shape[2], x_shape[3]),
                            std::span(weights),
                            sparq::image_view<T>(y.data(), y_shape[0], y_shape[1], y_shape[2], y_shape[3]), window,
                            zero_point, stages, sparq::serial);
  }
};

}  // namespace

void depthwise_conv2d(const neutral_case& one, verdict& v) {
  if (holds_int16(one)) return v.leave_out("activations of int16");
  check_packed_weights(one, v);
  const std::size_t n = one.expected("output").array.shape[3];
  if (holds(one.input("input"), sparq::element_type::f32)) {
    depthwise_operands<float> operands(one);
    const float_outputs out = float_outputs_of(one, n);
    operands.run(0.0F, sparq::epilogue(sparq::bias(std::span(out.bias)), sparq::clamp(out.low, out.high)));
    return v.compare("output", operands.y);
  }
  if (one.integer("weight_zero_point") != 0) return v.leave_out("weights with a zero point in a layer with bias");
  depthwise_operands<std::int8_t> operands(one);
  const tflite_codes out = tflite_codes_of(one, n);
  operands.run(static_cast<std::int8_t>(one.integer("input_zero_point")),
               sparq::epilogue(sparq::bias(std::span(out.bias)),
                               sparq::requantize_to_codes<sparq::s8>(std::span(out.per_channel), out.zero_point,
                                                                     out.low, out.high)));
  v.compare("output", operands.y);
}

// There is no operation that only pads; a convolution with the identity does nothing else.
void pad(const neutral_case& one, verdict& v) {
  const auto before = one.integers("pad_before"), after = one.integers("pad_after");
  if (before[0] != 0 || before[3] != 0 || after[0] != 0 || after[3] != 0)
    return v.leave_out("padding of batch or channels");
  product<std::int8_t, std::int8_t> p;
  p.x_shape = one.input("input").array.shape;
  p.x = values_of<std::int8_t>(one, "input");
  p.n = p.x_shape[3];
  p.window.pad_top = static_cast<std::size_t>(before[1]);
  p.window.pad_left = static_cast<std::size_t>(before[2]);
  p.window.pad_bottom = static_cast<std::size_t>(after[1]);
  p.window.pad_right = static_cast<std::size_t>(after[2]);
  p.padding = static_cast<std::int8_t>(one.integer("pad_value"));
  p.weights.resize(p.n * p.n);
  sparq::mask diagonal({p.n, p.n}, false);
  for (std::size_t i = 0; i < p.n; ++i) {
    p.weights[i * p.n + i] = 1;
    diagonal.set(i, i, true);
  }
  for (const auto& got : sums_in_every_format(p, 0, diagonal))
    if (got.refusal.empty()) v.compare("output", got.sums, got.format);
}

}  // namespace cases
