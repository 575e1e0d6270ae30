// SPDX-License-Identifier: MIT
#pragma once
// Activations of 7 bits: bytes of which none is greater than 127. Two of their products with weights of 8 bits fit into
// 16 bits, so AVX2 without VNNI multiplies them a quarter faster, still exactly; elsewhere they are u8. Frameworks
// leave the eighth bit out for such CPUs ("reduce_range" of PyTorch's fbgemm and x86 backends).
//
//   gemm(up_to_127(x), w, y, scratch);

#include <sparq/base/error.hpp>
#include <sparq/numeric/numeric.hpp>
#include <sparq/tensor/image.hpp>
#include <sparq/tensor/matrix.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

namespace sparq {

/// An element of such a view; memory holds std::uint8_t.
enum class byte_up_to_127 : std::uint8_t {};

/// Leaves the elements unread. @pre they are at most 127, otherwise results are wrong
inline matrix_view<const byte_up_to_127> unchecked_up_to_127(const matrix_view<const std::uint8_t>& x) {
  return {reinterpret_cast<const byte_up_to_127*>(x.data), x.rows, x.columns, x.stride};
}
inline image_view<const byte_up_to_127> unchecked_up_to_127(const image_view<const std::uint8_t>& x) {
  return {reinterpret_cast<const byte_up_to_127*>(x.data), x.images, x.image_height, x.image_width, x.channels};
}

/// Reads every element once. Errors: the first one that is greater than 127, with its position.
inline expected<matrix_view<const byte_up_to_127>> try_up_to_127(const matrix_view<const std::uint8_t>& x) {
  for (std::size_t i = 0; i < x.rows; ++i) {
    unsigned all = 0;
    for (std::size_t j = 0; j < x.columns; ++j) all |= x(i, j);
    if (all <= 127) continue;
    std::size_t j = 0;
    while (x(i, j) <= 127) ++j;
    return status::failure("up_to_127: X[" + std::to_string(i) + "][" + std::to_string(j) + "] is " +
                           std::to_string(x(i, j)));
  }
  return unchecked_up_to_127(x);
}
inline expected<image_view<const byte_up_to_127>> try_up_to_127(const image_view<const std::uint8_t>& x) {
  if (auto checked = try_up_to_127(x.as_matrix()); !checked) return checked.error();
  return unchecked_up_to_127(x);
}

/// Throwing twins of try_up_to_127.
inline matrix_view<const byte_up_to_127> up_to_127(const matrix_view<const std::uint8_t>& x) {
  return try_up_to_127(x).value();
}
inline image_view<const byte_up_to_127> up_to_127(const image_view<const std::uint8_t>& x) {
  return try_up_to_127(x).value();
}

namespace detail {

template <>
struct numeric_of<byte_up_to_127> {
  using type = u8_up_to_127;
};

/// The bytes of such a view.
template <class T>
  requires std::is_same_v<std::remove_const_t<T>, byte_up_to_127>
matrix_view<const std::uint8_t> as_bytes(const matrix_view<T>& x) {
  return {reinterpret_cast<const std::uint8_t*>(x.data), x.rows, x.columns, x.stride};
}
template <class T>
  requires std::is_same_v<std::remove_const_t<T>, byte_up_to_127>
image_view<const std::uint8_t> as_bytes(const image_view<T>& x) {
  return {reinterpret_cast<const std::uint8_t*>(x.data), x.images, x.image_height, x.image_width, x.channels};
}

}  // namespace detail

}  // namespace sparq
