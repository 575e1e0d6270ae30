// SPDX-License-Identifier: MIT
#pragma once
// Largest and average value of a window, for each channel by itself. Padding never takes part in a maximum; an average
// leaves it out or counts it as the real number 0. Integer averages round half away from zero, as TFLite. With an
// epilogue X and Y may hold integers of different types.

#include <sparq/kernel/source/narrow_rows.hpp>
#include <sparq/numeric/number_text.hpp>
#include <sparq/op/window.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

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

template <class X, class Y>
constexpr void check_pool_types() {
  if constexpr (requires { typename X::numeric_type; } && requires { typename Y::numeric_type; })
    static_assert(std::is_same_v<typename X::numeric_type, typename Y::numeric_type>,
                  "sparq: a pool's X and Y hold the same type; give it an epilogue that requantizes");
  else
    static_assert(std::is_same_v<element_of<X>, element_of<Y>> && requires { typename X::numeric_type; } ==
                                                                       requires { typename Y::numeric_type; },
                  "sparq: a pool's X and Y hold the same type; give it an epilogue that requantizes");
  static_assert(std::is_same_v<element_of<X>, float> || sizeof(element_of<X>) == 1,
                "sparq: pools take float, std::int8_t, std::uint8_t or narrow integers");
}

inline status check_pool(const char* op, const image_extents& x, const image_extents& y,
                         const window_parameters& window) {
  if (status s = check_window(op, x, y, window); !s.ok()) return s;
  if (x.channels == y.channels) return {};
  return status::failure(std::string(op) + ": X has " + std::to_string(x.channels) + " channels, Y has " +
                         std::to_string(y.channels));
}
/// A largest value needs a tap, and an average needs something to divide by.
inline status check_taps(const char* op, const image_extents& x, const image_extents& y,
                         const window_parameters& window) {
  const auto wrong = [&](const char* axis, std::size_t at) {
    return status::failure(std::string(op) + ": the window of output " + axis + " " + std::to_string(at) +
                           " lies in the padding");
  };
  if (y.pixels() == 0) return {};
  for (std::size_t at = 0; at < y.image_height; ++at)
    if (window.taps_inside_y(at, x.image_height).count() == 0) return wrong("row", at);
  for (std::size_t at = 0; at < y.image_width; ++at)
    if (window.taps_inside_x(at, x.image_width).count() == 0) return wrong("column", at);
  return {};
}
template <class T>
status check_range(const char* op, value_range<T> range) {
  if (range.low <= range.high) return {};
  return status::failure(std::string(op) + ": the range from " + number_text(range.low) + " to " +
                         number_text(range.high) + " is empty");
}
inline status check_tap_count(const char* op, std::size_t taps) {
  if (taps <= std::size_t{1} << 23) return {};
  return status::failure(std::string(op) + ": sums of " + std::to_string(taps) +
                         " taps do not fit into int32; at most 2^23 do");
}

/// The taps of a window as pixels.
/// T: an element of X; Image: image_view<const T> or narrow_pixels<T>; Y: the view of the output.
template <class T, class Image, class Y>
class pool_operation {
 public:
  static constexpr bool is_float = std::is_same_v<T, float>;
  using sum_type = std::conditional_t<is_float, float, std::int32_t>;

  pool_operation(const Image& x, const Y& y, const window_parameters& window, value_range<T> range = {})
      : x_(x), y_(y), target_(pixel_targets(y, 0, y.channels)), window_(window), range_(range) {}

  template <class Executor>
  void largest(Executor& executor) const {
    for_each_output_row(y_, executor, [&](std::size_t image, std::size_t out_y) {
      for_each_block(image, out_y,
                     [&](const window_taps& taps, std::size_t m, std::size_t first, std::size_t channels) {
                       std::array<T, block_channels> most;
                       most.fill(range_.low);
                       for_each_tap(taps, first, channels, [&](const T* x) {
                         for (std::size_t c = 0; c < channels; ++c) most[c] = x[c] > most[c] ? x[c] : most[c];
                       });
                       for (std::size_t c = 0; c < channels; ++c) most[c] = range_.clamp(most[c]);
                       store(most.data(), m, first, channels);
                     });
    });
  }

