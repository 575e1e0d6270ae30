// SPDX-License-Identifier: MIT
#include "tests/data/operands.hpp"

#include <sparq/format/dense.hpp>
#include <sparq/tensor/encode.hpp>

namespace cases {

float_outputs float_outputs_of(const neutral_case& one, std::size_t n) {
  float_outputs out;
  out.bias = channel_values<float>(one, "bias", n);
  out.low = static_cast<float>(one.real("activation_min", static_cast<double>(out.low)));
  out.high = static_cast<float>(one.real("activation_max", static_cast<double>(out.high)));
  return out;
}

tflite_codes tflite_codes_of(const neutral_case& one, std::size_t n) {
  tflite_codes out;
  out.bias = channel_values<std::int32_t>(one, "bias", n);
  const auto multiplier = channel_values<std::int32_t>(one, "requant_multiplier", n);
  const auto shift = channel_values<std::int32_t>(one, "requant_shift", n);
  for (std::size_t i = 0; i < n; ++i) out.per_channel.push_back({multiplier[i], shift[i]});
  out.zero_point = static_cast<std::int32_t>(one.integer("output_zero_point"));
  out.low = static_cast<std::int32_t>(one.integer("activation_min"));
  out.high = static_cast<std::int32_t>(one.integer("activation_max"));
  return out;
}

namespace {

template <class Parameters>
void compare_s16_as(const neutral_case& one, verdict& v) {
  const auto p = product_of<std::int16_t, std::int8_t>(one);
  output_codes_s16<Parameters> out;
  out.bias = channel_values<std::int64_t>(one, "bias", p.n);
  const auto multiplier = channel_values<std::int32_t>(one, "requant_multiplier", p.n);
  const auto shift = channel_values<std::int32_t>(one, "requant_shift", p.n);
  for (std::size_t i = 0; i < p.n; ++i) out.per_channel.push_back({multiplier[i], shift[i]});
  out.low = static_cast<std::int32_t>(one.integer("activation_min"));
  out.high = static_cast<std::int32_t>(one.integer("activation_max"));
  for (const auto& got : tflite_s16(p, out)) v.compare("output", got.codes, "s8 " + got.format);
}

}  // namespace

void compare_s16(const neutral_case& one, verdict& v) {
  for (const char* zero_point : {"input_zero_point", "weight_zero_point", "output_zero_point"})
    if (one.integer(zero_point) != 0) return v.leave_out("activations of int16 with a zero point");
  if (one.text("rounding") == "reduced-multiplier-int64")
    compare_s16_as<sparq::tflite_16x8::parameters>(one, v);
  else
    compare_s16_as<sparq::tflite_double::parameters>(one, v);
}

floor_shift_codes floor_shift_codes_of(const neutral_case& one) {
  floor_shift_codes out;
  const auto kappa = values_of<std::int32_t>(one, "kappa");
  const auto lambda = values_of<std::int32_t>(one, "lambda");
  const auto shift = static_cast<int>(one.integer("out_shift"));
  for (std::size_t i = 0; i < kappa.size(); ++i) out.per_channel.push_back({kappa[i], lambda[i], shift});
  out.low = static_cast<std::int32_t>(one.integer("output_min"));
  out.high = static_cast<std::int32_t>(one.integer("output_max"));
  return out;
}

namespace {

std::size_t extent(std::int64_t value) { return static_cast<std::size_t>(value); }

std::vector<std::int64_t> integers_or(const neutral_case& one, const std::string& key,
                                      std::vector<std::int64_t> fallback) {
  return one.has_attribute(key) ? one.integers(key) : fallback;
}

void set_window(sparq::window_parameters& w, const std::vector<std::int64_t>& stride,
                const std::vector<std::int64_t>& dilation, const std::vector<std::int64_t>& pad) {
  w.stride_y = extent(stride.at(0));
  w.stride_x = extent(stride.at(1));
  w.dilation_y = extent(dilation.at(0));
  w.dilation_x = extent(dilation.at(1));
  w.pad_top = extent(pad.at(0));
  w.pad_left = extent(pad.at(1));
  w.pad_bottom = extent(pad.at(2));
  w.pad_right = extent(pad.at(3));
}

// What has to surround an image so that there is an output for every stride; the odd one comes first or last.
void pad_same(std::size_t image, std::size_t span, std::size_t stride, bool odd_first, std::size_t& before,
              std::size_t& after) {
  const std::size_t reach = ((image + stride - 1) / stride - 1) * stride + span;
  const std::size_t total = reach > image ? reach - image : 0;
  before = odd_first ? total - total / 2 : total / 2;
  after = total - before;
}

}  // namespace

sparq::window_parameters window_of(const neutral_case& one, std::size_t kernel_height, std::size_t kernel_width) {
  sparq::window_parameters w;
  w.kernel_height = kernel_height;
  w.kernel_width = kernel_width;
  set_window(w, one.integers("stride"), integers_or(one, "dilation", {1, 1}), one.integers("pad"));
  return w;
}

sparq::window_parameters onnx_window_of(const neutral_case& one, std::size_t kernel_height, std::size_t kernel_width,
                                        std::size_t image_height, std::size_t image_width) {
  sparq::window_parameters w;
  w.kernel_height = kernel_height;
  w.kernel_width = kernel_width;
  set_window(w, integers_or(one, "strides", {1, 1}), integers_or(one, "dilations", {1, 1}),
             integers_or(one, "pads", {0, 0, 0, 0}));
  const std::string automatic = one.has_attribute("auto_pad") ? one.text("auto_pad") : "NOTSET";
  if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
    const bool odd_first = automatic == "SAME_LOWER";
    pad_same(image_height, w.span_height(), w.stride_y, odd_first, w.pad_top, w.pad_bottom);
    pad_same(image_width, w.span_width(), w.stride_x, odd_first, w.pad_left, w.pad_right);
  }
  return w;
}

void check_packed_weights(const neutral_case& one, verdict& v) {
  if (!one.has_input("weights_packed")) return;
  const auto weights = values_of<std::int8_t>(one, "weights");
  const auto bytes = values_of<std::uint8_t>(one, "weights_packed");
  std::vector<std::byte> ours(sparq::storage_bytes<sparq::s4>(weights.size()));
  sparq::pack_codes<sparq::s4>(weights, ours.data());
  std::vector<std::int8_t> unpacked(weights.size());
  const auto published = std::as_bytes(std::span(bytes));
  v.require(std::ranges::equal(ours, published), "weights_packed: our codec packs other bytes");
  sparq::unpack_codes<sparq::s4>(published.data(), unpacked);
  v.require(unpacked == weights, "weights_packed: our codec unpacks other values");

  const std::size_t n = one.input("weights").array.shape[0];
  const auto tensor =
      sparq::encode_codes<sparq::dense, sparq::s4, sparq::per_tensor>(weights, {n, weights.size() / n}, {1.0F});
  v.require(std::ranges::equal(tensor.values(), published), "weights_packed: a dense s4 tensor holds other bytes");
}

}  // namespace cases
