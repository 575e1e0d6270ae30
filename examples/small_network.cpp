// SPDX-License-Identifier: MIT
// A network of bytes from image to probabilities, as TFLite computes it: a 3x3 convolution with stride 2, a depthwise
// one, a pruned 1x1, a residual sum, an average, a fully connected layer of 4-bit weights, softmax. No function throws.

#include <sparq/sparq.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <random>
#include <span>
#include <vector>

namespace {

using codes = std::vector<std::int8_t>;
using factors = std::vector<sparq::tflite_double::parameters>;
using image = sparq::image_view<const std::int8_t>;

constexpr std::size_t images = 2, size = 17, half = 9, colours = 3, channels = 32, classes = 10;
constexpr sparq::activation_quantization in{0.02F, -3}, first{0.05F, -128}, second{0.08F, -128}, third{0.1F, 4};

factors factors_of(std::span<const float> scales, float x_scale, float y_scale) {
  factors result;
  for (const float scale : scales)
    result.push_back(sparq::tflite_double::from_real(double{x_scale} * double{scale} / double{y_scale}));
  return result;
}

// From sums to codes of Y; with relu no code lies below the zero point.
auto requantize(const factors& f, const sparq::activation_quantization& y, bool relu) {
  return sparq::requantize_to_codes<sparq::s8>(std::span(f), y.zero_point, relu ? y.zero_point : -128, 127);
}

std::int32_t code_of(std::int32_t sum, const sparq::tflite_double::parameters& f,
                     const sparq::activation_quantization& y, bool relu) {
  return sparq::requantize_to<sparq::s8>(sum, f, y.zero_point, relu ? y.zero_point : -128, 127);
}

// What a tap of a plain loop reads: the code less its zero point, and 0 outside of the image.
std::int32_t tap(const image& x, std::size_t i, std::size_t row, std::size_t column, std::size_t channel,
                 std::int32_t zero_point) {
  if (row >= x.image_height || column >= x.image_width) return 0;
  return x.pixel(i, row, column)[channel] - zero_point;
}

// The layers again in plain loops, each from what the layer before it made, so that one that differs does not spoil
// the next: how many codes of Y are not what they should be.
template <class IsWrong>
std::size_t count_wrong(const image& y, IsWrong is_wrong) {
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < y.images; ++i)
    for (std::size_t row = 0; row < y.image_height; ++row)
      for (std::size_t column = 0; column < y.image_width; ++column)
        for (std::size_t c = 0; c < y.channels; ++c)
          wrong += is_wrong(i, row, column, c, y.pixel(i, row, column)[c]) ? 1U : 0U;
  return wrong;
}

std::size_t wrong_convolution(const image& x, const codes& w, const factors& f, const image& y) {
  return count_wrong(y, [&](std::size_t i, std::size_t row, std::size_t column, std::size_t c, std::int8_t code) {
    std::int32_t sum = 0;
    for (std::size_t t = 0; t < 9; ++t)  // above or left of the image: huge
      for (std::size_t j = 0; j < x.channels; ++j)
        sum += tap(x, i, 2 * row + t / 3 - 1, 2 * column + t % 3 - 1, j, in.zero_point) *
               w[(c * 9 + t) * x.channels + j];
    return code != code_of(sum, f[c], first, true);
  });
}

std::size_t wrong_depthwise(const image& x, const codes& w, const factors& f, const image& y) {
  return count_wrong(y, [&](std::size_t i, std::size_t row, std::size_t column, std::size_t c, std::int8_t code) {
    std::int32_t sum = 0;
    for (std::size_t t = 0; t < 9; ++t)
      sum += tap(x, i, row + t / 3 - 1, column + t % 3 - 1, c, first.zero_point) * w[t * x.channels + c];
    return code != code_of(sum, f[c], second, true);
  });
}

