// SPDX-License-Identifier: MIT
#pragma once
// X of -1 and 1 as the popcount atoms read it: rows of bits, where they lie or gathered from the patches of an image.
// Which weights want it so says their shape, bit_panel_shape; for all others the codes are unpacked (narrow_rows.hpp).

#include <sparq/kernel/source.hpp>
#include <sparq/simd/bits.hpp>
#include <sparq/tensor/image.hpp>
#include <sparq/tensor/narrow_view.hpp>

#include <cstddef>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

template <class View>
inline constexpr bool holds_bits_v = false;
template <class N>
inline constexpr bool holds_bits_v<narrow_matrix_view<N>> = std::is_same_v<std::remove_const_t<N>, binary>;
template <class N>
inline constexpr bool holds_bits_v<narrow_image_view<N>> = std::is_same_v<std::remove_const_t<N>, binary>;

/// X and W meet bit by bit.
template <class View, class Packed>
inline constexpr bool counts_bits_v = holds_bits_v<View> && Packed::panel_shape_type::group_k == 32;

}  // namespace machine

/// The columns [first, first + count) of a view as rows of bits. @pre first % 8 == 0
inline strided_rows<eight_bits> bit_rows_of(const narrow_matrix_view<const binary>& x, std::size_t first,
                                            std::size_t count) {
  return {matrix_view<const eight_bits>(reinterpret_cast<const eight_bits*>(x.data) + first / 8, x.rows,
                                        (count + 7) / 8, x.stride)};
}

/// The patches of an image as rows of bits; see patch_rows in op/conv2d.hpp.
struct bit_patches {
  using element = eight_bits;
  static constexpr bool in_memory = false;
  static constexpr bool is_k_major = false;
  static constexpr const char* access = "gathered from patches, ";

  narrow_image_view<const binary> x;
  window_parameters window;
  std::size_t first_channel = 0;  // of the group
  std::size_t channels = 0;       // of the group
  std::size_t output_height = 0;
  std::size_t output_width = 0;
  bool padding = false;  // the bit of the code that X is beyond its border

  class cursor {
   public:
    cursor(const bit_patches& source, std::size_t m)
        : s_(source),
          image_(m / (source.output_height * source.output_width)),
          out_y_(m / source.output_width % source.output_height),
          out_x_(m % source.output_width) {}
    const eight_bits* next(eight_bits* buffer) {
      gather(buffer);
      if (++out_x_ == s_.output_width) {
        out_x_ = 0;
        if (++out_y_ == s_.output_height) {
          out_y_ = 0;
          ++image_;
        }
      }
      return buffer;
    }

   private:
    const eight_bits* pixel(std::size_t in_y, std::size_t in_x) const {
      return reinterpret_cast<const eight_bits*>(s_.x.pixel(image_, in_y, in_x));
    }
    /// Unsigned arithmetic: a tap left of or above the image wraps to a huge coordinate and counts as outside.
    void gather(eight_bits* buffer) {
      const window_parameters& w = s_.window;
      bit_writer out(buffer);
      const std::size_t left = out_x_ * w.stride_x - w.pad_left;
      const bool one_run = w.dilation_x == 1 && s_.channels == s_.x.channels && s_.channels % 8 == 0;
      const bool inside_x = left < s_.x.image_width && left + w.kernel_width <= s_.x.image_width;
      for (std::size_t ky = 0; ky < w.kernel_height; ++ky) {
        const std::size_t in_y = out_y_ * w.stride_y + ky * w.dilation_y - w.pad_top;
        if (in_y >= s_.x.image_height) {
          out.fill(s_.padding, w.kernel_width * s_.channels);
        } else if (one_run && inside_x) {
          out.copy(pixel(in_y, left), 0, w.kernel_width * s_.channels);
        } else {
          for (std::size_t kx = 0; kx < w.kernel_width; ++kx) {
            const std::size_t in_x = left + kx * w.dilation_x;
            if (in_x < s_.x.image_width)
              out.copy(pixel(in_y, in_x), s_.first_channel, s_.channels);
            else
              out.fill(s_.padding, s_.channels);
          }
        }
      }
    }

    const bit_patches& s_;
    std::size_t image_, out_y_, out_x_;
  };
  cursor start(std::size_t m) const { return cursor(*this, m); }
};

SPARQ_ABI_END
}  // namespace sparq
