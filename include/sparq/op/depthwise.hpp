// SPDX-License-Identifier: MIT
#pragma once
// Depthwise 2-D convolution: every channel of X is convolved by itself, with `multiplier` kernels. There is nothing to
// share between channels, so weights stay plain codes and the vector lanes are output channels:
//
//   for each pixel of Y: for each block of 64 channels:
//     for each tap inside the image:  acc[c] += (x[c / multiplier] - zero point) * w[tap][c]
//     acc -> epilogue -> Y

#include <sparq/kernel/epilogue.hpp>
#include <sparq/op/window.hpp>

#include <array>
#include <concepts>
#include <cstdint>
#include <span>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// The sums of some neighbouring output channels of one pixel.
template <class X, class W>
class depthwise_sums {
 public:
  static constexpr std::size_t most_channels = 64;
  static constexpr bool is_float = std::is_same_v<X, float>;
  using acc_type = std::conditional_t<is_float, float, std::int32_t>;

  // x - zero point fits into 9 bits and a sign, so the product of a byte difference and a weight fits into 16 bits:
  // |x - z| <= 255, |w| <= 128, 255 * 128 = 32640.
  using product_type = std::conditional_t<is_float, float, std::int16_t>;

  explicit depthwise_sums(X zero_point) : zero_point_(zero_point) {}

  void clear() { sums_.fill(acc_type{}); }
  const acc_type* data() const { return sums_.data(); }

  /// sums[c] += (x[c] - zero point) * w[c].
  SPARQ_INLINE void add(const X* x, const W* w, std::size_t channels) {
    if (channels == most_channels) {  // a constant number of iterations: whole registers
      for (std::size_t c = 0; c < most_channels; ++c) sums_[c] += product(x[c], w[c]);
    } else {
      for (std::size_t c = 0; c < channels; ++c) sums_[c] += product(x[c], w[c]);
    }
  }

 private:
  SPARQ_INLINE product_type product(X x, W w) const {
    if constexpr (is_float)
      return (x - zero_point_) * w;
    else
      return static_cast<product_type>(static_cast<product_type>(x - zero_point_) * w);
  }

  alignas(64) std::array<acc_type, most_channels> sums_{};
  X zero_point_;
};

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
void depthwise_row(image_view<const X> x, const W* weights, image_view<Y> y, const window_parameters& window,
                   X x_zero_point, const Epilogue& stages, std::size_t image, std::size_t out_y) noexcept {
  using sums_type = depthwise_sums<X, W>;
  constexpr std::size_t most = sums_type::most_channels;
  const std::size_t multiplier = y.channels / x.channels;
  const tap_range rows = window.taps_inside_y(out_y, x.image_height);
  sums_type sums(x_zero_point);
  std::array<std::size_t, most> source;  // channel of X for each channel of the block
  std::array<X, most> repeated;
  for (std::size_t first = 0; first < y.channels; first += most) {
    const std::size_t channels = (std::min)(most, y.channels - first);
    if (multiplier != 1)
      for (std::size_t c = 0; c < channels; ++c) source[c] = (first + c) / multiplier;
    for (std::size_t out_x = 0; out_x < y.image_width; ++out_x) {
      const tap_range columns = window.taps_inside_x(out_x, x.image_width);
      sums.clear();
      for (std::size_t ky = rows.first; ky < rows.end; ++ky) {
        const std::size_t in_y = rows.pixel + (ky - rows.first) * window.dilation_y;
        for (std::size_t kx = columns.first; kx < columns.end; ++kx) {
          const X* pixel = x.pixel(image, in_y, columns.pixel + (kx - columns.first) * window.dilation_x);
          const W* w = weights + (ky * window.kernel_width + kx) * y.channels + first;
          if (multiplier == 1) {
            sums.add(pixel + first, w, channels);
          } else {
            for (std::size_t c = 0; c < channels; ++c) repeated[c] = pixel[source[c]];
            sums.add(repeated.data(), w, channels);
          }
        }
      }
      const std::size_t m = (image * y.image_height + out_y) * y.image_width + out_x;
      store_tile(sums.data(), most, 1, channels, 0, y.as_matrix(), {m, first, 0, nullptr}, stages);
    }
  }
}

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
    machine::depthwise_row<x_type, w_type>(x, weights.data(), y, window, x_zero_point, stages, image, out_y);
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