std::size_t wrong_residual(const image& x, const codes& w, const factors& f, const image& added, const image& y) {
  return count_wrong(y, [&](std::size_t i, std::size_t row, std::size_t column, std::size_t c, std::int8_t code) {
    std::int32_t sum = 0;
    for (std::size_t j = 0; j < x.channels; ++j)
      sum += tap(x, i, row, column, j, second.zero_point) * w[c * x.channels + j];
    const double value = double{third.scale} * (code_of(sum, f[c], third, false) - third.zero_point) +
                         double{first.scale} * tap(added, i, row, column, c, first.zero_point);
    // Fixed point adds; a sum in the middle between two codes may go either way.
    return std::abs(std::clamp(value / double{third.scale} + third.zero_point, -128.0, 127.0) - code) > 0.5001;
  });
}

std::size_t wrong_average(const image& x, const image& y) {
  return count_wrong(y, [&](std::size_t i, std::size_t, std::size_t, std::size_t c, std::int8_t code) {
    int sum = 0;
    for (std::size_t at = 0; at < half * half; ++at) sum += x.pixel(i, at / half, at % half)[c];
    return code != std::lround(static_cast<double>(sum) / (half * half));
  });
}

std::size_t wrong_softmax(const image& x, const std::vector<float>& w, const std::vector<float>& y) {
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < x.images; ++i) {
    double exponentials[classes], total = 0;
    for (std::size_t c = 0; c < classes; ++c) {
      double sum = 0;
      for (std::size_t j = 0; j < x.channels; ++j)
        sum += double{third.scale} * tap(x, i, 0, 0, j, third.zero_point) * double{w[c * x.channels + j]};
      total += exponentials[c] = std::exp(sum);
    }
    for (std::size_t c = 0; c < classes; ++c)
      wrong += std::abs(y[i * classes + c] - exponentials[c] / total) > 1e-5 ? 1U : 0U;
  }
  return wrong;
}

// Prints what came of one comparison.
bool is_equal(const char* layer, std::size_t wrong) {
  std::printf("%s: %s\n", layer, wrong == 0 ? "equal to the plain loop" : "DIFFERENT");
  return wrong == 0;
}

}  // namespace

