// SPDX-License-Identifier: MIT
#pragma once
// Activations: matrices over memory that the caller owns, by rows, by columns, or four columns at a time.

#include <sparq/base/error.hpp>

#include <cstddef>
#include <string>
#include <type_traits>

namespace sparq {

/// `rows` x `columns` elements, `stride` elements from one row to the next. Trivially copyable; does not own.
/// X is m x k, Y is m x n.
template <class T>
struct matrix_view {
  T* data = nullptr;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::size_t stride = 0;

  constexpr matrix_view() = default;
  constexpr matrix_view(T* first, std::size_t row_count, std::size_t column_count)
      : matrix_view(first, row_count, column_count, column_count) {}
  /// @pre stride >= column_count
  constexpr matrix_view(T* first, std::size_t row_count, std::size_t column_count, std::size_t row_stride)
      : data(first), rows(row_count), columns(column_count), stride(row_stride) {}
  /// A view that only reads.
  constexpr operator matrix_view<const T>() const
    requires(!std::is_const_v<T>)
  {
    return {data, rows, columns, stride};
  }

  constexpr T* row(std::size_t i) const { return data + i * stride; }
  constexpr T& operator()(std::size_t i, std::size_t j) const { return data[i * stride + j]; }
};

/// The same extents stored column by column, `stride` elements from one column to the next: X with its k's, or Y with
/// its channels, one after the other. The columns loop reads and writes it; the Y of one layer is the X of the next.
template <class T>
struct k_major_view {
  T* data = nullptr;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::size_t stride = 0;

  constexpr k_major_view() = default;
  constexpr k_major_view(T* first, std::size_t row_count, std::size_t column_count)
      : k_major_view(first, row_count, column_count, row_count) {}
  /// @pre stride >= row_count
  constexpr k_major_view(T* first, std::size_t row_count, std::size_t column_count, std::size_t column_stride)
      : data(first), rows(row_count), columns(column_count), stride(column_stride) {}
  /// A view that only reads.
  constexpr operator k_major_view<const T>() const
    requires(!std::is_const_v<T>)
  {
    return {data, rows, columns, stride};
  }

  constexpr T* column(std::size_t j) const { return data + j * stride; }
  constexpr T& operator()(std::size_t i, std::size_t j) const { return data[j * stride + i]; }
};

/// The same extents with the columns taken four at a time (NC4HW4): [column / 4][row][4], `stride` elements from one
/// quad of columns to the next. Where the last quad has fewer, Y holds zeros beyond them and X anything. Runs of four
/// k's of the columns loop read it as it is.
template <class T>
struct quad_view {
  T* data = nullptr;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::size_t stride = 0;

  constexpr quad_view() = default;
  constexpr quad_view(T* first, std::size_t row_count, std::size_t column_count)
      : quad_view(first, row_count, column_count, 4 * row_count) {}
  /// @pre quad_stride >= 4 * row_count
  constexpr quad_view(T* first, std::size_t row_count, std::size_t column_count, std::size_t quad_stride)
      : data(first), rows(row_count), columns(column_count), stride(quad_stride) {}
  /// A view that only reads.
  constexpr operator quad_view<const T>() const
    requires(!std::is_const_v<T>)
  {
    return {data, rows, columns, stride};
  }

  /// Elements that a matrix without gaps takes.
  static constexpr std::size_t elements(std::size_t row_count, std::size_t column_count) {
    return (column_count + 3) / 4 * 4 * row_count;
  }
  /// Four columns from 4 j on.
  constexpr T* quad(std::size_t j) const { return data + j * stride; }
  constexpr T& operator()(std::size_t i, std::size_t j) const { return data[j / 4 * stride + 4 * i + j % 4]; }
};

/// "rows x columns" for messages.
template <template <class> class View, class T>
  requires requires(const View<T>& v) { v.rows * v.columns; }
std::string extent_text(const View<T>& v) {
  return std::to_string(v.rows) + " x " + std::to_string(v.columns);
}

namespace detail {

/// A stride steps over at least what lies between two of its steps.
inline status check_stride(const char* of, std::size_t stride, std::size_t least) {
  if (stride >= least) return {};
  return status::failure(std::string(of) + " has a stride of " + std::to_string(stride) + "; at least " +
                         std::to_string(least) + " are needed");
}
template <class T>
status check_stride(const char* of, const matrix_view<T>& v) {
  return check_stride(of, v.stride, v.columns);
}

}  // namespace detail

}  // namespace sparq
