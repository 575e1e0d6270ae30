// SPDX-License-Identifier: MIT
#include <sparq/op/pool.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

using namespace sparq;

namespace {

/// Pads smaller than the kernel, so that every window holds a pixel; no dilation unless asked for.
window_parameters random_window(std::mt19937& random) {
  window_parameters w;
  w.kernel_height = 1 + random() % 4;
  w.kernel_width = 1 + random() % 4;
  w.stride_y = 1 + random() % 3;
  w.stride_x = 1 + random() % 3;
  w.pad_top = random() % w.kernel_height;
  w.pad_left = random() % w.kernel_width;
  w.pad_bottom = random() % w.kernel_height;
  w.pad_right = random() % w.kernel_width;
  return w;
}

template <class T>
struct pool_case {
  std::size_t images, image_height, image_width, channels;
  window_parameters window;
  std::vector<T> x;

  image_view<const T> image() const { return {x.data(), images, image_height, image_width, channels}; }
  std::vector<T> empty_output() const {
    return std::vector<T>(images * window.output_height(image_height) * window.output_width(image_width) * channels);
  }
  image_view<T> output(std::vector<T>& y) const {
    return {y.data(), images, window.output_height(image_height), window.output_width(image_width), channels};
  }
  /// The window's values inside the image for every element of Y.
  std::vector<std::vector<T>> windows() const {
    std::vector<std::vector<T>> result;
    for (std::size_t i = 0; i < images; ++i)
      for (std::size_t oy = 0; oy < window.output_height(image_height); ++oy)
        for (std::size_t ox = 0; ox < window.output_width(image_width); ++ox)
          for (std::size_t c = 0; c < channels; ++c) {
            std::vector<T> values;
            for (std::size_t ky = 0; ky < window.kernel_height; ++ky)
              for (std::size_t kx = 0; kx < window.kernel_width; ++kx) {
                const std::size_t y = oy * window.stride_y + ky * window.dilation_y;
                const std::size_t x_at = ox * window.stride_x + kx * window.dilation_x;
                if (y >= window.pad_top && x_at >= window.pad_left && y - window.pad_top < image_height &&
                    x_at - window.pad_left < image_width)
                  values.push_back(image().pixel(i, y - window.pad_top, x_at - window.pad_left)[c]);
              }
            result.push_back(values);
          }
    return result;
  }
};

template <class T>
pool_case<T> random_pool(std::mt19937& random) {
  pool_case<T> c;
  c.window = random_window(random);
  c.images = 1 + random() % 2;
  c.channels = 1 + random() % 100;
  c.image_height = c.window.kernel_height + random() % 5;
  c.image_width = c.window.kernel_width + random() % 5;
  c.x.resize(c.images * c.image_height * c.image_width * c.channels);
  for (auto& value : c.x) value = static_cast<T>(static_cast<std::int8_t>(random()));
  return c;
}

/// sum / count, ties away from zero, from the definition.
std::int32_t rounded(std::int32_t sum, std::int32_t count) {
  return static_cast<std::int32_t>(std::lround(static_cast<long double>(sum) / static_cast<long double>(count)));
}

}  // namespace

TEMPLATE_TEST_CASE("pool: the largest value of every window", "", std::int8_t, std::uint8_t, float) {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  for (int trial = 0; trial < 40; ++trial) {
    const auto c = random_pool<TestType>(random);
    std::vector<TestType> want, got = c.empty_output();
    for (const auto& values : c.windows()) want.push_back(*std::max_element(values.begin(), values.end()));
    max_pool2d(c.image(), c.output(got), c.window, value_range<TestType>{}, serial);
    REQUIRE(got == want);
  }
}

