// SPDX-License-Identifier: MIT
#pragma once
// Depthwise 2-D convolution: every channel of X is convolved by itself, with `multiplier` kernels. There is nothing to
// share between channels, so weights stay plain codes and the vector lanes are output channels:
//
//   for each pixel of Y: for each block of 64 channels:
//     for each tap inside the image:  acc[c] += (x[c / multiplier] - zero point) * w[tap][c]
//     acc -> epilogue -> Y
//
// Elements that share bytes are unpacked a block at a time: X for every tap, W once for a row of pixels.

#include <sparq/base/memory.hpp>
#include <sparq/kernel/epilogue/epilogue.hpp>
#include <sparq/kernel/epilogue/tile_target.hpp>
#include <sparq/kernel/source/narrow_rows.hpp>
#include <sparq/op/window.hpp>
#include <sparq/simd/byte_product.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Weights of depthwise convolutions, taps x channels, whatever their elements.
template <class T>
inline constexpr bool is_tap_weights_v = false;
template <class W>
inline constexpr bool is_tap_weights_v<std::span<W>> = true;
template <class N>
inline constexpr bool is_tap_weights_v<narrow_matrix_view<N>> = true;
template <class T>
concept tap_weights = is_tap_weights_v<T>;

template <class W>
struct tap_element_of {
  using type = typename W::code;
};
template <class W>
struct tap_element_of<std::span<W>> {
  using type = std::remove_const_t<W>;
};
template <class W>
using tap_element = typename tap_element_of<W>::type;

template <class W>
std::size_t weight_count(std::span<W> w) { return w.size(); }
template <class N>
std::size_t weight_count(const narrow_matrix_view<N>& w) { return w.rows * w.columns; }
/// A row of narrow weights is one tap of all channels of Y.
template <class W>
status check_rows_of_taps(std::span<W>, std::size_t) { return {}; }
template <class N>
status check_rows_of_taps(const narrow_matrix_view<N>& w, std::size_t channels) {
  if (w.columns != channels)
    return status::failure("depthwise_conv2d: rows of " + std::to_string(w.columns) +
                           " weights; one tap of all channels of Y has " + std::to_string(channels));
  return sparq::detail::check_stride("depthwise_conv2d: the matrix of weights", w);
}

/// The weights of a block of channels, for every tap.
template <class W, std::size_t Channels>
class block_taps {
 public:
  block_taps(std::span<const W> weights, std::size_t, std::size_t stride, std::size_t first)
      : weights_(weights.data() + first), stride_(stride) {}
  SPARQ_INLINE const W* at(std::size_t tap) { return weights_ + tap * stride_; }

 private:
  const W* weights_;
  std::size_t stride_;
};
/// Unpacked all at once if there are not too many of them.
template <std::size_t Channels>
class block_taps<narrow_rows<std::int8_t>, Channels> {
 public:
  block_taps(const narrow_rows<std::int8_t>& weights, std::size_t taps, std::size_t, std::size_t first)
      : weights_(weights), first_(first), is_kept_(taps <= kept_taps) {
    if (is_kept_)
      for (std::size_t tap = 0; tap < taps; ++tap) unpack(tap, codes_ + tap * Channels);
  }
  SPARQ_INLINE const std::int8_t* at(std::size_t tap) {
    if (is_kept_) return codes_ + tap * Channels;
    unpack(tap, codes_);
    return codes_;
  }

 private:
  static constexpr std::size_t kept_taps = 49;

  void unpack(std::size_t tap, std::int8_t* to) const {
    const std::size_t count = (std::min)(Channels, weights_.columns - first_);
    weights_.unpack(weights_.data + tap * weights_.stride, first_, count, to);
  }
  const narrow_rows<std::int8_t>& weights_;
  std::size_t first_;
  bool is_kept_;
  std::int8_t codes_[kept_taps * Channels + 64];
};

