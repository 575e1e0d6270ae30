// SPDX-License-Identifier: MIT
#pragma once
// Matrices with strides and watched surroundings, in which a test finds every element that a kernel should not have
// touched.

#include <sparq/tensor/matrix.hpp>

#include "tests/support/random.hpp"

#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

namespace sparq_test {

/// The byte that memory holds before a kernel writes it.
inline constexpr unsigned char untouched_byte = 0xCD;

/// Y: rows x columns somewhere inside a larger block whose bytes are all 0xCD.
template <class T>
class guarded_output {
 public:
  /// Rows `gap` elements apart, the first one `lead` elements behind the start of the block.
  guarded_output(std::size_t rows, std::size_t columns, std::size_t gap, std::size_t lead)
      : rows_(rows), columns_(columns), stride_(columns + gap), lead_(lead), block_(lead + rows * stride_ + 70) {
    std::memset(block_.data(), untouched_byte, block_.size() * sizeof(T));
  }
  guarded_output(std::size_t rows, std::size_t columns, random_source& random)
      : guarded_output(rows, columns, random.chance(0.3) ? 0 : random.below(20), random.below(20)) {}

  sparq::matrix_view<T> view() { return {block_.data() + lead_, rows_, columns_, stride_}; }
  std::vector<T> elements() const {
    std::vector<T> result;
    for (std::size_t r = 0; r < rows_; ++r)
      for (std::size_t c = 0; c < columns_; ++c) result.push_back(block_[lead_ + r * stride_ + c]);
    return result;
  }
  /// Nothing but the elements has changed.
  bool surroundings_intact() const { return intact(false); }
  /// Nothing at all has changed.
  bool untouched() const { return intact(true); }

 private:
  bool intact(bool elements_too) const {
    T wanted;
    std::memset(&wanted, untouched_byte, sizeof wanted);
    for (std::size_t i = 0; i < block_.size(); ++i) {
      const std::size_t at = i - lead_;  // wraps before the first element
      const bool is_element = i >= lead_ && at < rows_ * stride_ && at % stride_ < columns_;
      if ((elements_too || !is_element) && std::memcmp(&block_[i], &wanted, sizeof wanted) != 0) return false;
    }
    return true;
  }

  std::size_t rows_, columns_, stride_, lead_;
  std::vector<T> block_;
};

/// X: rows x columns with a stride; the block ends with the last element, so that a sanitizer sees a read beyond it.
template <class T>
class strided_input {
 public:
  /// `fill(span)` writes all elements and those between the rows, which no result may depend on.
  template <class Fill>
  strided_input(std::size_t rows, std::size_t columns, std::size_t gap, Fill&& fill)
      : rows_(rows), columns_(columns), stride_(columns + gap) {
    block_.resize(rows == 0 ? 0 : (rows - 1) * stride_ + columns);
    fill(std::span<T>(block_));
    before_ = block_;
  }

  sparq::matrix_view<const T> view() const { return {block_.data(), rows_, columns_, stride_}; }
  bool unchanged() const {
    return block_.empty() || std::memcmp(block_.data(), before_.data(), block_.size() * sizeof(T)) == 0;
  }

 private:
  std::size_t rows_, columns_, stride_;
  std::vector<T> block_;
  std::vector<T> before_;
};

}  // namespace sparq_test
