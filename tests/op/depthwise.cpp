// SPDX-License-Identifier: MIT
#include <sparq/op/depthwise.hpp>

#include "tests/support/backwards.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"
#include "tests/support/random_window.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

using namespace sparq;

namespace {

/// One convolution with random operands; floats are small integers, so that their sums are exact.
template <class X, class W>
struct depthwise {
  std::size_t images, image_height, image_width, channels, multiplier;
  window_parameters window;
  std::vector<X> x;
  std::vector<W> weights;
  X zero_point;

  using sum_type = std::conditional_t<std::is_same_v<X, float>, float,
                                      std::conditional_t<sizeof(X) == 2, std::int64_t, std::int32_t>>;

  std::size_t output_height() const { return window.output_height(image_height); }
  std::size_t output_width() const { return window.output_width(image_width); }
  std::size_t output_channels() const { return channels * multiplier; }
  std::size_t output_size() const { return images * output_height() * output_width() * output_channels(); }
  image_view<const X> image() const { return {x.data(), images, image_height, image_width, channels}; }
  template <class Y>
  image_view<Y> output(std::vector<Y>& y) const {
    return {y.data(), images, output_height(), output_width(), output_channels()};
  }

  /// The definition, with the zero point in the padding.
  std::vector<sum_type> expected() const {
    std::vector<sum_type> y;
    const auto pixel = [](std::size_t out, std::size_t stride, std::size_t tap, std::size_t dilation, std::size_t pad) {
      return static_cast<std::ptrdiff_t>(out * stride + tap * dilation) - static_cast<std::ptrdiff_t>(pad);
    };
    for (std::size_t i = 0; i < images; ++i)
      for (std::size_t oy = 0; oy < output_height(); ++oy)
        for (std::size_t ox = 0; ox < output_width(); ++ox)
          for (std::size_t o = 0; o < output_channels(); ++o) {
            sum_type sum = 0;
            for (std::size_t ky = 0; ky < window.kernel_height; ++ky)
              for (std::size_t kx = 0; kx < window.kernel_width; ++kx) {
                const auto iy = pixel(oy, window.stride_y, ky, window.dilation_y, window.pad_top);
                const auto ix = pixel(ox, window.stride_x, kx, window.dilation_x, window.pad_left);
                const bool inside = iy >= 0 && ix >= 0 && iy < static_cast<std::ptrdiff_t>(image_height) &&
                                    ix < static_cast<std::ptrdiff_t>(image_width);
                const X value = inside ? image().pixel(i, static_cast<std::size_t>(iy),
                                                       static_cast<std::size_t>(ix))[o / multiplier]
                                       : zero_point;
                sum += static_cast<sum_type>(value - zero_point) *
                       static_cast<sum_type>(weights[(ky * window.kernel_width + kx) * output_channels() + o]);
              }
            y.push_back(sum);
          }
    return y;
  }
};

template <class T>
T random_code(std::mt19937& random) {
  if constexpr (std::is_same_v<T, float>) return static_cast<float>(random() % 33) - 16.0F;
  if (random() % 4 == 0) return random() % 2 == 0 ? std::numeric_limits<T>::lowest() : std::numeric_limits<T>::max();
  return static_cast<T>(random());
}

template <class X, class W>
depthwise<X, W> random_depthwise(std::mt19937& random, std::size_t channels, std::size_t multiplier) {
  const auto up_to = [&](std::size_t most) { return 1 + random() % most; };
  depthwise<X, W> c;
  c.images = up_to(2);
  c.channels = channels;
  c.multiplier = multiplier;
  const window_parameters& w = c.window = sparq_test::random_window(random, 4);
  c.image_height = (w.kernel_height - 1) * w.dilation_y + up_to(5);
  c.image_width = (w.kernel_width - 1) * w.dilation_x + up_to(5);
  c.x.resize(c.images * c.image_height * c.image_width * c.channels);
  for (auto& value : c.x) value = random_code<X>(random);
  c.weights.resize(w.taps() * c.output_channels());
  for (auto& value : c.weights) value = random_code<W>(random);
  c.zero_point = random_code<X>(random);
  return c;
}

template <class X, class W>
void check_windows() {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  for (const std::size_t multiplier : {1u, 2u, 3u})
    for (const std::size_t channels : {1u, 2u, 5u, 8u, 15u, 16u, 17u, 31u, 33u, 63u, 64u, 65u, 80u, 131u}) {
      const auto c = random_depthwise<X, W>(random, channels, multiplier);
      const auto want = c.expected();
      std::vector<typename depthwise<X, W>::sum_type> got(want.size(), 77);
      depthwise_conv2d(c.image(), std::span(c.weights), c.output(got), c.window, c.zero_point, epilogue<>(), serial);
      INFO(channels << " channels, multiplier " << multiplier);
      REQUIRE(got == want);
    }
}

}  // namespace