template <class W>
std::span<const std::remove_const_t<W>> taps_of(std::span<W> w) { return w; }
template <class N>
narrow_rows<std::int8_t> taps_of(const narrow_matrix_view<N>& w) {
  static_assert(std::is_same_v<typename std::remove_const_t<N>::code, std::int8_t>,
                "sparq: narrow weights of depthwise_conv2d are signed; use s4, s2 or ternary");
  return narrow_rows_of<std::remove_const_t<N>>(w, 0, w.columns);
}

inline status check_depthwise(const image_extents& x, std::size_t weights, const image_extents& y,
                              const window_parameters& window) {
  if (status s = check_window("depthwise_conv2d", x, y, window); !s.ok()) return s;
  const auto wrong = [](const std::string& what) { return status::failure("depthwise_conv2d: " + what); };
  if (x.channels == 0 ? y.channels != 0 : y.channels % x.channels != 0)
    return wrong("Y has " + std::to_string(y.channels) + " channels, that is no multiple of the " +
                 std::to_string(x.channels) + " channels of X");
  if (weights != window.taps() * y.channels)
    return wrong(std::to_string(weights) + " weights; kernel_height x kernel_width x channels of Y = " +
                 std::to_string(window.kernel_height) + " x " + std::to_string(window.kernel_width) + " x " +
                 std::to_string(y.channels) + " are needed");
  return {};
}

/// One row of pixels of the output. Image: image_view<const X> or narrow_pixels<X>; Taps:
/// std::span<const W> or narrow_rows.
template <class X, class Image, class Taps>
class depthwise_row {
 public:
  /// X of 16 bits: int32 lanes hold some products, then they are added to int64 sums.
  static constexpr bool is_wide = std::is_same_v<X, std::int16_t>;
  using lane_type = std::conditional_t<std::is_same_v<X, float>, float, std::int32_t>;
  using acc_type = std::conditional_t<is_wide, std::int64_t, lane_type>;

  depthwise_row(const Image& x, const Taps& weights, const tile_target<acc_type>& y, std::size_t channels,
                std::size_t row_pixels, std::size_t first_pixel, const window_parameters& window, X x_zero_point,
                std::size_t image, std::size_t out_y)
      : x_(x),
        weights_(weights),
        y_(y),
        channels_(channels),
        row_pixels_(row_pixels),
        first_pixel_(first_pixel),
        window_(window),
        zero_point_(x_zero_point),
        multiplier_(channels / x.channels),
        image_(image),
        rows_(window.taps_inside_y(out_y, x.image_height)) {}