TEMPLATE_TEST_CASE("pool: integer averages of the values inside round half away from zero", "", std::int8_t,
                   std::uint8_t) {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  for (int trial = 0; trial < 40; ++trial) {
    const auto c = random_pool<TestType>(random);
    const auto zero_point = static_cast<TestType>(random());
    std::vector<TestType> want_inside, want_all, inside = c.empty_output(), all = inside;
    for (const auto& values : c.windows()) {
      std::int32_t sum = 0;
      for (const TestType value : values) sum += value;
      const auto count = static_cast<std::int32_t>(values.size());
      const auto taps = static_cast<std::int32_t>(c.window.taps());
      want_inside.push_back(static_cast<TestType>(rounded(sum, count)));
      want_all.push_back(static_cast<TestType>(rounded(sum + (taps - count) * zero_point, taps)));
    }
    const value_range<TestType> all_codes{};
    average_pool2d(c.image(), c.output(inside), c.window, all_codes, average_padding<TestType>{}, serial);
    average_pool2d(c.image(), c.output(all), c.window, all_codes, average_padding<TestType>{true, zero_point}, serial);
    REQUIRE(inside == want_inside);
    REQUIRE(all == want_all);
  }
}

TEST_CASE("pool: ties of both signs move away from zero") {
  const window_parameters pair{.kernel_width = 2, .stride_x = 2};
  const std::vector<std::int8_t> x{1, 2, -1, -2, 0, 1, 0, -1, 127, 126, -128, -127, -128, -128};
  std::vector<std::int8_t> y(7);
  average_pool2d(image_view<const std::int8_t>(x.data(), 1, 1, 14, 1), image_view<std::int8_t>(y.data(), 1, 1, 7, 1),
                 pair, value_range<std::int8_t>{}, average_padding<std::int8_t>{}, serial);
  CHECK(y == std::vector<std::int8_t>{2, -2, 1, -1, 127, -128, -128});
}

TEST_CASE("pool: every sum and count of a large window divides exactly") {
  std::vector<std::uint8_t> x(1021 * 3);
  std::vector<std::uint8_t> y(3);
  const window_parameters window{.kernel_width = 1021};
  for (int target = 0; target < 255; ++target) {
    // sum = 1021 * target + 510 rounds to target, one more rounds to target + 1
    for (std::size_t c = 0; c < 3; ++c) {
      std::size_t rest = 509 + c;
      for (std::size_t i = 0; i < 1021; ++i) x[i * 3 + c] = static_cast<std::uint8_t>(target + (i < rest ? 1 : 0));
    }
    average_pool2d(image_view<const std::uint8_t>(x.data(), 1, 1, 1021, 3),
                   image_view<std::uint8_t>(y.data(), 1, 1, 1, 3), window, value_range<std::uint8_t>{},
                   average_padding<std::uint8_t>{}, serial);
    REQUIRE(y == std::vector<std::uint8_t>{static_cast<std::uint8_t>(target), static_cast<std::uint8_t>(target),
                                           static_cast<std::uint8_t>(target + 1)});
  }
}

TEST_CASE("pool: float averages divide by the taps inside, or by all of them") {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  for (int trial = 0; trial < 20; ++trial) {
    const auto c = random_pool<float>(random);
    std::vector<float> want_inside, want_all, inside = c.empty_output(), all = inside;
    for (const auto& values : c.windows()) {
      float sum = 0;
      for (const float value : values) sum += value;  // small integers: exact
      want_inside.push_back(sum / static_cast<float>(values.size()));
      want_all.push_back(sum / static_cast<float>(c.window.taps()));
    }
    average_pool2d(c.image(), c.output(inside), c.window, value_range<float>{}, average_padding<float>{}, serial);
    average_pool2d(c.image(), c.output(all), c.window, value_range<float>{}, average_padding<float>{true}, serial);
    REQUIRE(inside == want_inside);
    REQUIRE(all == want_all);
  }
}

TEST_CASE("pool: values are clamped to the range") {
  const std::vector<std::int8_t> x{-100, 0, 100};
  std::vector<std::int8_t> y(3);
  const image_view<const std::int8_t> in(x.data(), 1, 1, 3, 1);
  const image_view<std::int8_t> out(y.data(), 1, 1, 3, 1);
  max_pool2d(in, out, {}, value_range<std::int8_t>{-5, 60}, serial);
  CHECK(y == std::vector<std::int8_t>{-5, 0, 60});
  average_pool2d(in, out, {}, value_range<std::int8_t>{-7, 70}, average_padding<std::int8_t>{}, serial);
  CHECK(y == std::vector<std::int8_t>{-7, 0, 70});
}

