// SPDX-License-Identifier: MIT
#pragma once
// What readers of sparse text formats return (io/smtx.hpp, io/mtx.hpp).

#include <sparq/base/error.hpp>
#include <sparq/io/file.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

namespace sparq {

/// Compressed sparse rows of an n x k matrix as plain data.
struct sparse_matrix {
  std::size_t n = 0;
  std::size_t k = 0;
  std::vector<std::uint32_t> row_offsets;  ///< n + 1
  std::vector<std::uint32_t> columns;      ///< below k, strictly ascending within a row
  std::vector<double> values;              ///< one per column, or empty for a pattern

  friend bool operator==(const sparse_matrix&, const sparse_matrix&) = default;
};

/// The n x k matrix, row-major: 0 where nothing is stored, 1 where a pattern has something. O(n k).
/// @pre columns and offsets as above, which every reader makes sure of
inline std::vector<float> to_dense(const sparse_matrix& matrix) {
  std::vector<float> dense(matrix.n * matrix.k);
  for (std::size_t n = 0; n < matrix.n; ++n)
    for (std::size_t i = matrix.row_offsets[n]; i < matrix.row_offsets[n + 1]; ++i)
      dense[n * matrix.k + matrix.columns[i]] = matrix.values.empty() ? 1.0F : static_cast<float>(matrix.values[i]);
  return dense;
}

namespace detail {

/// Reads a file as text and names it in the sentence of a failure.
inline expected<sparse_matrix> load_text(const std::filesystem::path& path,
                                         expected<sparse_matrix> (*read)(std::string_view)) {
  const auto content = read_file(path);
  if (!content) return content.error();
  auto matrix = read({reinterpret_cast<const char*>(content->data()), content->size()});
  if (!matrix) return with_path(path, matrix.error().message());
  return matrix;
}

}  // namespace detail

}  // namespace sparq