TEST_CASE("depthwise: every window equals the plain loop for u8") { check_windows<std::uint8_t, std::int8_t>(); }
TEST_CASE("depthwise: every window equals the plain loop for s8") { check_windows<std::int8_t, std::int8_t>(); }
TEST_CASE("depthwise: every window equals the plain loop for s16") { check_windows<std::int16_t, std::int8_t>(); }
TEST_CASE("depthwise: sums of 16-bit activations pass what int32 holds") {
  for (const std::size_t channels : {3u, 16u, 67u}) {
    depthwise<std::int16_t, std::int8_t> c{};
    c.images = c.multiplier = 1;
    c.channels = channels;
    c.window.kernel_height = 9;
    c.image_height = 10;
    for (const std::size_t width : {28u, 29u, 57u, 150u}) {  // 252, 261, 513 and 1350 taps
      c.window.kernel_width = c.image_width = width;
      c.x.assign(c.image_height * width * channels, -32768);
      c.weights.assign(c.window.taps() * channels, -128);
      c.zero_point = 32767;
      std::vector<std::int64_t> got(c.output_size());
      depthwise_conv2d(c.image(), std::span(c.weights), c.output(got), c.window, c.zero_point, epilogue<>(), serial);
      REQUIRE(got == std::vector<std::int64_t>(2 * channels, static_cast<std::int64_t>(9 * width) * 65535 * 128));
    }
  }
}
TEST_CASE("depthwise: sums of 16-bit activations are requantized as TFLite's 16x8 does") {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  auto c = random_depthwise<std::int16_t, std::int8_t>(random, 21, 2);
  c.zero_point = 0;
  const auto sums = c.expected();
  const auto parameters = tflite_16x8::from_real(0.001);
  std::vector<std::int16_t> got(sums.size());
  depthwise_conv2d(c.image(), std::span(c.weights), c.output(got), c.window, c.zero_point,
                   epilogue(requantize_to_codes<s16>(parameters)), serial);
  for (std::size_t i = 0; i < sums.size(); ++i)
    REQUIRE(got[i] == std::clamp<std::int32_t>(tflite_16x8::apply(sums[i], parameters), -32768, 32767));
}
TEST_CASE("depthwise: every window equals the plain loop for f32") { check_windows<float, float>(); }

TEST_CASE("depthwise: bias and requantization see the right channels") {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  for (const std::size_t channels : {3u, 16u, 21u, 64u, 90u}) {
    const auto c = random_depthwise<std::int8_t, std::int8_t>(random, channels, 2);
    std::vector<std::int32_t> offsets(c.output_channels());
    std::vector<tflite_double::parameters> factors(c.output_channels());
    for (auto& offset : offsets) offset = static_cast<std::int32_t>(random() % 100000) - 50000;
    for (auto& factor : factors)
      factor = {static_cast<std::int32_t>((1u << 30) + random() % (1u << 30)), -static_cast<int>(random() % 10)};
    const auto sums = c.expected();
    std::vector<std::int8_t> want, got(sums.size());
    for (std::size_t i = 0; i < sums.size(); ++i) {
      const std::size_t o = i % c.output_channels();
      want.push_back(requantize_to<s8>(sums[i] + offsets[o], factors[o], -7, -100, 127));
    }
    depthwise_conv2d(
        c.image(), std::span(c.weights), c.output(got), c.window, c.zero_point,
        epilogue(bias(offsets),
                 requantize_to_codes<s8>(std::span<const tflite_double::parameters>(factors), -7, -100, 127)),
        serial);
    INFO(channels << " channels");
    REQUIRE(got == want);
  }
}

TEST_CASE("depthwise: a residual that is Y itself is added once") {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  for (const std::size_t channels : {7u, 16u, 29u, 70u}) {  // 29 and 70: the last registers overlap those before
    const auto c = random_depthwise<std::uint8_t, std::int8_t>(random, channels, 1);
    auto want = c.expected();
    std::vector<std::int32_t> y(want.size());
    for (std::size_t i = 0; i < y.size(); ++i) {
      y[i] = static_cast<std::int32_t>(random() % 1000);
      want[i] += y[i];
    }
    depthwise_conv2d(c.image(), std::span(c.weights), c.output(y), c.window, c.zero_point,
                     epilogue(add(c.output(y).as_matrix())), serial);
    INFO(channels << " channels");
    REQUIRE(y == want);
  }
}

TEST_CASE("depthwise: parts of an executor together compute everything") {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  for (int trial = 0; trial < 10; ++trial) {
    const auto c = random_depthwise<std::uint8_t, std::int8_t>(random, 20, 1);
    const auto want = c.expected();
    std::vector<std::int32_t> got(want.size(), 77);
    depthwise_conv2d(c.image(), std::span(c.weights), c.output(got), c.window, c.zero_point, epilogue<>(),
                     sparq_test::backwards{3});
    REQUIRE(got == want);
  }
}

