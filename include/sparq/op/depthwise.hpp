// SPDX-License-Identifier: MIT
#pragma once
// Depthwise 2-D convolution: every channel of X is convolved by itself, with `multiplier` kernels. There is nothing to
// share between channels, so weights stay plain codes and the vector lanes are output channels:
//
//   for each pixel of Y: for each block of 64 channels:
//     for each tap inside the image:  acc[c] += (x[c / multiplier] - zero point) * w[tap][c]
//     acc -> epilogue -> Y

#include <sparq/base/memory.hpp>
#include <sparq/kernel/epilogue.hpp>
#include <sparq/op/window.hpp>
#include <sparq/simd/byte_product.hpp>

#include <array>
#include <cstdint>
#include <span>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

template <class X, class W, class Y>
status check_depthwise(image_view<X> x, std::span<W> weights, image_view<Y> y, const window_parameters& window) {
  if (status s = check_window("depthwise_conv2d", x, y, window); !s.ok()) return s;
  const auto wrong = [](const std::string& what) { return status::failure("depthwise_conv2d: " + what); };
  if (x.channels == 0 ? y.channels != 0 : y.channels % x.channels != 0)
    return wrong("Y has " + std::to_string(y.channels) + " channels, that is no multiple of the " +
                 std::to_string(x.channels) + " channels of X");
  if (weights.size() != window.taps() * y.channels)
    return wrong(std::to_string(weights.size()) + " weights; kernel_height x kernel_width x channels of Y = " +
                 std::to_string(window.kernel_height) + " x " + std::to_string(window.kernel_width) + " x " +
                 std::to_string(y.channels) + " are needed");
  return {};
}

/// One row of pixels of the output.
template <class X, class W, class Y, class Epilogue>
class depthwise_row {
 public:
  depthwise_row(image_view<const X> x, const W* weights, image_view<Y> y, const window_parameters& window,
                X x_zero_point, const Epilogue& stages, std::size_t image, std::size_t out_y)
      : x_(x),
        weights_(weights),
        y_(y),
        window_(window),
        zero_point_(x_zero_point),
        stages_(stages),
        multiplier_(y.channels / x.channels),
        image_(image),
        out_y_(out_y),
        rows_(window.taps_inside_y(out_y, x.image_height)) {}

  void run() const noexcept {
    const std::size_t channels = y_.channels;
    std::size_t first = 0;
    for (; first + 64 <= channels; first += 64) run_block<4>(first, first);
    for (; first + 16 <= channels; first += 16) run_block<1>(first, first);
    if (first == channels) return;
    if (channels >= 16)
      run_block<1>(channels - 16, first);
    else
      run_few_channels();
  }

 private:
  using acc_type = std::conditional_t<std::is_same_v<X, float>, float, std::int32_t>;

  /// f(pixel of X, weights of the tap) for the taps of output column x that lie inside the image.
  template <class F>
  SPARQ_INLINE void for_each_tap(std::size_t out_x, const F& f) const {
    const tap_range columns = window_.taps_inside_x(out_x, x_.image_width);
    for (std::size_t ky = rows_.first; ky < rows_.end; ++ky) {
      const X* pixel = x_.pixel(image_, rows_.pixel + (ky - rows_.first) * window_.dilation_y, columns.pixel);
      const W* w = weights_ + (ky * window_.kernel_width + columns.first) * y_.channels;
      for (std::size_t i = 0; i < columns.count(); ++i)
        f(pixel + i * window_.dilation_x * x_.channels, w + i * y_.channels);
    }
  }

