// SPDX-License-Identifier: MIT
#pragma once
// Activations whose elements share bytes: u4, s4, u2, s2, u1, their high_first orders, and binary. A row of a matrix
// and a pixel of an image start on a byte; the bits behind their last element are zero where the library writes them.
//
//   narrow_matrix_view<u4>, 2 x 3, stride 2      bytes  [x00|x01<<4] [x02]  [x10|x11<<4] [x12]

#include <sparq/numeric/codec.hpp>
#include <sparq/tensor/image.hpp>
#include <sparq/tensor/matrix.hpp>

#include <cstddef>
#include <type_traits>

namespace sparq {

namespace detail {

template <class N>
constexpr void check_narrow_element() {
  using type = std::remove_const_t<N>;
  static_assert(integer_numeric<type> && shares_bytes_v<type> && fills_bytes_v<type>,
                "sparq: narrow views are of integers of 1, 2 or 4 bits, such as u4; use matrix_view or image_view for "
                "other elements");
  static_assert(type::bits == 1 || !requires { type::to_bits(typename type::code{}); },
                "sparq: activations are plain integers or binary; requantize to s4 or s2");
}
template <class N>
using narrow_byte = std::conditional_t<std::is_const_v<N>, const std::byte, std::byte>;

}  // namespace detail

/// `rows` x `columns` codes of N, `stride` bytes from one row to the next. `narrow_matrix_view<const u4>` only reads.
/// Trivially copyable; does not own.
template <class N>
struct narrow_matrix_view {
  using numeric_type = std::remove_const_t<N>;
  using code = typename numeric_type::code;
  using byte = detail::narrow_byte<N>;

  byte* data = nullptr;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::size_t stride = 0;  ///< in bytes

  constexpr narrow_matrix_view() { detail::check_narrow_element<N>(); }
  constexpr narrow_matrix_view(byte* first, std::size_t row_count, std::size_t column_count)
      : narrow_matrix_view(first, row_count, column_count, storage_bytes<numeric_type>(column_count)) {}
  /// @pre row_stride >= storage_bytes<N>(column_count)
  constexpr narrow_matrix_view(byte* first, std::size_t row_count, std::size_t column_count, std::size_t row_stride)
      : data(first), rows(row_count), columns(column_count), stride(row_stride) {
    detail::check_narrow_element<N>();
  }
  /// A view that only reads.
  constexpr operator narrow_matrix_view<const N>() const
    requires(!std::is_const_v<N>)
  {
    return {data, rows, columns, stride};
  }

  /// Bytes of one row that hold elements.
  constexpr std::size_t row_bytes() const { return storage_bytes<numeric_type>(columns); }
  constexpr byte* row(std::size_t i) const { return data + i * stride; }
  constexpr code operator()(std::size_t i, std::size_t j) const { return load_code<numeric_type>(row(i), j); }
  /// Replaces one element and leaves its neighbours as they are.
  constexpr void set(std::size_t i, std::size_t j, code value) const
    requires(!std::is_const_v<N>)
  {
    store_code<numeric_type>(row(i), j, value);
  }
};

namespace detail {

template <class N>
status check_stride(const char* of, const narrow_matrix_view<N>& v) {
  return check_stride(of, v.stride, v.row_bytes());
}

}  // namespace detail

/// `images` x `image_height` x `image_width` pixels of `channels` codes of N; every pixel takes whole bytes, without
/// gaps between pixels. Trivially copyable; does not own.
template <class N>
struct narrow_image_view : image_extents {
  using numeric_type = std::remove_const_t<N>;
  using code = typename numeric_type::code;
  using byte = detail::narrow_byte<N>;

  byte* data = nullptr;

  constexpr narrow_image_view() { detail::check_narrow_element<N>(); }
  constexpr narrow_image_view(byte* first, std::size_t image_count, std::size_t height_of_image,
                              std::size_t width_of_image, std::size_t channel_count)
      : image_extents{image_count, height_of_image, width_of_image, channel_count}, data(first) {
    detail::check_narrow_element<N>();
  }
  /// A view that only reads.
  constexpr operator narrow_image_view<const N>() const
    requires(!std::is_const_v<N>)
  {
    return {data, images, image_height, image_width, channels};
  }

  /// Bytes of one pixel.
  constexpr std::size_t pixel_bytes() const { return storage_bytes<numeric_type>(channels); }
  /// The byte that holds the first channel of a pixel.
  constexpr byte* pixel(std::size_t image, std::size_t y, std::size_t x) const {
    return data + pixel_index(image, y, x) * pixel_bytes();
  }
  /// The same memory, one row for each pixel.
  constexpr narrow_matrix_view<N> as_matrix() const { return {data, pixels(), channels, pixel_bytes()}; }
};

}  // namespace sparq