TEST_CASE("depthwise: what is left out is a zero point of 0, no epilogue and the calling thread") {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  auto c = random_depthwise<std::int8_t, std::int8_t>(random, 20, 2);
  const std::int8_t zero_point = c.zero_point;
  std::vector<std::int32_t> got(c.output_size(), 77);
  depthwise_conv2d(c.image(), std::span(c.weights), c.output(got), c.window, zero_point);
  CHECK(got == c.expected());
  c.zero_point = 0;
  REQUIRE(try_depthwise_conv2d(c.image(), std::span(c.weights), c.output(got), c.window).ok());
  CHECK(got == c.expected());
}

TEST_CASE("depthwise: images without channels or without images are left alone") {
  const window_parameters window{.kernel_height = 2};
  std::vector<std::int8_t> weights;
  CHECK(try_depthwise_conv2d(image_view<const std::uint8_t>(nullptr, 1, 3, 3, 0), std::span(weights),
                             image_view<std::int32_t>(nullptr, 1, 2, 3, 0), window, std::uint8_t{0}, epilogue<>(),
                             serial)
            .ok());
  weights.resize(2 * 4);
  CHECK(try_depthwise_conv2d(image_view<const std::uint8_t>(nullptr, 0, 3, 3, 4), std::span(weights),
                             image_view<std::int32_t>(nullptr, 0, 2, 3, 4), window, std::uint8_t{0}, epilogue<>(),
                             serial)
            .ok());
}

TEST_CASE("depthwise: rows of narrow weights that are no taps of Y's channels are refused") {
  const std::vector<std::int8_t> x(4);
  const std::vector<std::byte> weights(16);
  std::vector<std::int32_t> y(4, 5);
  const auto sentence = [&](std::size_t taps, std::size_t columns, std::size_t stride) {
    return try_depthwise_conv2d(image_view<const std::int8_t>(x.data(), 1, 1, 1, 4),
                                narrow_matrix_view<const s4>(weights.data(), taps, columns, stride),
                                image_view<std::int32_t>(y.data(), 1, 1, 1, 4), {}, std::int8_t{0}, epilogue<>(),
                                serial)
        .message();
  };
  CHECK(sentence(3, 4, 2) ==
        "depthwise_conv2d: 12 weights; kernel_height x kernel_width x channels of Y = 1 x 1 x 4 are needed");
  CHECK(sentence(2, 2, 1) == "depthwise_conv2d: rows of 2 weights; one tap of all channels of Y has 4");
  CHECK(sentence(1, 4, 1) == "depthwise_conv2d: the matrix of weights has a stride of 1; at least 2 are needed");
  CHECK(y == std::vector<std::int32_t>(4, 5));
  CHECK(sentence(1, 4, 2) == "");
}

TEST_CASE("depthwise: operands that do not match are refused, and Y stays as it is") {
  const std::vector<std::uint8_t> x(3 * 3 * 4);
  const std::vector<std::int8_t> weights(2 * 2 * 8);
  const std::vector<std::int32_t> offsets(7);
  std::vector<std::int32_t> y(2 * 2 * 8, 5);
  const window_parameters window{.kernel_height = 2, .kernel_width = 2};
  const image_view<const std::uint8_t> image(x.data(), 1, 3, 3, 4);
  const auto sentence = [&](std::size_t weight_count, image_view<std::int32_t> out, const window_parameters& w,
                            const auto& stages) {
    return try_depthwise_conv2d(image, std::span(weights).first(weight_count), out, w, std::uint8_t{0}, stages, serial)
        .message();
  };
  const image_view<std::int32_t> out(y.data(), 1, 2, 2, 8);
  CHECK(sentence(31, out, window, epilogue<>()) ==
        "depthwise_conv2d: 31 weights; kernel_height x kernel_width x channels of Y = 2 x 2 x 8 are needed");
  CHECK(sentence(32, {y.data(), 1, 2, 2, 6}, window, epilogue<>()) ==
        "depthwise_conv2d: Y has 6 channels, that is no multiple of the 4 channels of X");
  CHECK(sentence(32, {y.data(), 1, 2, 1, 8}, window, epilogue<>()) ==
        "depthwise_conv2d: Y is 1 x 2 x 1 x 8, it needs to be 1 x 2 x 2 x 8");
  CHECK(sentence(32, out, {.kernel_height = 4}, epilogue<>()) ==
        "depthwise_conv2d: window: the kernel spans 4 rows of pixels, the padded image has 3 (0 + 3 + 0)");
  CHECK(sentence(32, out, window, epilogue(bias(offsets))) == "bias: 7 values for 8 output channels");
  CHECK(y == std::vector<std::int32_t>(y.size(), 5));
  CHECK(sentence(32, out, window, epilogue<>()) == "");
  CHECK(y == std::vector<std::int32_t>(y.size(), 0));
}
