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
std::int32_t tap(const sparq::image_view<const std::int8_t>& x, std::size_t image, std::size_t y_at, std::size_t x_at,
                 std::size_t channel, std::int32_t zero_point) {
  if (y_at >= x.image_height || x_at >= x.image_width) return 0;
  return x.pixel(image, y_at, x_at)[channel] - zero_point;
}

const char* equality(std::size_t different) { return different == 0 ? "equal to the plain loop" : "DIFFERENT"; }

}  // namespace

int main() {
  std::mt19937 random(1);
  const auto random_values = [&](std::size_t count) {
    std::vector<float> values(count);
    for (float& value : values) value = static_cast<float>(random() % 255) / 127.0F - 1.0F;
    return values;
  };
  codes image(images * size * size * colours);
  for (std::int8_t& code : image) code = static_cast<std::int8_t>(random() % 256);
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
  const sparq::image_view<const std::int8_t> x(image.data(), images, size, size, colours);
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

  // The same in plain loops. Layer by layer, so that one that differs does not spoil the next.
  const codes conv_codes = sparq::decode_codes(conv.value()), pointwise_codes = sparq::decode_codes(pointwise.value());
  const std::vector<float> connected_values = sparq::decode(connected.value());
  std::size_t wrong_a = 0, wrong_b = 0, wrong_c = 0, wrong_d = 0, wrong_p = 0;
  for (std::size_t i = 0; i < images; ++i) {
    for (std::size_t at = 0; at < half * half; ++at)
      for (std::size_t o = 0; o < channels; ++o) {
        const std::size_t y = at / half, x_at = at % half;
        std::int32_t conv_sum = 0, depthwise_sum = 0, pointwise_sum = 0;
        for (std::size_t t = 0; t < 9; ++t) {  // above or left of the image: huge
          for (std::size_t j = 0; j < colours; ++j)
            conv_sum += tap(x, i, 2 * y + t / 3 - 1, 2 * x_at + t % 3 - 1, j, in.zero_point) *
                        conv_codes[(o * 9 + t) * colours + j];
          depthwise_sum +=
              tap(a_view, i, y + t / 3 - 1, x_at + t % 3 - 1, o, first.zero_point) * depthwise[t * channels + o];
        }
        for (std::size_t j = 0; j < channels; ++j)
          pointwise_sum += tap(b_view, i, y, x_at, j, second.zero_point) * pointwise_codes[o * channels + j];
        const double sum =
            double{third.scale} * (code_of(pointwise_sum, pointwise_factors[o], third, false) - third.zero_point) +
            double{first.scale} * tap(a_view, i, y, x_at, o, first.zero_point);
        wrong_a += a_view.pixel(i, y, x_at)[o] != code_of(conv_sum, conv_factors[o], first, true);
        wrong_b += b_view.pixel(i, y, x_at)[o] != code_of(depthwise_sum, depthwise_factors[o], second, true);
        // Fixed point adds; a sum in the middle between two codes may go either way.
        const double code = std::clamp(sum / double{third.scale} + third.zero_point, -128.0, 127.0);
        wrong_c += std::abs(code - c_view.pixel(i, y, x_at)[o]) > 0.5001;
      }
    double total = 0;
    std::vector<double> exponentials(classes);
    for (std::size_t o = 0; o < channels; ++o) {
      int sum = 0;
      for (std::size_t at = 0; at < half * half; ++at) sum += c_view.pixel(i, at / half, at % half)[o];
      wrong_d += d[i * channels + o] != std::lround(static_cast<double>(sum) / (half * half));
    }
    for (std::size_t o = 0; o < classes; ++o) {
      double sum = 0;
      for (std::size_t j = 0; j < channels; ++j)
        sum +=
            double{third.scale} * (d[i * channels + j] - third.zero_point) * double{connected_values[o * channels + j]};
      total += exponentials[o] = std::exp(sum);
    }
    for (std::size_t o = 0; o < classes; ++o)
      wrong_p += std::abs(probabilities[i * classes + o] - exponentials[o] / total) > 1e-5;
  }
  std::printf("3x3, stride 2: %s\ndepthwise 3x3: %s\n1x1 and residual sum: %s\naverage: %s\nsoftmax: %s\n",
              equality(wrong_a), equality(wrong_b), equality(wrong_c), equality(wrong_d), equality(wrong_p));
  return wrong_a + wrong_b + wrong_c + wrong_d + wrong_p == 0 ? 0 : 1;
}
