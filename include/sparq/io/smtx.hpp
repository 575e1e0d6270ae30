// SPDX-License-Identifier: MIT
#pragma once
// .smtx, the text format of the Deep Learning Matrix Collection: where a pruned matrix keeps its weights, no values.
//
//   2, 4, 3        n, k, stored weights
//   0 1 3          row offsets, n + 1
//   2 0 3          k of each stored weight, 0-based, row by row

#include <sparq/base/error.hpp>
#include <sparq/io/sparse_matrix.hpp>
#include <sparq/io/text_scanner.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace sparq {

/// Reads the text of one file. Rows may list their columns in any order; a column listed twice is refused. The
/// sentence of a failure names the line. O(stored log(stored per row)).
expected<sparse_matrix> try_read_smtx(std::string_view text);
inline sparse_matrix read_smtx(std::string_view text) { return try_read_smtx(text).value(); }

/// Reads a file; its sentences name the file too.
expected<sparse_matrix> try_load_smtx(const std::filesystem::path& path);
inline sparse_matrix load_smtx(const std::filesystem::path& path) { return try_load_smtx(path).value(); }

// ---- implementation -----------------------------------------------------------------------------------------------

inline expected<sparse_matrix> try_read_smtx(std::string_view input) {
  constexpr std::size_t max_stored = UINT32_MAX;
  detail::text_scanner text(input);
  sparse_matrix result;
  std::size_t stored = 0;
  if (!text.next_line()) return status::failure("line 1: the text is empty");
  if (status read = detail::read_count(text, "n", detail::max_text_extent, result.n); !read) return read;
  if (status read = detail::read_count(text, "k", detail::max_text_extent, result.k); !read) return read;
  if (status read = detail::read_count(text, "the number of stored weights", max_stored, stored); !read) return read;
  if (text.more_words()) return text.failure(detail::quoted_word(text.word()) + " follows n, k and the stored weights");

  if (status read = detail::read_counts(text, "row_offsets", result.n + 1, stored, result.row_offsets); !read)
    return read;
  if (result.row_offsets[0] != 0)
    return text.failure("row_offsets[0] is " + std::to_string(result.row_offsets[0]) + ", not 0");
  for (std::size_t n = 0; n < result.n; ++n)
    if (result.row_offsets[n + 1] < result.row_offsets[n])
      return text.failure("row_offsets[" + std::to_string(n + 1) + "] is " + std::to_string(result.row_offsets[n + 1]) +
                          " and follows " + std::to_string(result.row_offsets[n]) + "; row offsets never fall");
  if (result.row_offsets[result.n] != stored)
    return text.failure("the last of row_offsets is " + std::to_string(result.row_offsets[result.n]) +
                        ", but line 1 announces " + std::to_string(stored) + " stored weights");
  if (stored != 0 && result.k == 0) return detail::text_scanner::failure_at(1, "k is 0, but weights are stored");

  if (status read = detail::read_counts(text, "columns", stored, result.k == 0 ? 0 : result.k - 1, result.columns);
      !read)
    return read;
  for (std::size_t n = 0; n < result.n; ++n) {
    const auto first = result.columns.begin() + result.row_offsets[n];
    const auto last = result.columns.begin() + result.row_offsets[n + 1];
    std::sort(first, last);
    if (const auto twice = std::adjacent_find(first, last); twice != last)
      return text.failure("row " + std::to_string(n) + " lists column " + std::to_string(*twice) + " twice");
  }
  if (text.next_filled_line()) return text.failure(detail::quoted_word(text.word()) + " follows the columns");
  return result;
}

inline expected<sparse_matrix> try_load_smtx(const std::filesystem::path& path) {
  return detail::load_text(path, try_read_smtx);
}

}  // namespace sparq