  /// Computes channels [first, first + 16 V) and stores those from `stored` on.
  template <std::size_t V>
  void run_block(std::size_t first, std::size_t stored) const noexcept {
    constexpr std::size_t channels = 16 * V;
    std::array<std::size_t, channels> source;  // channel of X for each channel
    for (std::size_t c = 0; c < channels; ++c) source[c] = (first + c) / multiplier_;
    for (std::size_t out_x = 0; out_x < y_.image_width; ++out_x) {
      vec<acc_type> acc[V];
      SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) acc[j] = vec<acc_type>(acc_type{});
      const auto add = [&](const X* x, const W* w) SPARQ_LAMBDA_INLINE {
        SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) acc[j] =
            multiply_add(acc[j], x + 16 * j, zero_point_, w + 16 * j);
      };
      if (multiplier_ == 1)
        for_each_tap(out_x, [&](const X* pixel, const W* w) SPARQ_LAMBDA_INLINE { add(pixel + first, w + first); });
      else
        for_each_tap(out_x, [&](const X* pixel, const W* w) SPARQ_LAMBDA_INLINE {
          std::array<X, channels> repeated;
          for (std::size_t c = 0; c < channels; ++c) repeated[c] = pixel[source[c]];
          add(repeated.data(), w + first);
        });
      alignas(alignment) std::array<acc_type, channels> tile;
      SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) acc[j].store(tile.data() + 16 * j);
      store(tile.data() + (stored - first), out_x, stored, first + channels - stored);
    }
  }

  void run_few_channels() const noexcept {
    for (std::size_t out_x = 0; out_x < y_.image_width; ++out_x) {
      std::array<acc_type, 16> sums{};
      for_each_tap(out_x, [&](const X* pixel, const W* w) {
        for (std::size_t c = 0; c < y_.channels; ++c) {
          if constexpr (std::is_same_v<X, float>)
            sums[c] += (pixel[c / multiplier_] - zero_point_) * w[c];
          else
            sums[c] += byte_product(pixel[c / multiplier_], zero_point_, w[c]);
        }
      });
      store(sums.data(), out_x, 0, y_.channels);
    }
  }

  SPARQ_INLINE void store(const acc_type* tile, std::size_t out_x, std::size_t first, std::size_t channels) const {
    const std::size_t m = (image_ * y_.image_height + out_y_) * y_.image_width + out_x;
    store_tile(tile, 0, 1, channels, 0, y_.as_matrix(), {m, first, 0, nullptr}, stages_);
  }

  image_view<const X> x_;
  const W* weights_;
  image_view<Y> y_;
  window_parameters window_;
  X zero_point_;
  const Epilogue& stages_;
  std::size_t multiplier_;
  std::size_t image_;
  std::size_t out_y_;
  tap_range rows_;
};

}  // namespace machine

/// Y[o] = epilogue(sum over taps of (X[o / multiplier] - x_zero_point) * W[tap][o]), multiplier = channels of Y / of X.
/// - `x`: NHWC, u8, s8 or f32; `y`: NHWC, s32, f32, s8 or u8; must not overlap
/// - `weights`: kernel_height x kernel_width x channels of Y (HWO), codes of s8 for bytes, floats for f32
/// - `x_zero_point`: subtracted from X here, without an epilogue stage; padded taps contribute nothing
/// - `stages`: see kernel/epilogue.hpp, without subtract_zero_point; rows are pixels of Y
/// Integer sums are exact int32 for any input up to 65793 taps; float sums add in the order of taps.
/// Nothing is written when an error is returned. Uses no scratch.
/// Errors: extents that do not match, a window that does not fit, epilogue parameters that do not match.
/// Complexity O(pixels of Y x taps x channels of Y).
template <class X, class W, class Y, class... Stages, executor Executor>
status try_depthwise_conv2d(image_view<X> x, std::span<W> weights, image_view<Y> y, const window_parameters& window,
                            std::remove_const_t<X> x_zero_point, const epilogue<Stages...>& stages,
                            Executor&& executor) {
  using x_type = std::remove_const_t<X>;
  using w_type = std::remove_const_t<W>;
  static_assert(std::is_same_v<x_type, float> ? std::is_same_v<w_type, float>
                                              : sizeof(x_type) == 1 && std::is_same_v<w_type, std::int8_t>,
                "sparq: depthwise_conv2d takes std::int8_t weights for u8 or s8 activations and float weights for f32");
  static_assert(!(std::is_same_v<Stages, subtract_zero_point> || ... || false),
                "sparq: depthwise_conv2d subtracts the zero point of X itself; leave subtract_zero_point out");
  if (status s = machine::check_depthwise(x, weights, y, window); !s.ok()) return s;
  if (status s = stages.check(y.pixels(), y.channels); !s.ok()) return s;
  if (y.channels == 0) return {};
  machine::for_each_output_row(y, executor, [&](std::size_t image, std::size_t out_y) {
    machine::depthwise_row<x_type, w_type, Y, epilogue<Stages...>>(x, weights.data(), y, window, x_zero_point, stages,
                                                                   image, out_y)
        .run();
  });
  return {};
}

/// Throwing twin of try_depthwise_conv2d.
template <class X, class W, class Y, class... Stages, executor Executor>
void depthwise_conv2d(image_view<X> x, std::span<W> weights, image_view<Y> y, const window_parameters& window,
                      std::remove_const_t<X> x_zero_point, const epilogue<Stages...>& stages, Executor&& executor) {
  try_depthwise_conv2d(x, weights, y, window, x_zero_point, stages, executor).value();
}

SPARQ_ABI_END
}  // namespace sparq
