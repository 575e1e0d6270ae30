// SPDX-License-Identifier: MIT
#pragma once
// .smtx, the text format of the Deep Learning Matrix Collection: where a pruned matrix keeps its weights, no values.
//
//   2, 4, 3        n, k, stored weights
//   0 1 3          row offsets, n + 1
//   2 0 3          k of each stored weight, 0-based, row by row
//
// Also home of `sparse_matrix`, what every reader of a sparse text format returns.

#include <sparq/base/error.hpp>
#include <sparq/io/file.hpp>

#include <algorithm>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
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
std::vector<float> to_dense(const sparse_matrix& matrix);

/// Reads the text of one file. Rows may list their columns in any order; a column listed twice is refused. The
/// sentence of a failure names the line. O(stored log(stored per row)).
expected<sparse_matrix> try_read_smtx(std::string_view text);
inline sparse_matrix read_smtx(std::string_view text) { return try_read_smtx(text).value(); }

/// Reads a file; its sentences name the file too.
expected<sparse_matrix> try_load_smtx(const std::filesystem::path& path);
inline sparse_matrix load_smtx(const std::filesystem::path& path) { return try_load_smtx(path).value(); }

// ---- implementation -----------------------------------------------------------------------------------------------
namespace detail {

/// The most channels or reduction steps of a matrix in a text file. A file of a few bytes may claim any extent, and
/// its row offsets are allocated; the largest published matrices have 2.3e8 rows.
inline constexpr std::size_t max_text_extent = std::size_t{1} << 28;

/// Walks through a text by lines, and through a line by words, and knows where it is.
class text_scanner {
 public:
  explicit text_scanner(std::string_view text) : rest_(text) {}

  /// Steps to the next line; false behind the last one.
  bool next_line() {
    if (rest_.empty()) return false;
    const std::size_t end = (std::min)(rest_.find('\n'), rest_.size());
    line_ = rest_.substr(0, end);
    rest_.remove_prefix((std::min)(end + 1, rest_.size()));
    ++number_;
    return true;
  }
  /// Steps to the next line that has a word.
  bool next_filled_line() {
    while (next_line())
      if (more_words()) return true;
    return false;
  }
  bool more_words() const { return line_.find_first_not_of(separators) != std::string_view::npos; }
  /// The next word of this line, or nothing.
  std::string_view word() {
    line_.remove_prefix((std::min)(line_.find_first_not_of(separators), line_.size()));
    const std::string_view found = line_.substr(0, line_.find_first_of(separators));
    line_.remove_prefix(found.size());
    return found;
  }
  /// What is left of this line.
  std::string_view line() const { return line_; }
  std::size_t line_number() const { return number_; }
  /// Bytes from here to the end: an upper bound of the words to come.
  std::size_t remaining() const { return line_.size() + rest_.size(); }

  status failure(const std::string& problem) const { return failure_at(number_, problem); }
  static status failure_at(std::size_t line, const std::string& problem) {
    return status::failure("line " + std::to_string(line) + ": " + problem);
  }

 private:
  static constexpr std::string_view separators = " \t\r,";
  std::string_view rest_;
  std::string_view line_;
  std::size_t number_ = 0;
};

/// A word for a message: quoted, and cut when somebody fed a binary file.
inline std::string quoted_word(std::string_view word) {
  return "\"" + std::string(word.substr(0, 24)) + (word.size() > 24 ? "...\"" : "\"");
}

/// The number that the whole word is.
template <std::integral T>
bool parse_integer(std::string_view word, T& value) {
  const auto [end, problem] = std::from_chars(word.data(), word.data() + word.size(), value);
  return problem == std::errc{} && end == word.data() + word.size();
}

inline bool parse_count(std::string_view word, std::size_t limit, std::size_t& value) {
  return parse_integer(word, value) && value <= limit;
}

/// Why parse_count refused `word`; only called then, for the sentence costs more than the number.
inline status bad_count(const text_scanner& text, const std::string& what, std::string_view word, std::size_t limit) {
  if (word.empty()) return text.failure(what + " is missing");
  if (word.find_first_not_of("0123456789") != std::string_view::npos)
    return text.failure(what + " is " + quoted_word(word) + ", not a non-negative integer");
  return text.failure(what + " is " + std::string(word.substr(0, 24)) + (word.size() > 24 ? "..." : "") + "; at most " +
                      std::to_string(limit) + " is possible here");
}

/// The next word as an extent, a count or an index of at most `limit`. `what` names it in the message.
inline status read_count(text_scanner& text, const char* what, std::size_t limit, std::size_t& value) {
  const std::string_view word = text.word();
  return parse_count(word, limit, value) ? status() : bad_count(text, what, word, limit);
}

/// The next line as `count` integers of at most `limit`, and nothing else.
inline status read_counts(text_scanner& text, const std::string& what, std::size_t count, std::size_t limit,
                          std::vector<std::uint32_t>& values) {
  // Each takes a digit and a separator, so what the text cannot hold is refused before memory is taken for it.
  if (count > text.remaining() / 2 + 1)
    return text.failure(std::to_string(count) + " " + what + " are announced, more than the rest of the text can hold");
  if (!text.next_line()) return count == 0 ? status() : text.failure("the text ends before the line of " + what);
  values.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string_view word = text.word();
    std::size_t value = 0;
    if (!parse_count(word, limit, value)) return bad_count(text, what + "[" + std::to_string(i) + "]", word, limit);
    values[i] = static_cast<std::uint32_t>(value);
  }
  if (text.more_words())
    return text.failure(quoted_word(text.word()) + " follows the " + std::to_string(count) + " " + what);
  return {};
}

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

inline std::vector<float> to_dense(const sparse_matrix& matrix) {
  std::vector<float> dense(matrix.n * matrix.k);
  for (std::size_t n = 0; n < matrix.n; ++n)
    for (std::size_t i = matrix.row_offsets[n]; i < matrix.row_offsets[n + 1]; ++i)
      dense[n * matrix.k + matrix.columns[i]] = matrix.values.empty() ? 1.0F : static_cast<float>(matrix.values[i]);
  return dense;
}

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
