// SPDX-License-Identifier: MIT
#pragma once
// X of a convolution over images with channels innermost: a pixel of Y is a row, whose k's run through the taps,
// [tap row][tap column][channel]. Rows are gathered one by one; a 1x1 kernel without padding is read where it lies.
//
//   3 x 3 taps, dilation 1, a pixel of Y whose window lies inside:   3 copies of 3 * channels elements
//   one that meets the border:                                       9 copies of channels elements, or the padding

#include <sparq/kernel/narrow_rows.hpp>
#include <sparq/tensor/image.hpp>

#include <cstddef>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

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
    cursor(const patch_rows& source, std::size_t m) : s_(source) {
      image_ = m / (s_.output_height * s_.output_width);
      out_y_ = m / s_.output_width % s_.output_height;
      out_x_ = m % s_.output_width;
    }
    const X* next(X* buffer) {
      const X* row = take(buffer);
      if (++out_x_ == s_.output_width) {
        out_x_ = 0;
        if (++out_y_ == s_.output_height) {
          out_y_ = 0;
          ++image_;
        }
      }
      return row;
    }

   private:
    const X* take(X* buffer) {
      const window_parameters& w = s_.window;
      if constexpr (!is_unpacked)
        if (w.reads_single_pixels())
          return s_.x.pixel(image_, out_y_ * w.stride_y, out_x_ * w.stride_x) + s_.first_channel;
      return gather(buffer);
    }

    /// Unsigned arithmetic: a tap left of or above the image wraps to a huge coordinate and counts as outside.
    const X* gather(X* buffer) {
      const window_parameters& w = s_.window;
      X* out = buffer;
      const std::size_t row_elements = w.kernel_width * s_.channels;
      const std::size_t left = out_x_ * w.stride_x - w.pad_left;
      const bool one_run = w.dilation_x == 1 && s_.channels == s_.x.channels && pixels_adjoin(s_.x);
      const bool inside_x = left < s_.x.image_width && left + w.kernel_width <= s_.x.image_width;
      for (std::size_t ky = 0; ky < w.kernel_height; ++ky, out += row_elements) {
        const std::size_t in_y = out_y_ * w.stride_y + ky * w.dilation_y - w.pad_top;
        if (in_y >= s_.x.image_height) {
          fill(out, row_elements);
        } else if (one_run && inside_x) {
          copy_pixels(s_.x, image_, in_y, left, 0, row_elements, out);
        } else {
          for (std::size_t kx = 0; kx < w.kernel_width; ++kx) {
            const std::size_t in_x = left + kx * w.dilation_x;
            if (in_x < s_.x.image_width)
              copy_pixels(s_.x, image_, in_y, in_x, s_.first_channel, s_.channels, out + kx * s_.channels);
            else
              fill(out + kx * s_.channels, s_.channels);
          }
        }
      }
      return buffer;
    }
    void fill(X* out, std::size_t count) const {
      for (std::size_t i = 0; i < count; ++i) out[i] = s_.padding;
    }

    const patch_rows& s_;
    std::size_t image_, out_y_, out_x_;
  };
  cursor start(std::size_t m) const { return cursor(*this, m); }
};

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
