// SPDX-License-Identifier: MIT
#pragma once
// Largest and average value of a window, for each channel by itself. Padding never takes part in a maximum; an average
// leaves it out or counts it as the real number 0. Integer averages round half away from zero, as TFLite.

#include <sparq/numeric/number_text.hpp>
#include <sparq/op/window.hpp>

#include <array>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

/// The values that an output may have: codes of an activation function's range, for example.
template <class T>
struct value_range {
  T low = std::numeric_limits<T>::has_infinity ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::lowest();
  T high = std::numeric_limits<T>::has_infinity ? std::numeric_limits<T>::infinity() : (std::numeric_limits<T>::max)();

  constexpr T clamp(T value) const { return value < low ? low : value > high ? high : value; }
};

/// What an average counts.
template <class T>
struct average_padding {
  bool counts = false;  ///< divide by the number of taps instead of the number of taps inside the image
  T zero_point{};       ///< of X and Y: what a padded tap adds, if it counts
};

namespace machine {

template <class T, class X, class Y>
constexpr void check_pool_types() {
  static_assert(std::is_same_v<std::remove_const_t<X>, T> && std::is_same_v<Y, T>,
                "sparq: a pool's X and Y hold the same type; convert one of them first");
  static_assert(std::is_same_v<T, float> || sizeof(T) == 1, "sparq: pools take float, std::int8_t or std::uint8_t");
}

/// The taps of a window as pixels, and no window that lies in the padding as a whole.
template <class T>
class pool_operation {
 public:
  static constexpr bool is_float = std::is_same_v<T, float>;
  using sum_type = std::conditional_t<is_float, float, std::int32_t>;

  pool_operation(image_view<const T> x, image_view<T> y, const window_parameters& window, value_range<T> range)
      : x_(x), y_(y), window_(window), range_(range) {}

  status check(const char* op) const {
    if (status s = check_window(op, x_, y_, window_); !s.ok()) return s;
    const auto wrong = [&](const std::string& what) { return status::failure(std::string(op) + ": " + what); };
    if (x_.channels != y_.channels)
      return wrong("X has " + std::to_string(x_.channels) + " channels, Y has " + std::to_string(y_.channels));
    if (!(range_.low <= range_.high))
      return wrong("the range from " + number_text(range_.low) + " to " + number_text(range_.high) + " is empty");
    if (y_.pixels() == 0) return {};
    for (std::size_t y = 0; y < y_.image_height; ++y)
      if (window_.taps_inside_y(y, x_.image_height).count() == 0)
        return wrong("the window of output row " + std::to_string(y) + " lies in the padding");
    for (std::size_t x = 0; x < y_.image_width; ++x)
      if (window_.taps_inside_x(x, x_.image_width).count() == 0)
        return wrong("the window of output column " + std::to_string(x) + " lies in the padding");
    return {};
  }

  template <class Executor>
  void largest(Executor& executor) const {
    for_each_output_row(y_, executor, [&](std::size_t image, std::size_t out_y) {
      for_each_block(image, out_y, [&](const window_taps& taps, T* to, std::size_t first, std::size_t channels) {
        std::array<T, block_channels> most;
        most.fill(range_.low);
        for_each_tap(taps, [&](const T* pixel) {
          for (std::size_t c = 0; c < channels; ++c) most[c] = pixel[first + c] > most[c] ? pixel[first + c] : most[c];
        });
        for (std::size_t c = 0; c < channels; ++c) to[c] = range_.clamp(most[c]);
      });
    });
  }

  template <class Executor>
  void average(average_padding<T> padding, Executor& executor) const {
    for_each_output_row(y_, executor, [&](std::size_t image, std::size_t out_y) {
      for_each_block(image, out_y, [&](const window_taps& taps, T* to, std::size_t first, std::size_t channels) {
        const std::size_t inside = taps.rows.count() * taps.columns.count();
        const std::size_t outside = padding.counts ? window_.taps() - inside : 0;
        std::array<sum_type, block_channels> sums;
        sums.fill(static_cast<sum_type>(outside) * static_cast<sum_type>(padding.zero_point));
        for_each_tap(taps, [&](const T* pixel) {
          for (std::size_t c = 0; c < channels; ++c) sums[c] += pixel[first + c];
        });
        const auto count = static_cast<sum_type>(inside + outside);
        for (std::size_t c = 0; c < channels; ++c) to[c] = range_.clamp(quotient(sums[c], count));
      });
    });
  }

