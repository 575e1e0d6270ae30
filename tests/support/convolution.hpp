// SPDX-License-Identifier: MIT
#pragma once
// Convolutions of random extents, and what they are by a plain loop over taps.

#include <sparq/tensor/encode.hpp>
#include <sparq/tensor/image.hpp>
#include <sparq/tensor/pack.hpp>
#include <sparq/tensor/planes.hpp>
#include <sparq/tensor/window_parameters.hpp>

#include "tests/support/operands.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

namespace sparq_test {

/// One convolution: its extents, and X in both layouts.
template <class X>
struct convolution_problem {
  using code = typename X::code;
  std::size_t images, height, width, channels, n, groups;
  sparq::window_parameters window;
  std::vector<code> by_pixel, by_plane;
  code padding{};

  std::size_t k() const { return window.taps() * (channels / groups); }
  std::size_t out_height() const { return window.output_height(height); }
  std::size_t out_width() const { return window.output_width(width); }
  std::size_t pixels() const { return images * out_height() * out_width(); }
  sparq::image_view<const code> image() const { return {by_pixel.data(), images, height, width, channels}; }
  sparq::plane_view<const code> planes() const { return {by_plane.data(), images, height, width, channels}; }
  /// What the window covers at k for pixel m of Y: a code of one group's channels, or the padding.
  code covered(std::size_t m, std::size_t k, std::size_t group = 0) const {
    const std::size_t of_group = channels / groups, tap = k / of_group;
    // wraps above and left of the image
    const std::size_t y = m / out_width() % out_height() * window.stride_y +
                          tap / window.kernel_width * window.dilation_y - window.pad_top;
    const std::size_t x =
        m % out_width() * window.stride_x + tap % window.kernel_width * window.dilation_x - window.pad_left;
    if (y >= height || x >= width) return padding;
    return image().pixel(m / out_width() / out_height(), y, x)[group * of_group + k % of_group];
  }
  std::string text() const {
    return std::to_string(images) + " x " + std::to_string(height) + " x " + std::to_string(width) + " x " +
           std::to_string(channels) + ", n " + std::to_string(n) + ", groups " + std::to_string(groups) + ", kernel " +
           std::to_string(window.kernel_height) + " x " + std::to_string(window.kernel_width) + ", strides " +
           std::to_string(window.stride_y) + " " + std::to_string(window.stride_x);
  }

  void fill(random_source& random) {
    by_pixel.resize(images * height * width * channels);
    by_plane.resize(by_pixel.size());
    fill_codes<X>(by_pixel, random.chance(0.3) ? value_style::extremes : value_style::exact, random);
    const std::size_t plane = height * width;
    for (std::size_t i = 0; i < by_pixel.size(); ++i)
      by_plane[(i / channels / plane * channels + i % channels) * plane + i / channels % plane] = by_pixel[i];
    padding = random_code<X>(value_style::exact, random);
  }
};

template <class X>
convolution_problem<X> random_convolution(random_source& random) {
  convolution_problem<X> p;
  p.images = 1 + random.below(3);
  p.groups = random.chance(0.25) ? 1 + random.below(3) : 1;
  p.channels = p.groups * (1 + random.below(20));
  p.n = p.groups * (1 + random.below(40));
  if (random.chance(0.7))
    p.window = {1 + random.below(5), 1 + random.below(5), 1 + random.below(3), 1 + random.below(3), 1 + random.below(2),
                1 + random.below(2), random.below(3), random.below(3), random.below(3), random.below(3)};
  p.height = p.window.span_height() + random.below(9);
  p.width = p.window.span_width() + random.below(9);
  p.fill(random);
  return p;
}

/// Random weights for it, a tensor for each group.
template <class Format, sparq::numeric W, class Shape>
struct convolution_weights {
  using view_type = sparq::packed_view_of<sparq::tensor<Format, W>, Shape>;
  std::vector<sparq::packed<view_type>> packed;
  std::vector<view_type> views;
  std::vector<typename sparq::entry_t<W>::code> codes;  // n x k

  template <class X>
  convolution_weights(const convolution_problem<X>& p, random_source& random) {
    for (std::size_t g = 0; g < p.groups; ++g) {
      const auto w = random_tensor<Format, W>({p.n / p.groups, p.k()}, value_style::exact, random);
      const auto of_group = sparq::decode_codes(w);
      codes.insert(codes.end(), of_group.begin(), of_group.end());
      packed.push_back(sparq::pack<Shape>(w));
      views.push_back(packed.back().view());
    }
  }
};

/// What sums of products of these types are.
template <class X, class W>
using convolution_sum =
    std::conditional_t<!W::is_integer, float, std::conditional_t<X::bits == 16, std::int64_t, std::int32_t>>;

/// Plain sums in the order of images x pixels x channels.
template <class X, class Sum, class Code>
std::vector<Sum> plain_convolution(const convolution_problem<X>& p, const std::vector<Code>& weights) {
  std::vector<Sum> sums;
  for (std::size_t m = 0; m < p.pixels(); ++m)
    for (std::size_t o = 0; o < p.n; ++o) {
      Sum sum{};
      for (std::size_t k = 0; k < p.k(); ++k)
        sum += static_cast<Sum>(p.covered(m, k, o / (p.n / p.groups))) * static_cast<Sum>(weights[o * p.k() + k]);
      sums.push_back(sum);
    }
  return sums;
}

}  // namespace sparq_test
