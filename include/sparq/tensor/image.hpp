// SPDX-License-Identifier: MIT
#pragma once
// Images: activations with two spatial extents, channels innermost (NHWC), so that a pixel is a row of X and all pixels
// together are a matrix.

#include <sparq/tensor/matrix.hpp>

#include <cstddef>
#include <string>
#include <type_traits>

namespace sparq {

/// How many images, of which size, whatever holds them.
struct image_extents {
  std::size_t images = 0;
  std::size_t image_height = 0;
  std::size_t image_width = 0;
  std::size_t channels = 0;

  /// Of all images.
  constexpr std::size_t pixels() const { return images * image_height * image_width; }
  /// The place of a pixel among them.
  constexpr std::size_t pixel_index(std::size_t image, std::size_t y, std::size_t x) const {
    return (image * image_height + y) * image_width + x;
  }
};

/// "images x height x width x channels" for messages.
inline std::string extent_text(const image_extents& v) {
  return std::to_string(v.images) + " x " + std::to_string(v.image_height) + " x " + std::to_string(v.image_width) +
         " x " + std::to_string(v.channels);
}

/// `images` x `image_height` x `image_width` pixels of `channels` neighbouring elements, without gaps. Trivially
/// copyable; does not own.
template <class T>
struct image_view : image_extents {
  T* data = nullptr;

  constexpr image_view() = default;
  constexpr image_view(T* first, std::size_t image_count, std::size_t height_of_image, std::size_t width_of_image,
                       std::size_t channel_count)
      : image_extents{image_count, height_of_image, width_of_image, channel_count}, data(first) {}
  /// A view that only reads.
  constexpr operator image_view<const T>() const
    requires(!std::is_const_v<T>)
  {
    return {data, images, image_height, image_width, channels};
  }

  /// The first channel of a pixel.
  constexpr T* pixel(std::size_t image, std::size_t y, std::size_t x) const {
    return data + pixel_index(image, y, x) * channels;
  }
  /// The same memory, one row for each pixel.
  constexpr matrix_view<T> as_matrix() const { return {data, pixels(), channels}; }
};

}  // namespace sparq
