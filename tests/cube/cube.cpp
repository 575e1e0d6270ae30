// SPDX-License-Identifier: MIT
#include "tests/cube/cube.hpp"

#include <algorithm>

namespace cube {

const std::vector<layer>& layers() {
  static const std::vector<layer> all = [] {
    // kernel, stride, dilation (each y, x), then pads top, left, bottom, right
    std::vector<layer> list = {
        {1, 5, 7, 5, 7, {3, 2, 1, 1, 1, 1, 1, 2, 0, 3}},       {2, 7, 4, 9, 17, {3, 3, 2, 2, 1, 1, 0, 1, 2, 3}},
        {1, 9, 6, 3, 34, {2, 5, 3, 1, 1, 1, 3, 2, 1, 0}},      {1, 6, 11, 16, 5, {1, 3, 1, 3, 1, 2, 2, 0, 1, 4}},
        {1, 1, 1, 13, 33, {1, 1, 1, 1, 1, 1, 0, 0, 0, 0}},     {3, 1, 1, 6, 18, {3, 3, 1, 1, 1, 1, 1, 1, 1, 1}},
        {1, 3, 5, 21, 19, {1, 1, 1, 1, 1, 1, 0, 0, 0, 0}},     {1, 5, 3, 40, 16, {1, 1, 1, 1, 1, 1, 0, 0, 0, 0}},
        {2, 3, 5, 11, 23, {1, 1, 2, 3, 1, 1, 0, 0, 0, 0}},     {1, 5, 5, 1, 1, {2, 3, 1, 2, 1, 1, 0, 1, 3, 2}},
    };
    return list;
  }();
  return all;
}

namespace {

/// f(pixel of X, or -1 in the padding, tap) for every tap of every pixel of Y, in order; done(pixel of Y) behind them.
template <class F, class Done>
void for_each_tap(const layer& l, F&& f, Done&& done) {
  const auto at = [](std::size_t out, std::size_t stride, std::size_t tap, std::size_t dilation, std::size_t pad) {
    return static_cast<std::ptrdiff_t>(out * stride + tap * dilation) - static_cast<std::ptrdiff_t>(pad);
  };
  const window_parameters& w = l.window;
  std::size_t out = 0;
  for (std::size_t i = 0; i < l.images; ++i)
    for (std::size_t oy = 0; oy < l.output_height(); ++oy)
      for (std::size_t ox = 0; ox < l.output_width(); ++ox) {
        for (std::size_t ky = 0; ky < w.kernel_height; ++ky)
          for (std::size_t kx = 0; kx < w.kernel_width; ++kx) {
            const auto y = at(oy, w.stride_y, ky, w.dilation_y, w.pad_top);
            const auto x = at(ox, w.stride_x, kx, w.dilation_x, w.pad_left);
            const bool inside = y >= 0 && x >= 0 && y < static_cast<std::ptrdiff_t>(l.image_height) &&
                                x < static_cast<std::ptrdiff_t>(l.image_width);
            const auto row = static_cast<std::ptrdiff_t>(i * l.image_height) + y;
            f(inside ? row * static_cast<std::ptrdiff_t>(l.image_width) + x : -1, ky * w.kernel_width + kx);
          }
        done(out++);
      }
}

}  // namespace

std::vector<std::int32_t> convolution_sums(const layer& l, const std::vector<std::int32_t>& x, std::int32_t zero_point,
                                           const std::vector<std::int32_t>& w) {
  std::vector<std::int32_t> y, sums(l.outputs);
  for_each_tap(
      l,
      [&](std::ptrdiff_t pixel, std::size_t tap) {
        if (pixel < 0) return;
        for (std::size_t o = 0; o < l.outputs; ++o)
          for (std::size_t c = 0; c < l.channels; ++c)
            sums[o] += (x[static_cast<std::size_t>(pixel) * l.channels + c] - zero_point) *
                       w[(o * l.window.taps() + tap) * l.channels + c];
      },
      [&](std::size_t) {
        y.insert(y.end(), sums.begin(), sums.end());
        std::fill(sums.begin(), sums.end(), 0);
      });
  return y;
}

std::vector<std::int32_t> depthwise_sums(const layer& l, const std::vector<std::int32_t>& x, std::int32_t zero_point,
                                         const std::vector<std::int32_t>& w) {
  const std::size_t multiplier = l.outputs / l.channels;
  std::vector<std::int32_t> y, sums(l.outputs);
  for_each_tap(
      l,
      [&](std::ptrdiff_t pixel, std::size_t tap) {
        if (pixel < 0) return;
        for (std::size_t o = 0; o < l.outputs; ++o)
          sums[o] += (x[static_cast<std::size_t>(pixel) * l.channels + o / multiplier] - zero_point) *
                     w[tap * l.outputs + o];
      },
      [&](std::size_t) {
        y.insert(y.end(), sums.begin(), sums.end());
        std::fill(sums.begin(), sums.end(), 0);
      });
  return y;
}

std::vector<std::int32_t> window_sums(const layer& l, const std::vector<std::int32_t>& x, std::int32_t padding) {
  std::vector<std::int32_t> y, sums(l.channels);
  for_each_tap(
      l,
      [&](std::ptrdiff_t pixel, std::size_t) {
        for (std::size_t c = 0; c < l.channels; ++c)
          sums[c] += pixel < 0 ? padding : x[static_cast<std::size_t>(pixel) * l.channels + c];
      },
      [&](std::size_t) {
        y.insert(y.end(), sums.begin(), sums.end());
        std::fill(sums.begin(), sums.end(), 0);
      });
  return y;
}

std::vector<std::int32_t> window_maxima(const layer& l, const std::vector<std::int32_t>& x) {
  std::vector<std::int32_t> y, most(l.channels, INT32_MIN);
  for_each_tap(
      l,
      [&](std::ptrdiff_t pixel, std::size_t) {
        if (pixel < 0) return;
        for (std::size_t c = 0; c < l.channels; ++c)
          most[c] = (std::max)(most[c], x[static_cast<std::size_t>(pixel) * l.channels + c]);
      },
      [&](std::size_t) {
        y.insert(y.end(), most.begin(), most.end());
        std::fill(most.begin(), most.end(), INT32_MIN);
      });
  return y;
}

std::vector<sparq::floor_shift::parameters> random_requantization(const std::vector<std::int32_t>& sums,
                                                                  std::size_t channels, std::int32_t low,
                                                                  std::int32_t high,
                                                                  sparq_test::random_source& random) {
  std::int64_t largest = 1;
  for (const std::int32_t sum : sums) largest = (std::max)(largest, std::abs(std::int64_t{sum}));
  std::vector<sparq::floor_shift::parameters> result;
  for (std::size_t c = 0; c < channels; ++c) {
    const int shift = random.between(8, 20);
    // sums reach somewhat beyond the codes
    const std::int64_t most = ((std::int64_t{high} - low + 1) << shift) / largest;
    const auto limit = static_cast<std::int32_t>((std::min)(most + 1, std::int64_t{1} << 24));
    result.push_back({random.between(-limit, limit), random.between(-(1 << shift), 1 << shift), shift});
  }
  return result;
}

std::vector<std::int32_t> requantized(const std::vector<std::int32_t>& sums,
                                      const std::vector<sparq::floor_shift::parameters>& per_channel,
                                      std::int32_t zero_point, std::int32_t low, std::int32_t high) {
  std::vector<std::int32_t> codes;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const auto& p = per_channel[i % per_channel.size()];
    const std::int64_t scaled = std::int64_t{p.kappa} * sums[i] + p.lambda;
    const std::int64_t step = std::int64_t{1} << p.shift;
    const std::int64_t down = scaled / step - (scaled % step < 0 ? 1 : 0);
    codes.push_back(static_cast<std::int32_t>(std::clamp(down + zero_point, std::int64_t{low}, std::int64_t{high})));
  }
  return codes;
}

std::vector<std::int32_t> random_codes(std::size_t count, std::int32_t low, std::int32_t high,
                                       sparq_test::random_source& random) {
  std::vector<std::int32_t> codes(count);
  for (auto& code : codes) code = random.chance(0.1) ? (random.chance(0.5) ? low : high) : random.between(low, high);
  return codes;
}

}  // namespace cube