 private:
  static constexpr std::size_t block_channels = 64;

  struct window_taps {
    std::size_t image;
    tap_range rows;
    tap_range columns;
  };

  /// Rounded half away from zero; floats are not rounded. Integers divide as doubles, because vectors can do that: the
  /// quotient is at most 256 and, if no integer, at least 2^-23 away from one, so truncation is exact.
  static T quotient(sum_type sum, sum_type count) {
    if constexpr (is_float)
      return sum / count;
    else
      return static_cast<T>(static_cast<sum_type>(static_cast<double>(sum + (sum > 0 ? count / 2 : -(count / 2))) /
                                                  static_cast<double>(count)));
  }

  /// f(taps, where the block's first channel goes, first channel, channels) for all pixels of a row.
  template <class F>
  void for_each_block(std::size_t image, std::size_t out_y, const F& f) const noexcept {
    window_taps taps{image, window_.taps_inside_y(out_y, x_.image_height), {}};
    for (std::size_t out_x = 0; out_x < y_.image_width; ++out_x) {
      taps.columns = window_.taps_inside_x(out_x, x_.image_width);
      for (std::size_t first = 0; first < y_.channels; first += block_channels)
        f(taps, y_.pixel(image, out_y, out_x) + first, first, (std::min)(block_channels, y_.channels - first));
    }
  }

  template <class F>
  void for_each_tap(const window_taps& taps, const F& f) const {
    for (std::size_t ky = 0; ky < taps.rows.count(); ++ky)
      for (std::size_t kx = 0; kx < taps.columns.count(); ++kx)
        f(x_.pixel(taps.image, taps.rows.pixel + ky * window_.dilation_y,
                   taps.columns.pixel + kx * window_.dilation_x));
  }

  image_view<const T> x_;
  image_view<T> y_;
  window_parameters window_;
  value_range<T> range_;
};

}  // namespace machine

/// Y = the largest value of the window that lies inside the image, clamped to `range`.
/// - `x`, `y`: NHWC, s8, u8 or f32, of one type; must not overlap
/// Nothing is written when an error is returned. NaN is skipped.
/// Errors: extents that do not match, a window that lies in the padding as a whole, an empty range.
template <class X, class Y, executor Executor>
status try_max_pool2d(image_view<X> x, image_view<Y> y, const window_parameters& window, value_range<Y> range,
                      Executor&& executor) {
  machine::check_pool_types<Y, X, Y>();
  const machine::pool_operation<Y> operation(x, y, window, range);
  if (status s = operation.check("max_pool2d"); !s.ok()) return s;
  operation.largest(executor);
  return {};
}

/// Y = sum / count over the window's taps inside the image, clamped to `range`. Integers are rounded half away from
/// zero, as TFLite AveragePool2D.
/// - `x`, `y`: NHWC, s8, u8 or f32, of one type and, for bytes, one scale and zero point; must not overlap
/// - `padding`: whether padded taps count, and as what
/// Nothing is written when an error is returned.
/// Errors: extents that do not match, a window that lies in the padding as a whole, an empty range, over 2^23 taps.
template <class X, class Y, executor Executor>
status try_average_pool2d(image_view<X> x, image_view<Y> y, const window_parameters& window, value_range<Y> range,
                          average_padding<Y> padding, Executor&& executor) {
  machine::check_pool_types<Y, X, Y>();
  const machine::pool_operation<Y> operation(x, y, window, range);
  if (status s = operation.check("average_pool2d"); !s.ok()) return s;
  if (window.taps() > std::size_t{1} << 23)
    return status::failure("average_pool2d: sums of " + std::to_string(window.taps()) +
                           " taps do not fit into int32; at most 2^23 do");
  operation.average(padding, executor);
  return {};
}

/// Throwing twins.
template <class X, class Y, executor Executor>
void max_pool2d(image_view<X> x, image_view<Y> y, const window_parameters& window, value_range<Y> range,
                Executor&& executor) {
  try_max_pool2d(x, y, window, range, executor).value();
}
template <class X, class Y, executor Executor>
void average_pool2d(image_view<X> x, image_view<Y> y, const window_parameters& window, value_range<Y> range,
                    average_padding<Y> padding, Executor&& executor) {
  try_average_pool2d(x, y, window, range, padding, executor).value();
}

SPARQ_ABI_END
}  // namespace sparq
