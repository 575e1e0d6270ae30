// SPDX-License-Identifier: MIT
#pragma once
// X of a convolution over images with channels innermost: a pixel of Y is a row, whose k's run through the taps,
// [tap row][tap column][channel]. Rows are gathered one by one; a 1x1 kernel without padding is read where it lies.
//
//   3 x 3 taps, dilation 1, a pixel of Y whose window lies inside:   3 copies of 3 * channels elements
//   one that meets the border:                                       9 copies of channels elements, or the padding

#include <sparq/kernel/source/narrow_rows.hpp>
#include <sparq/tensor/image.hpp>
#include <sparq/tensor/window_parameters.hpp>

#include <algorithm>
#include <cstddef>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// The taps of one pixel of Y after the other, for sources that gather patches. `Source` has the image `x`, the
/// `window`, the extents of Y, and the channels of X that it takes.
template <class Source>
class patch_walk {
 public:
  /// - `adjoin`: the elements of neighbouring pixels lie beside each other
  patch_walk(const Source& source, std::size_t m, bool adjoin)
      : s_(source),
        image_(m / (source.output_height * source.output_width)),
        out_y_(m / source.output_width % source.output_height),
        out_x_(m % source.output_width),
        one_run_(source.window.dilation_x == 1 && source.channels == source.x.channels && adjoin) {}

  /// To the next pixel of Y.
  void step() {
    if (++out_x_ < s_.output_width) return;
    out_x_ = 0;
    if (++out_y_ < s_.output_height) return;
    out_y_ = 0;
    ++image_;
  }

  /// The pixel of X that the first tap reads. @pre it lies inside
  auto* first_pixel() const { return s_.x.pixel(image_, out_y_ * s_.window.stride_y, out_x_ * s_.window.stride_x); }

  /// copy(image, y, x, first channel, elements) and fill(elements) for the taps, in the order of k.
  /// Unsigned arithmetic: a tap left of or above the image wraps to a huge coordinate and counts as outside.
  template <class Copy, class Fill>
  SPARQ_INLINE void gather(Copy&& copy, Fill&& fill) const {
    const window_parameters& w = s_.window;
    const std::size_t row_elements = w.kernel_width * s_.channels;
    const std::size_t left = out_x_ * w.stride_x - w.pad_left;
    const bool inside_x = left < s_.x.image_width && left + w.kernel_width <= s_.x.image_width;
    for (std::size_t ky = 0; ky < w.kernel_height; ++ky) {
      const std::size_t in_y = out_y_ * w.stride_y + ky * w.dilation_y - w.pad_top;
      if (in_y >= s_.x.image_height) {
        fill(row_elements);
      } else if (one_run_ && inside_x) {
        copy(image_, in_y, left, std::size_t{0}, row_elements);
      } else {
        for (std::size_t kx = 0; kx < w.kernel_width; ++kx) {
          const std::size_t in_x = left + kx * w.dilation_x;
          if (in_x < s_.x.image_width)
            copy(image_, in_y, in_x, s_.first_channel, s_.channels);
          else
            fill(s_.channels);
        }
      }
    }
  }

 private:
  const Source& s_;
  std::size_t image_, out_y_, out_x_;
  bool one_run_;
};

/// The patches of an image as rows of X; see strided_rows. Image: image_view<const X> or narrow_pixels<X>.
template <class X, class Image>
struct patch_rows {
  using element = X;
  static constexpr bool in_memory = false;
  static constexpr bool is_k_major = false;
  static constexpr bool is_unpacked = !std::is_same_v<Image, image_view<const X>>;
  static constexpr const char* access = is_unpacked ? "unpacked from patches, " : "gathered from patches, ";

  Image x;
  window_parameters window;
  std::size_t first_channel = 0;  // of the group
  std::size_t channels = 0;       // of the group
  std::size_t output_height = 0;
  std::size_t output_width = 0;
  X padding{};

  class cursor {
   public:
    cursor(const patch_rows& source, std::size_t m) : s_(source), walk_(source, m, pixels_adjoin(source.x)) {}
    const X* next(X* buffer) {
      const X* row = take(buffer);
      walk_.step();
      return row;
    }

   private:
    const X* take(X* buffer) {
      if constexpr (!is_unpacked)
        if (s_.window.reads_single_pixels()) return walk_.first_pixel() + s_.first_channel;
      X* to = buffer;
      walk_.gather(
          [&](std::size_t image, std::size_t in_y, std::size_t in_x, std::size_t first, std::size_t count) {
            copy_pixels(s_.x, image, in_y, in_x, first, count, to);
            to += count;
          },
          [&](std::size_t count) {
            std::fill_n(to, count, s_.padding);
            to += count;
          });
      return buffer;
    }

    const patch_rows& s_;
    patch_walk<patch_rows> walk_;
  };

  cursor start(std::size_t m) const { return cursor(*this, m); }
};

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