  void run() const noexcept {
    const std::size_t channels = channels_;
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
  static constexpr bool is_narrow_weights = std::is_same_v<Taps, narrow_rows<std::int8_t>>;
  using w_type = std::conditional_t<std::is_same_v<X, float>, float, std::int8_t>;
  template <std::size_t Channels>
  using taps_of_block = block_taps<std::conditional_t<is_narrow_weights, narrow_rows<std::int8_t>, w_type>, Channels>;

  /// f(pixel of X, tap) for the taps of output column x that lie inside the image.
  template <class F>
  SPARQ_INLINE void for_each_tap(std::size_t out_x, const F& f) const {
    const tap_range columns = window_.taps_inside_x(out_x, x_.image_width);
    const std::size_t step = window_.dilation_x * pixel_step(x_);
    for (std::size_t ky = rows_.first; ky < rows_.end; ++ky) {
      const auto* pixel = x_.pixel(image_, rows_.pixel + (ky - rows_.first) * window_.dilation_y, columns.pixel);
      const std::size_t tap = ky * window_.kernel_width + columns.first;
      for (std::size_t i = 0; i < columns.count(); ++i) f(pixel + i * step, tap + i);
    }
  }

  /// Computes channels [first, first + 16 V) and stores those from `stored` on.
  template <std::size_t V>
  void run_block(std::size_t first, std::size_t stored) const noexcept {
    constexpr std::size_t channels = 16 * V;
    taps_of_block<channels> weights(weights_, window_.taps(), channels_, first);
    std::array<X, channels + 64> buffer;
    const std::size_t base = first / multiplier_;  // channel of X
    std::array<std::size_t, channels> source;      // for each channel, behind base
    for (std::size_t c = 0; c < channels; ++c) source[c] = (first + c) / multiplier_ - base;
    for (std::size_t out_x = 0; out_x < row_pixels_; ++out_x) {
      alignas(alignment) std::array<acc_type, channels> tile;
      if constexpr (is_wide) tile.fill(0);
      vec<lane_type> acc[V];
      SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) acc[j] = vec<lane_type>(lane_type{});
      [[maybe_unused]] std::size_t left = wide_products_at_once;
      const auto add = [&](const X* x, const w_type* w) SPARQ_LAMBDA_INLINE {
        if constexpr (is_wide)
          if (left-- == 0) {
            add_to_wide(acc, tile);
            left = wide_products_at_once - 1;
          }
        SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) acc[j] =
            multiply_add(acc[j], x + 16 * j, zero_point_, w + 16 * j);
      };
      if (multiplier_ == 1)
        for_each_tap(out_x, [&](const auto* pixel, std::size_t tap) SPARQ_LAMBDA_INLINE {
          add(channels_at(x_, pixel, first, channels, buffer.data()), weights.at(tap));
        });
      else
        for_each_tap(out_x, [&](const auto* pixel, std::size_t tap) SPARQ_LAMBDA_INLINE {
          const X* x = channels_at(x_, pixel, base, source[channels - 1] + 1, buffer.data());
          std::array<X, channels> repeated;
          for (std::size_t c = 0; c < channels; ++c) repeated[c] = x[source[c]];
          add(repeated.data(), weights.at(tap));
        });
      if constexpr (is_wide)
        add_to_wide(acc, tile);
      else
        SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) acc[j].store(tile.data() + 16 * j);
      store(tile.data() + (stored - first), out_x, stored, first + channels - stored);
    }
  }

  /// Adds the lanes to the sums; they are 0 then.
  template <std::size_t V>
  static void add_to_wide(vec<std::int32_t> (&acc)[V], std::array<std::int64_t, 16 * V>& sums) {
    std::array<std::int32_t, 16 * V> lanes;
    for (std::size_t j = 0; j < V; ++j) {
      acc[j].store(lanes.data() + 16 * j);
      acc[j] = vec<std::int32_t>(0);
    }
    for (std::size_t i = 0; i < 16 * V; ++i) sums[i] += lanes[i];
  }

  void run_few_channels() const noexcept {
    taps_of_block<16> weights(weights_, window_.taps(), channels_, 0);
    std::array<X, 16 + 64> buffer;
    for (std::size_t out_x = 0; out_x < row_pixels_; ++out_x) {
      std::array<acc_type, 16> sums{};
      for_each_tap(out_x, [&](const auto* pixel, std::size_t tap) {
        const X* x = channels_at(x_, pixel, 0, x_.channels, buffer.data());
        const w_type* w = weights.at(tap);
        for (std::size_t c = 0; c < channels_; ++c) {
          if constexpr (sizeof(X) > 1)
            sums[c] += (x[c / multiplier_] - zero_point_) * w[c];
          else
            sums[c] += byte_product(x[c / multiplier_], zero_point_, w[c]);
        }
      });
      store(sums.data(), out_x, 0, channels_);
    }
  }

  SPARQ_INLINE void store(const acc_type* tile, std::size_t out_x, std::size_t first, std::size_t channels) const {
    store_tile(tile, 0, 1, channels, 0, y_, lane_position{first_pixel_ + out_x, first, 0, nullptr},
               stages_of_target{});
  }

  const Image& x_;
  const Taps& weights_;
  tile_target<acc_type> y_;
  std::size_t channels_;     // of Y
  std::size_t row_pixels_;   // of Y
  std::size_t first_pixel_;  // of Y, counted through all images
  window_parameters window_;
  X zero_point_;
  std::size_t multiplier_;
  std::size_t image_;
  tap_range rows_;
};

}  // namespace machine

