// SPDX-License-Identifier: MIT
#pragma once
// Images stored channel by channel (NCHW): the twin of k_major_view. A channel of an image is a plane of neighbouring
// pixels; the columns loop reads a tap of a convolution at an offset into it.

#include <sparq/tensor/image.hpp>
#include <sparq/tensor/matrix.hpp>

#include <cstddef>
#include <type_traits>

namespace sparq {

/// The pixels of planes as rows of a matrix, channels as its columns. Trivially copyable; does not own.
template <class T>
struct plane_matrix_view {
  T* data = nullptr;
  std::size_t rows = 0;     // pixels of all images
  std::size_t columns = 0;  // channels
  std::size_t stride = 0;   // from one channel to the next
  std::size_t image_rows = 1;
  std::size_t image_stride = 0;

  constexpr T& operator()(std::size_t i, std::size_t j) const {
    return data[i / image_rows * image_stride + i % image_rows + j * stride];
  }
};

/// `images` x `channels` planes of image_height x image_width neighbouring pixels. Trivially copyable; does not own.
template <class T>
struct plane_view : image_extents {
  T* data = nullptr;
  std::size_t image_stride = 0;    // elements from one image to the next
  std::size_t channel_stride = 0;  // elements from one channel to the next

  constexpr plane_view() = default;
  /// NCHW without gaps.
  constexpr plane_view(T* first, std::size_t image_count, std::size_t height_of_image, std::size_t width_of_image,
                       std::size_t channel_count)
      : plane_view(first, image_count, height_of_image, width_of_image, channel_count,
                   channel_count * height_of_image * width_of_image, height_of_image * width_of_image) {}
  /// Planes anywhere: a range of channels of something larger, or all images of a channel together.
  /// @pre planes do not overlap
  constexpr plane_view(T* first, std::size_t image_count, std::size_t height_of_image, std::size_t width_of_image,
                       std::size_t channel_count, std::size_t stride_of_images, std::size_t stride_of_channels)
      : image_extents{image_count, height_of_image, width_of_image, channel_count},
        data(first),
        image_stride(stride_of_images),
        channel_stride(stride_of_channels) {}
  /// A view that only reads.
  constexpr operator plane_view<const T>() const
    requires(!std::is_const_v<T>)
  {
    return {data, images, image_height, image_width, channels, image_stride, channel_stride};
  }

  /// Of one plane.
  constexpr std::size_t plane_pixels() const { return image_height * image_width; }
  /// The first pixel of a channel of an image.
  constexpr T* plane(std::size_t image, std::size_t channel) const {
    return data + image * image_stride + channel * channel_stride;
  }
  constexpr T& operator()(std::size_t image, std::size_t y, std::size_t x, std::size_t channel) const {
    return plane(image, channel)[y * image_width + x];
  }
  /// The same memory, a row for each pixel.
  constexpr plane_matrix_view<T> as_matrix() const {
    return {data, pixels(), channels, channel_stride, plane_pixels() == 0 ? 1 : plane_pixels(), image_stride};
  }
  /// `count` channels from `first` on.
  constexpr plane_view channel_range(std::size_t first, std::size_t count) const {
    return {data + first * channel_stride, images, image_height, image_width, count, image_stride, channel_stride};
  }
};

}  // namespace sparq
