// SPDX-License-Identifier: MIT
#pragma once
// The windows that convolutions and pools slide over images: which pixels an output reads.
//
//   kernel_height 2, dilation_y 2, stride_y 2, pad_top 1, image_height 4, pad_bottom 1:
//
//   pad_top      x                   tap 0 of output row 0
//   image row 0  .
//   image row 1  x  y                tap 1 of output row 0, tap 0 of output row 1
//   image row 2     .
//   image row 3     y                tap 1 of output row 1
//   pad_bottom

#include <sparq/base/error.hpp>
#include <sparq/base/math.hpp>

#include <algorithm>
#include <cstddef>
#include <string>

namespace sparq {

/// The taps of one output along one axis that lie inside the image.
struct tap_range {
  std::size_t first = 0;  ///< tap
  std::size_t end = 0;    ///< behind the last tap; not above `first` where all taps lie in the padding
  std::size_t pixel = 0;  ///< that tap `first` reads; the next taps follow a dilation apart

  constexpr std::size_t count() const { return first < end ? end - first : 0; }
};

/// Where a sliding window has its taps: tap (ky, kx) of output (y, x) reads the pixel
/// (y * stride_y + ky * dilation_y - pad_top, x * stride_x + kx * dilation_x - pad_left), or padding outside the image.
struct window_parameters {
  std::size_t kernel_height = 1;
  std::size_t kernel_width = 1;
  std::size_t stride_y = 1;
  std::size_t stride_x = 1;
  std::size_t dilation_y = 1;
  std::size_t dilation_x = 1;
  std::size_t pad_top = 0;
  std::size_t pad_left = 0;
  std::size_t pad_bottom = 0;
  std::size_t pad_right = 0;

  /// Rows of pixels from the first tap to the last.
  constexpr std::size_t span_height() const { return (kernel_height - 1) * dilation_y + 1; }
  /// Columns of pixels from the first tap to the last.
  constexpr std::size_t span_width() const { return (kernel_width - 1) * dilation_x + 1; }
  constexpr std::size_t taps() const { return kernel_height * kernel_width; }
  /// Whether every output reads one pixel, none of them padding.
  constexpr bool reads_single_pixels() const {
    return taps() == 1 && pad_top == 0 && pad_left == 0 && pad_bottom == 0 && pad_right == 0;
  }
  /// Whether every output reads the one pixel at its own place, as in a 1x1 convolution.
  constexpr bool is_pointwise() const { return reads_single_pixels() && stride_y == 1 && stride_x == 1; }

  /// @pre check(image_height, image_width)
  constexpr std::size_t output_height(std::size_t image_height) const {
    return (pad_top + image_height + pad_bottom - span_height()) / stride_y + 1;
  }
  /// @pre check(image_height, image_width)
  constexpr std::size_t output_width(std::size_t image_width) const {
    return (pad_left + image_width + pad_right - span_width()) / stride_x + 1;
  }

  /// The rows of taps of output row y that lie inside the image. @pre check(image_height, image_width)
  constexpr tap_range taps_inside_y(std::size_t y, std::size_t image_height) const {
    return taps_inside(y * stride_y, pad_top, image_height, kernel_height, dilation_y);
  }
  /// The columns of taps of output column x that lie inside the image. @pre check(image_height, image_width)
  constexpr tap_range taps_inside_x(std::size_t x, std::size_t image_width) const {
    return taps_inside(x * stride_x, pad_left, image_width, kernel_width, dilation_x);
  }

  /// A kernel, stride or dilation of 0, a number beyond 2^31 - 1, more than 2^32 - 1 taps, or a kernel that spans more
  /// than the padded image; ok if there is none of these.
  status check(std::size_t image_height, std::size_t image_width) const;

  friend constexpr bool operator==(const window_parameters&, const window_parameters&) = default;

 private:
  // `start`: of the window, counted from the first padded pixel
  static constexpr tap_range taps_inside(std::size_t start, std::size_t pad, std::size_t image, std::size_t kernel,
                                         std::size_t dilation) {
    tap_range taps;
    if (start < pad) taps.first = ceil_div(pad - start, dilation);
    if (start < pad + image) taps.end = (std::min)(kernel, ceil_div(pad + image - start, dilation));
    if (taps.first < taps.end) taps.pixel = start + taps.first * dilation - pad;
    return taps;
  }
};

namespace detail {

inline status check_window_number(const char* name, std::size_t value, std::size_t least) {
  constexpr std::size_t most = 0x7FFFFFFF;
  if (value >= least && value <= most) return {};
  return status::failure("window: " + std::string(name) + " " + std::to_string(value) + " is not in [" +
                         std::to_string(least) + ", 2^31 - 1]");
}

inline status check_window_span(const char* axis, std::size_t span, std::size_t before, std::size_t image,
                                std::size_t after) {
  const std::size_t padded = before + image + after;
  if (span <= padded) return {};
  return status::failure("window: the kernel spans " + std::to_string(span) + " " + axis +
                         " of pixels, the padded image has " + std::to_string(padded) + " (" + std::to_string(before) +
                         " + " + std::to_string(image) + " + " + std::to_string(after) + ")");
}

}  // namespace detail

inline status window_parameters::check(std::size_t image_height, std::size_t image_width) const {
  const struct {
    const char* name;
    std::size_t value;
    std::size_t least;
  } numbers[] = {{"kernel_height", kernel_height, 1}, {"kernel_width", kernel_width, 1},
                 {"stride_y", stride_y, 1},           {"stride_x", stride_x, 1},
                 {"dilation_y", dilation_y, 1},       {"dilation_x", dilation_x, 1},
                 {"pad_top", pad_top, 0},             {"pad_left", pad_left, 0},
                 {"pad_bottom", pad_bottom, 0},       {"pad_right", pad_right, 0},
                 {"image_height", image_height, 0},   {"image_width", image_width, 0}};
  for (const auto& number : numbers)
    if (status s = detail::check_window_number(number.name, number.value, number.least); !s.ok()) return s;
  if (taps() > 0xFFFFFFFF)
    return status::failure("window: a kernel of " + std::to_string(kernel_height) + " x " +
                           std::to_string(kernel_width) + " taps has more than 2^32 - 1");
  if (status s = detail::check_window_span("rows", span_height(), pad_top, image_height, pad_bottom); !s.ok()) return s;
  return detail::check_window_span("columns", span_width(), pad_left, image_width, pad_right);
}

/// The same in both directions and on all sides.
constexpr window_parameters square_window(std::size_t kernel, std::size_t stride = 1, std::size_t padding = 0,
                                          std::size_t dilation = 1) {
  return {kernel, kernel, stride, stride, dilation, dilation, padding, padding, padding, padding};
}

}  // namespace sparq