TEST_CASE("pool: dilated windows read every other pixel") {
  const std::vector<float> x{1, 9, 2, 8, 3};
  std::vector<float> y(3);
  max_pool2d(image_view<const float>(x.data(), 1, 1, 5, 1), image_view<float>(y.data(), 1, 1, 3, 1),
             {.kernel_width = 2, .dilation_x = 2}, value_range<float>{}, serial);
  CHECK(y == std::vector<float>{2, 9, 3});
}

TEST_CASE("pool: what is left out is all values, padding that does not count and the calling thread") {
  const std::vector<std::int8_t> x{-128, -120, 1, 127};
  std::vector<std::int8_t> y(9);
  const image_view<const std::int8_t> in(x.data(), 1, 2, 2, 1);
  const image_view<std::int8_t> out(y.data(), 1, 3, 3, 1);
  max_pool2d(in, out, square_window(2, 1, 1));
  CHECK(y == std::vector<std::int8_t>{-128, -120, -120, 1, 127, 127, 1, 127, 127});
  average_pool2d(in, out, square_window(2, 1, 1));
  CHECK(y == std::vector<std::int8_t>{-128, -124, -120, -64, -30, 4, 1, 64, 127});
  sum_pool2d(in, out, square_window(2, 1, 1), std::int8_t{0},
             epilogue(requantize_to_codes<s8>(fp32_nearest_even::parameters{1.0F}, 0, -100, 100)));
  CHECK(y == std::vector<std::int8_t>{-100, -100, -100, -100, -100, 7, 1, 100, 100});
}

TEST_CASE("pool: floats keep infinities, and a maximum skips NaN") {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> x{-infinity, -infinity, std::nanf(""), 1, infinity, 0};
  std::vector<float> y(3);
  max_pool2d(image_view<const float>(x.data(), 1, 1, 6, 1), image_view<float>(y.data(), 1, 1, 3, 1),
             {.kernel_width = 2, .stride_x = 2}, value_range<float>{}, serial);
  CHECK(y == std::vector<float>{-infinity, 1, infinity});
}

TEST_CASE("pool: arguments that make no sense are refused, and Y stays as it is") {
  const std::vector<std::int8_t> x(3 * 3 * 2);
  std::vector<std::int8_t> y(3 * 3 * 2, 5);
  const image_view<const std::int8_t> in(x.data(), 1, 3, 3, 2);
  const value_range<std::int8_t> all{};
  const auto largest = [&](std::size_t height, std::size_t width, std::size_t channels, const window_parameters& w,
                           value_range<std::int8_t> range) {
    return try_max_pool2d(in, image_view<std::int8_t>(y.data(), 1, height, width, channels), w, range, serial)
        .message();
  };
  CHECK(largest(3, 3, 1, {}, all) == "max_pool2d: X has 2 channels, Y has 1");
  CHECK(largest(2, 3, 2, {}, all) == "max_pool2d: Y is 1 x 2 x 3 x 2, it needs to be 1 x 3 x 3 x 2");
  CHECK(largest(3, 3, 2, {.stride_x = 0}, all) == "max_pool2d: window: stride_x 0 is not in [1, 2^31 - 1]");
  CHECK(largest(3, 3, 2, {}, {3, 2}) == "max_pool2d: the range from 3 to 2 is empty");
  CHECK(largest(5, 3, 2, {.pad_top = 2}, all) == "max_pool2d: the window of output row 0 lies in the padding");
  CHECK(largest(3, 4, 2, {.pad_right = 1}, all) == "max_pool2d: the window of output column 3 lies in the padding");

  const std::vector<std::int8_t> one(1);
  const window_parameters huge{.kernel_height = 4096, .kernel_width = 4096, .pad_top = 4095, .pad_left = 4095};
  CHECK(try_average_pool2d(image_view<const std::int8_t>(one.data(), 1, 1, 1, 1),
                           image_view<std::int8_t>(y.data(), 1, 1, 1, 1), huge, all, average_padding<std::int8_t>{},
                           serial)
            .message() == "average_pool2d: sums of 16777216 taps do not fit into int32; at most 2^23 do");
  CHECK(y == std::vector<std::int8_t>(y.size(), 5));
  CHECK(largest(3, 3, 2, {}, all) == "");
  CHECK(y == std::vector<std::int8_t>(y.size(), 0));
}