int main() {
  std::mt19937 random(1);
  const auto random_values = [&](std::size_t count) {
    std::vector<float> values(count);
    for (float& value : values) value = static_cast<float>(random() % 255) / 127.0F - 1.0F;
    return values;
  };
  codes pixels(images * size * size * colours);
  for (std::int8_t& code : pixels) code = static_cast<std::int8_t>(random() % 256);
  const std::vector<float> conv_weights = random_values(channels * 9 * colours);    // OHWI
  const std::vector<float> depthwise_weights = random_values(9 * channels);         // HWO
  const std::vector<float> pointwise_weights = random_values(channels * channels);  // OI
  const std::vector<float> connected_weights = random_values(classes * channels);   // OI

  //! [weights]
  const auto conv = sparq::try_encode<sparq::dense, sparq::s8>(conv_weights, {channels, 9 * colours});
  using pruned = sparq::tile_wise<16>;
  const auto keep = sparq::try_prune<pruned>(pointwise_weights, {channels, channels}, 0.5);
  if (!conv.ok() || !keep.ok()) return std::puts("the weights cannot be encoded"), 1;
  const auto pointwise = sparq::try_encode<pruned, sparq::s8>(pointwise_weights, {channels, channels}, keep.value());
  const auto connected =
      sparq::try_encode<sparq::dense, sparq::s4, sparq::per_group<32>>(connected_weights, {classes, channels});
  if (!pointwise.ok() || !connected.ok()) return std::puts("the weights cannot be encoded"), 1;
  const auto conv_packed = sparq::pack(conv.value());
  const auto pointwise_packed = sparq::pack(pointwise.value());
  const auto connected_packed = sparq::pack(connected.value());

  // Depthwise weights are codes as they stand, taps x channels; here with one scale for all of them.
  constexpr float depthwise_scale = 1.0F / 127;
  codes depthwise(depthwise_weights.size());
  const sparq::status quantized = sparq::try_quantize<std::int8_t>(depthwise_weights, {depthwise_scale, 0}, depthwise);
  //! [weights]
  if (!quantized.ok()) return std::puts(quantized.message().c_str()), 1;

  const factors conv_factors = factors_of(conv.value().scales(), in.scale, first.scale);
  const factors depthwise_factors(
      channels, sparq::tflite_double::from_real(double{first.scale} * double{depthwise_scale} / double{second.scale}));
  const factors pointwise_factors = factors_of(pointwise.value().scales(), second.scale, third.scale);
  const auto sum_parameters = sparq::add_parameters::try_from<std::int8_t>(third, first, third);
  if (!sum_parameters.ok()) return std::puts(sum_parameters.error().message().c_str()), 1;

  codes a(images * half * half * channels), b(a.size()), c(a.size()), d(images * channels);
  std::vector<float> probabilities(images * classes);
  const image x(pixels.data(), images, size, size, colours);
  const sparq::image_view a_view(a.data(), images, half, half, channels),
      b_view(b.data(), images, half, half, channels), c_view(c.data(), images, half, half, channels),
      d_view(d.data(), images, 1, 1, channels);
  const sparq::matrix_view logits(probabilities.data(), images, classes);
  sparq::workspace scratch;

  //! [layers]
  const auto stride_2 = sparq::square_window(3, 2, 1);  // 3 x 3 with stride and border: 17 x 17 pixels become 9 x 9
  const auto same = sparq::square_window(3, 1, 1);
  const auto whole = sparq::square_window(half);  // one window is the image

  // Every operation returns a status; the first that is not ok ends the list.
  const auto run = [&]() -> sparq::status {
    if (auto s = sparq::try_conv2d(
            x, conv_packed, a_view, stride_2, std::int8_t{in.zero_point},
            sparq::epilogue{sparq::subtract_zero_point(in.zero_point), requantize(conv_factors, first, true)},
            sparq::serial, scratch);
        !s.ok())
      return s;
    if (auto s = sparq::try_depthwise_conv2d(
            a_view, std::span<const std::int8_t>(depthwise), b_view, same, std::int8_t{first.zero_point},
            sparq::epilogue{requantize(depthwise_factors, second, true)});
        !s.ok())
      return s;
    // 1 x 1: pixels are the rows of a matrix.
    if (auto s = sparq::try_gemm(
            b_view.as_matrix(), pointwise_packed, c_view.as_matrix(),
            sparq::epilogue{sparq::subtract_zero_point(second.zero_point), requantize(pointwise_factors, third, false)},
            sparq::serial, scratch);
        !s.ok())
      return s;
    if (auto s = sparq::try_elementwise_add<std::int8_t>(c, a, c, sum_parameters.value()); !s.ok()) return s;
    if (auto s = sparq::try_average_pool2d(c_view, d_view, whole); !s.ok()) return s;
    if (auto s =
            sparq::try_gemm(d_view.as_matrix(), connected_packed, logits,
                            sparq::epilogue{sparq::subtract_zero_point(third.zero_point), sparq::scale(third.scale)},
                            sparq::serial, scratch);
        !s.ok())
      return s;
    return sparq::try_softmax(logits, logits);
  };
  //! [layers]
  if (const sparq::status done = run(); !done.ok()) return std::puts(done.message().c_str()), 1;

  bool equal = is_equal("3x3, stride 2", wrong_convolution(x, sparq::decode_codes(conv.value()), conv_factors, a_view));
  equal &= is_equal("depthwise 3x3", wrong_depthwise(a_view, depthwise, depthwise_factors, b_view));
  equal &= is_equal("1x1 and residual sum", wrong_residual(b_view, sparq::decode_codes(pointwise.value()),
                                                           pointwise_factors, a_view, c_view));
  equal &= is_equal("average", wrong_average(c_view, d_view));
  equal &= is_equal("softmax", wrong_softmax(d_view, sparq::decode(connected.value()), probabilities));
  return equal ? 0 : 1;
}
