// SPDX-License-Identifier: MIT
#pragma once
// Matrices whose elements share bytes, with strides and watched surroundings; see guarded.hpp.

#include <sparq/tensor/narrow_view.hpp>

#include "tests/support/guarded.hpp"
#include "tests/support/operands.hpp"
#include "tests/support/random.hpp"

#include <cstddef>
#include <vector>

namespace sparq_test {

/// Given codes, row by row, as a matrix of N, or as an image whose pixels are the rows.
template <sparq::numeric N>
std::vector<std::byte> narrow_bytes(const std::vector<typename N::code>& codes, std::size_t columns) {
  const std::size_t rows = codes.size() / columns;
  std::vector<std::byte> bytes(rows * sparq::storage_bytes<N>(columns));
  const sparq::narrow_matrix_view<N> view(bytes.data(), rows, columns);
  for (std::size_t i = 0; i < codes.size(); ++i) view.set(i / columns, i % columns, codes[i]);
  return bytes;
}

/// rows x columns random codes of N; between the rows lies what must not count, and the block ends with the last row.
template <sparq::numeric N>
class narrow_input {
 public:
  using code = typename N::code;

  narrow_input(std::size_t rows, std::size_t columns, std::size_t gap, value_style style, random_source& random)
      : rows_(rows), columns_(columns), stride_(sparq::storage_bytes<N>(columns) + gap), codes_(rows * columns) {
    fill_codes<N>(codes_, style, random);
    block_.resize(rows == 0 ? 0 : (rows - 1) * stride_ + stride_ - gap);
    for (auto& byte : block_) byte = static_cast<std::byte>(random.below(256));
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t c = 0; c < columns; ++c) view_to_fill().set(r, c, codes_[r * columns + c]);
  }
  sparq::narrow_matrix_view<const N> view() const { return {block_.data(), rows_, columns_, stride_}; }
  const std::vector<code>& codes() const { return codes_; }

 private:
  sparq::narrow_matrix_view<N> view_to_fill() { return {block_.data(), rows_, columns_, stride_}; }

  std::size_t rows_, columns_, stride_;
  std::vector<code> codes_;
  std::vector<std::byte> block_;
};

/// Y: rows x columns codes of N inside a larger block of untouched bytes.
template <sparq::numeric N>
class narrow_output {
 public:
  using code = typename N::code;

  narrow_output(std::size_t rows, std::size_t columns, std::size_t gap)
      : rows_(rows),
        columns_(columns),
        stride_(sparq::storage_bytes<N>(columns) + gap),
        block_(lead + rows * stride_ + 70, std::byte{untouched_byte}) {}
  sparq::narrow_matrix_view<N> view() { return {block_.data() + lead, rows_, columns_, stride_}; }
  std::vector<code> codes() const {
    std::vector<code> result;
    for (std::size_t r = 0; r < rows_; ++r)
      for (std::size_t c = 0; c < columns_; ++c)
        result.push_back(sparq::load_code<N>(block_.data() + lead + r * stride_, c));
    return result;
  }
  /// Nothing but the rows has changed, and the bits behind the last element of every row are zero.
  bool surroundings_intact() const {
    constexpr std::size_t per_byte = 8 / static_cast<std::size_t>(N::bits);
    const std::size_t row_bytes = sparq::storage_bytes<N>(columns_);
    for (std::size_t i = 0; i < block_.size(); ++i) {
      const std::size_t at = i - lead;  // wraps before the first row
      const bool is_element = i >= lead && at < rows_ * stride_ && at % stride_ < row_bytes;
      if (!is_element && block_[i] != std::byte{untouched_byte}) return false;
    }
    for (std::size_t r = 0; r < rows_; ++r)
      for (std::size_t c = columns_; c < row_bytes * per_byte; ++c)
        if (sparq::load_code<N>(block_.data() + lead + r * stride_, c) != 0) return false;
    return true;
  }

 private:
  static constexpr std::size_t lead = 5;
  std::size_t rows_, columns_, stride_;
  std::vector<std::byte> block_;
};

}  // namespace sparq_test
