// SPDX-License-Identifier: MIT
// A pruned 3x3 convolution from int8 to int8, as TFLite defines it: asymmetric activations, one weight scale for each
// output channel, int32 bias, fixed-point requantization with a fused relu. Every output is equal to the plain loop's.

#include <sparq/sparq.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <random>
#include <span>
#include <vector>

int main() {
  constexpr std::size_t height = 7, width = 9, channels = 24, n = 40, k = 3 * 3 * channels;
  std::mt19937 random(1);
  std::vector<std::int8_t> x_codes(height * width * channels);
  for (std::int8_t& code : x_codes) code = static_cast<std::int8_t>(random() % 256);
  std::vector<float> weights(n * k);
  for (float& weight : weights) weight = static_cast<float>(random() % 255) / 127.0F - 1.0F;
  std::vector<std::int32_t> bias(n);
  for (std::int32_t& value : bias) value = static_cast<std::int32_t>(random() % 2001) - 1000;

  //! [weights]
  // k runs through [kernel_height][kernel_width][channels], so that OHWI weights are a matrix as they stand.
  using format = sparq::block<8, 4>;
  const auto w = sparq::encode<format, sparq::s8>(weights, {n, k}, sparq::prune<format>(weights, {n, k}, 0.5));
  const auto packed = sparq::pack(w);
  //! [weights]

  //! [requantization]
  const sparq::activation_quantization in{0.02F, -3}, out{0.1F, 5};
  std::vector<sparq::tflite_double::parameters> factors;
  for (const float scale : w.scales())
    factors.push_back(sparq::tflite_double::from_real(double{in.scale} * double{scale} / double{out.scale}));
  const sparq::epilogue stages{
      sparq::subtract_zero_point(in.zero_point), sparq::bias(bias),
      sparq::requantize_to_codes<sparq::s8>(std::span<const sparq::tflite_double::parameters>(factors), out.zero_point,
                                            out.zero_point, 127)};  // relu: no code below the zero point
  //! [requantization]

  //! [convolution]
  const auto window = sparq::square_window(3, 1, 1);  // 3 x 3, stride 1, a border of 1
  const sparq::image_view x(x_codes.data(), 1, height, width, channels);
  std::vector<std::int8_t> y_codes(height * width * n);
  const sparq::image_view y(y_codes.data(), 1, height, width, n);
  sparq::workspace scratch;
  const auto padding = static_cast<std::int8_t>(in.zero_point);  // real zeros beyond the border
  sparq::conv2d(x, packed, y, window, padding, stages, sparq::serial, scratch);
  //! [convolution]

  const std::vector<std::int8_t> codes = sparq::decode_codes(w);
  std::size_t equal = 0;
  for (std::size_t out_y = 0; out_y < height; ++out_y)
    for (std::size_t out_x = 0; out_x < width; ++out_x)
      for (std::size_t o = 0; o < n; ++o) {
        std::int32_t sum = bias[o];
        for (std::size_t ky = 0; ky < 3; ++ky)
          for (std::size_t kx = 0; kx < 3; ++kx) {
            const std::size_t in_y = out_y + ky - 1, in_x = out_x + kx - 1;  // above or left of the image: huge
            if (in_y >= height || in_x >= width) continue;
            for (std::size_t c = 0; c < channels; ++c)
              sum += (x.pixel(0, in_y, in_x)[c] - in.zero_point) * codes[o * k + (ky * 3 + kx) * channels + c];
          }
        const auto expected = sparq::requantize_to<sparq::s8>(sum, factors[o], out.zero_point, out.zero_point, 127);
        equal += y.pixel(0, out_y, out_x)[o] == expected;
      }
  std::printf("%zu of %zu outputs are equal to the plain loop's\n", equal, y_codes.size());
  std::printf("pixel (3, 4):");
  for (std::size_t o = 0; o < 12; ++o) std::printf(" %d", y.pixel(0, 3, 4)[o]);
  std::printf(" ...\n");
  return equal == y_codes.size() ? 0 : 1;
}
