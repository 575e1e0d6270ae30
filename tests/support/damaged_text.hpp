// SPDX-License-Identifier: MIT
#pragma once
// Damaged files of sparse matrices: what a reader takes has to be a matrix.

#include <cstddef>
#include <random>
#include <string>
#include <string_view>

namespace sparq_test {

/// One to three of `bytes` put into the text from `first` on, or in place of others; sometimes it is cut off.
inline std::string damaged_text(std::string text, std::string_view bytes, std::size_t first, std::mt19937& random) {
  for (std::size_t edits = 1 + random() % 3; edits != 0; --edits) {
    const std::size_t at = first + random() % (text.size() - first);
    const char byte = bytes[random() % bytes.size()];
    if (random() % 3 == 0)
      text.insert(at, 1, byte);
    else
      text[at] = byte;
  }
  if (random() % 8 == 0) text.resize(random() % text.size());
  return text;
}

/// Offsets run from 0 to the number of columns; the columns of each row ascend, below k.
template <class Matrix>
bool is_consistent(const Matrix& matrix) {
  if (matrix.row_offsets.size() != matrix.n + 1 || matrix.row_offsets.front() != 0 ||
      matrix.row_offsets.back() != matrix.columns.size())
    return false;
  for (std::size_t n = 0; n < matrix.n; ++n)
    for (std::size_t i = matrix.row_offsets[n]; i < matrix.row_offsets[n + 1]; ++i)
      if (matrix.columns[i] >= matrix.k || (i != matrix.row_offsets[n] && matrix.columns[i - 1] >= matrix.columns[i]))
        return false;
  return true;
}

}  // namespace sparq_test