  template <class Executor>
  void average(average_padding<T> padding, Executor& executor) const {
    for_each_output_row(y_, executor, [&](std::size_t image, std::size_t out_y) {
      for_each_block(image, out_y,
                     [&](const window_taps& taps, std::size_t m, std::size_t first, std::size_t channels) {
                       const std::size_t inside = taps.rows.count() * taps.columns.count();
                       const std::size_t outside = padding.counts ? window_.taps() - inside : 0;
                       const auto sums = sums_of(taps, first, channels, outside, padding.zero_point);
                       const auto count = static_cast<sum_type>(inside + outside);
                       std::array<T, block_channels> averages;
                       for (std::size_t c = 0; c < channels; ++c) averages[c] = range_.clamp(quotient(sums[c], count));
                       store(averages.data(), m, first, channels);
                     });
    });
  }

  /// Y = stages(largest value) or, if `adds`, stages(sum of all taps); padded taps are `padding`.
  template <class Epilogue, class Executor>
  void requantized(bool adds, T padding, const Epilogue& stages, Executor& executor) const {
    for_each_output_row(y_, executor, [&](std::size_t image, std::size_t out_y) {
      for_each_block(
          image, out_y, [&](const window_taps& taps, std::size_t m, std::size_t first, std::size_t channels) {
            std::array<std::int32_t, block_channels> values;
            if (adds) {
              values =
                  sums_of(taps, first, channels, window_.taps() - taps.rows.count() * taps.columns.count(), padding);
            } else {
              values.fill(std::numeric_limits<T>::lowest());
              for_each_tap(taps, first, channels, [&](const T* x) {
                for (std::size_t c = 0; c < channels; ++c) values[c] = x[c] > values[c] ? x[c] : values[c];
              });
            }
            store_tile(values.data(), 0, 1, channels, 0, target_, {m, first, 0, nullptr}, stages);
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

  std::array<sum_type, block_channels> sums_of(const window_taps& taps, std::size_t first, std::size_t channels,
                                               std::size_t outside, T padding) const {
    std::array<sum_type, block_channels> sums;
    sums.fill(static_cast<sum_type>(outside) * static_cast<sum_type>(padding));
    for_each_tap(taps, first, channels, [&](const T* x) {
      for (std::size_t c = 0; c < channels; ++c) sums[c] += x[c];
    });
    return sums;
  }

  /// Rounded half away from zero; floats are not rounded. Integers divide as doubles, because vectors can do that: the
  /// quotient is at most 256 and, if no integer, at least 2^-23 away from one, so truncation is exact.
  static T quotient(sum_type sum, sum_type count) {
    if constexpr (is_float)
      return sum / count;
    else
      return static_cast<T>(static_cast<sum_type>(static_cast<double>(sum + (sum > 0 ? count / 2 : -(count / 2))) /
                                                  static_cast<double>(count)));
  }

  /// f(taps, pixel of Y, first channel, channels) for all blocks of channels of a row.
  template <class F>
  void for_each_block(std::size_t image, std::size_t out_y, const F& f) const noexcept {
    window_taps taps{image, window_.taps_inside_y(out_y, x_.image_height), {}};
    for (std::size_t out_x = 0; out_x < y_.image_width; ++out_x) {
      taps.columns = window_.taps_inside_x(out_x, x_.image_width);
      const std::size_t m = y_.pixel_index(image, out_y, out_x);
      for (std::size_t first = 0; first < y_.channels; first += block_channels)
        f(taps, m, first, (std::min)(block_channels, y_.channels - first));
    }
  }

  /// f(channels [first, first + channels)) for every tap inside the image.
  template <class F>
  void for_each_tap(const window_taps& taps, std::size_t first, std::size_t channels, const F& f) const {
    std::array<T, block_channels + 64> buffer;
    for (std::size_t ky = 0; ky < taps.rows.count(); ++ky)
      for (std::size_t kx = 0; kx < taps.columns.count(); ++kx)
        f(channels_at(x_,
                      x_.pixel(taps.image, taps.rows.pixel + ky * window_.dilation_y,
                               taps.columns.pixel + kx * window_.dilation_x),
                      first, channels, buffer.data()));
  }

  void store(const T* values, std::size_t m, std::size_t first, std::size_t channels) const {
    if constexpr (std::is_same_v<decltype(target_), narrow_target>)
      target_.store_codes(m, first, values, channels);
    else
      copy_elements(values, channels, &target_(m, first));
  }

  const Image x_;
  Y y_;
  decltype(pixel_targets(std::declval<const Y&>(), 0, 0)) target_;
  window_parameters window_;
  value_range<T> range_;
};
template <class X, class Y>
auto pool_of(const X& x, const Y& y, const window_parameters& window, value_range<element_of<X>> range = {}) {
  const auto pixels = pixels_of(x);
  return pool_operation<element_of<X>, std::remove_const_t<decltype(pixels)>, Y>(pixels, y, window, range);
}

template <class X, class Y, class... Stages>
status check_requantizing_pool(const char* op, const X& x, const Y& y, const window_parameters& window,
                               const epilogue<Stages...>& stages) {
  static_assert(sizeof(element_of<X>) == 1,
                "sparq: a pool with an epilogue takes bytes or narrow integers; leave it out "
                "for floats");
  static_assert(!((machine::takes_zero_point_of_x_v<Stages> || machine::gives_zero_a_value_v<Stages>) || ... || false),
                "sparq: a pool has no weights whose sums take back a zero point; add a bias instead");
  if (status s = check_pool(op, x, y, window); !s.ok()) return s;
  return stages.check(y.pixels(), y.channels);
}

}  // namespace machine

/// Y = the largest value of the window that lies inside the image, clamped to `range`.
/// - `x`, `y`: NHWC, s8, u8, f32 or narrow integers, of one type; must not overlap
/// Nothing is written when an error is returned. NaN is skipped.
/// Errors: extents that do not match, a window that lies in the padding as a whole, an empty range.
template <machine::pixel_image X, machine::pixel_image Y, executor Executor = const serial_executor&>
status try_max_pool2d(X x, Y y, const window_parameters& window, value_range<machine::element_of<Y>> range = {},
                      Executor&& executor = serial) {
  machine::check_pool_types<X, Y>();
  if (status s = machine::check_pool("max_pool2d", x, y, window); !s.ok()) return s;
  if (status s = machine::check_range("max_pool2d", range); !s.ok()) return s;
  if (status s = machine::check_taps("max_pool2d", x, y, window); !s.ok()) return s;
  machine::pool_of(x, y, window, range).largest(executor);
  return {};
}

/// Y = epilogue(the largest value of the window that lies inside the image); X and Y hold any integers of 1 to 8 bits.
/// - `stages`: see kernel/epilogue/epilogue.hpp; the value starts as int32
/// Errors: those above, epilogue parameters that do not match.
template <machine::pixel_image X, machine::pixel_image Y, class... Stages,
          executor Executor = const serial_executor&>
  requires(sizeof...(Stages) > 0)
status try_max_pool2d(X x, Y y, const window_parameters& window, const epilogue<Stages...>& stages,
                      Executor&& executor = serial) {
  if (status s = machine::check_requantizing_pool("max_pool2d", x, y, window, stages); !s.ok()) return s;
  if (status s = machine::check_taps("max_pool2d", x, y, window); !s.ok()) return s;
  machine::pool_of(x, y, window).requantized(false, {}, stages, executor);
  return {};
}

/// Y = sum / count over the window's taps inside the image, clamped to `range`. Integers are rounded half away from
/// zero, as TFLite AveragePool2D.
/// - `x`, `y`: NHWC, s8, u8, f32 or narrow integers, of one type and, for integers, one scale and zero point; must not
///   overlap
/// - `padding`: whether padded taps count, and as what
/// Nothing is written when an error is returned.
/// Errors: extents that do not match, a window that lies in the padding as a whole, an empty range, over 2^23 taps.
template <machine::pixel_image X, machine::pixel_image Y, executor Executor = const serial_executor&>
status try_average_pool2d(X x, Y y, const window_parameters& window, value_range<machine::element_of<Y>> range = {},
                          average_padding<machine::element_of<Y>> padding = {}, Executor&& executor = serial) {
  machine::check_pool_types<X, Y>();
  if (status s = machine::check_pool("average_pool2d", x, y, window); !s.ok()) return s;
  if (status s = machine::check_range("average_pool2d", range); !s.ok()) return s;
  if (status s = machine::check_taps("average_pool2d", x, y, window); !s.ok()) return s;
  if (status s = machine::check_tap_count("average_pool2d", window.taps()); !s.ok()) return s;
  machine::pool_of(x, y, window, range).average(padding, executor);
  return {};
}

/// Y = epilogue(sum over the window's taps); X and Y hold any integers of 1 to 8 bits. With a requantization by
/// 1 / (taps x scales) this is an average as PULP-NN and DORY compute it: (kappa * sum + lambda) >> shift.
/// - `padding`: what X is beyond its border; the zero point of X
/// - `stages`: see kernel/epilogue/epilogue.hpp; sums are int32
/// Nothing is written when an error is returned.
/// Errors: extents that do not match, epilogue parameters that do not match, over 2^23 taps.
template <machine::pixel_image X, machine::pixel_image Y, class... Stages,
          executor Executor = const serial_executor&>
status try_sum_pool2d(X x, Y y, const window_parameters& window, machine::element_of<X> padding,
                      const epilogue<Stages...>& stages, Executor&& executor = serial) {
  if (status s = machine::check_requantizing_pool("sum_pool2d", x, y, window, stages); !s.ok()) return s;
  if (status s = machine::check_tap_count("sum_pool2d", window.taps()); !s.ok()) return s;
  machine::pool_of(x, y, window).requantized(true, padding, stages, executor);
  return {};
}

/// Throwing twins.
template <machine::pixel_image X, machine::pixel_image Y, executor Executor = const serial_executor&>
void max_pool2d(X x, Y y, const window_parameters& window, value_range<machine::element_of<Y>> range = {},
                Executor&& executor = serial) {
  try_max_pool2d(x, y, window, range, executor).value();
}
template <machine::pixel_image X, machine::pixel_image Y, class... Stages,
          executor Executor = const serial_executor&>
  requires(sizeof...(Stages) > 0)
void max_pool2d(X x, Y y, const window_parameters& window, const epilogue<Stages...>& stages,
                Executor&& executor = serial) {
  try_max_pool2d(x, y, window, stages, executor).value();
}
template <machine::pixel_image X, machine::pixel_image Y, executor Executor = const serial_executor&>
void average_pool2d(X x, Y y, const window_parameters& window, value_range<machine::element_of<Y>> range = {},
                    average_padding<machine::element_of<Y>> padding = {}, Executor&& executor = serial) {
  try_average_pool2d(x, y, window, range, padding, executor).value();
}
template <machine::pixel_image X, machine::pixel_image Y, class... Stages,
          executor Executor = const serial_executor&>
void sum_pool2d(X x, Y y, const window_parameters& window, machine::element_of<X> padding,
                const epilogue<Stages...>& stages, Executor&& executor = serial) {
  try_sum_pool2d(x, y, window, padding, stages, executor).value();
}

SPARQ_ABI_END
}  // namespace sparq