/// Y[o] = epilogue(sum over taps of (X[o / multiplier] - x_zero_point) * W[tap][o]), multiplier = channels of Y / of X.
/// - `x`: NHWC, u8, s8, s16 or f32; `y`: NHWC, s32, f32, s8 or u8, of s16 also s64 and s16; must not overlap. Each is
///   an image_view, or a narrow_image_view of 1 to 4 bits
/// - `weights`: kernel_height x kernel_width x channels of Y (HWO), codes of s8 for integers, floats for f32; or a
///   narrow_matrix_view of taps x channels of Y, signed
/// - `x_zero_point`: subtracted from X here, without an epilogue stage; padded taps contribute nothing
/// - `stages`: see kernel/epilogue/epilogue.hpp, without subtract_zero_point; rows are pixels of Y
/// Sums of bytes are exact int32 for any input up to 65793 taps, those of s16 exact int64; float sums add in the order
/// of taps.
/// Nothing is written when an error is returned. Uses no scratch.
/// Errors: extents that do not match, a window that does not fit, epilogue parameters that do not match.
/// Complexity O(pixels of Y x taps x channels of Y).
template <machine::pixel_image X, machine::tap_weights W, machine::pixel_image Y, class... Stages,
          executor Executor = const serial_executor&>
status try_depthwise_conv2d(X x, W weights, Y y, const window_parameters& window,
                            machine::element_of<X> x_zero_point = {}, const epilogue<Stages...>& stages = {},
                            Executor&& executor = serial) {
  using x_type = machine::element_of<X>;
  using w_type = machine::tap_element<W>;
  static_assert(
      std::is_same_v<x_type, float>
          ? std::is_same_v<w_type, float>
          : (sizeof(x_type) == 1 || std::is_same_v<x_type, std::int16_t>)&&std::is_same_v<w_type, std::int8_t>,
      "sparq: depthwise_conv2d takes std::int8_t weights for u8, s8 or s16 activations and float weights for f32");
  static_assert(!(machine::takes_zero_point_of_x_v<Stages> || ... || false),
                "sparq: depthwise_conv2d subtracts the zero point of X itself; leave subtract_zero_point out");
  static_assert(
      !(machine::gives_zero_a_value_v<Stages> || ... || false),
      "sparq: depthwise_conv2d has no row sums, as each channel sees an X of its own; take the zero point from the "
      "weights before");
  if (status s = machine::check_depthwise(x, machine::weight_count(weights), y, window); !s.ok()) return s;
  if (status s = machine::check_rows_of_taps(weights, y.channels); !s.ok()) return s;
  if (status s = stages.check(y.pixels(), y.channels); !s.ok()) return s;
  if (y.channels == 0) return {};
  const auto pixels = machine::pixels_of(x);
  const auto taps = machine::taps_of(weights);
  const auto target = machine::pixel_targets(y, 0, y.channels);
  using row =
      machine::depthwise_row<x_type, std::remove_const_t<decltype(pixels)>, std::remove_const_t<decltype(taps)>>;
  const auto tiles = tile_target_of<typename row::acc_type>(target, stages);
  machine::for_each_output_row(y, executor, [&](std::size_t image, std::size_t out_y) {
    row(pixels, taps, tiles, y.channels, y.image_width, y.pixel_index(image, out_y, 0), window, x_zero_point, image,
        out_y)
        .run();
  });
  return {};
}

/// Throwing twin of try_depthwise_conv2d.
template <machine::pixel_image X, machine::tap_weights W, machine::pixel_image Y, class... Stages,
          executor Executor = const serial_executor&>
void depthwise_conv2d(X x, W weights, Y y, const window_parameters& window, machine::element_of<X> x_zero_point = {},
                      const epilogue<Stages...>& stages = {}, Executor&& executor = serial) {
  try_depthwise_conv2d(x, weights, y, window, x_zero_point, stages, executor).value();
}

SPARQ_ABI_END
}  // namespace sparq
