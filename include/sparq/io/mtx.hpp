// SPDX-License-Identifier: MIT
#pragma once
// MatrixMarket (.mtx), the text format of the SuiteSparse collection. Read are coordinate and array matrices of real,
// integer and pattern entries, general, symmetric and skew-symmetric; both triangles of the latter come out. Complex
// and hermitian ones are refused: weights are real.
//
//   %%MatrixMarket matrix coordinate real symmetric      array: only the extents, then one value a line,
//   % comment                                            column by column
//   3 3 2               n, k, entries
//   1 1 0.5             1-based; a symmetric file holds the lower triangle only
//   3 1 -2              also W[0][2]
//
// Format: https://math.nist.gov/MatrixMarket/formats.html

#include <sparq/io/sparse_matrix.hpp>
#include <sparq/io/text_scanner.hpp>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace sparq {

/// Reads the text of one file. Explicit zeros of a coordinate matrix stay stored entries; of an array only what is not
/// zero is stored. Entries may come in any order; one that comes twice, or lies in the triangle that symmetry implies,
/// is refused, as are more than 2^20 rows in a text of fewer bytes. The sentence of a failure names the line.
/// O(entries log entries).
expected<sparse_matrix> try_read_mtx(std::string_view text);
inline sparse_matrix read_mtx(std::string_view text) { return try_read_mtx(text).value(); }

/// Reads a file; its sentences name the file too.
expected<sparse_matrix> try_load_mtx(const std::filesystem::path& path);
inline sparse_matrix load_mtx(const std::filesystem::path& path) { return try_load_mtx(path).value(); }

// ---- implementation -----------------------------------------------------------------------------------------------
namespace detail {

class mtx_reader {
 public:
  explicit mtx_reader(std::string_view text) : text_(text) {}

  expected<sparse_matrix> read() {
    if (status done = banner(); !done) return done;
    if (status done = extents(); !done) return done;
    if (status done = coordinate_ ? coordinates() : array(); !done) return done;
    if (text_.next_filled_line()) return text_.failure(quoted_word(text_.word()) + " follows the last entry");
    return rows();
  }

 private:
  enum class field { real, integer, pattern };
  enum class symmetry { general, symmetric, skew };
  struct entry {
    std::uint32_t n, k;
    double value;
    std::size_t line;
  };

  /// The position of the next word, in any case of letters, among `known`; reports what else it is.
  template <std::size_t Count>
  status choose(const std::string& what, const std::array<std::string_view, Count>& known, std::size_t& chosen) {
    const std::string_view word = text_.word();
    std::string choices;
    for (chosen = 0; chosen < Count; ++chosen) {
      if (std::equal(word.begin(), word.end(), known[chosen].begin(), known[chosen].end(), [](char a, char b) {
            return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
          }))
        return {};
      choices += (chosen == 0 ? "" : ", ") + std::string(known[chosen]);
    }
    return text_.failure("the " + what + " is " + quoted_word(word) + ", not one of " + choices);
  }

  status banner() {
    using names = std::string_view;
    if (!text_.next_line()) return status::failure("line 1: the text is empty");
    std::size_t choice = 0;
    if (status done = choose("banner", std::array<names, 1>{"%%MatrixMarket"}, choice); !done) return done;
    if (status done = choose("object", std::array<names, 1>{"matrix"}, choice); !done) return done;
    if (status done = choose("storage", std::array<names, 2>{"coordinate", "array"}, choice); !done) return done;
    coordinate_ = choice == 0;
    if (status done = choose("field", std::array<names, 3>{"real", "integer", "pattern"}, choice); !done) return done;
    field_ = static_cast<field>(choice);
    if (status done = choose("symmetry", std::array<names, 3>{"general", "symmetric", "skew-symmetric"}, choice); !done)
      return done;
    symmetry_ = static_cast<symmetry>(choice);
    if (text_.more_words()) return text_.failure(quoted_word(text_.word()) + " follows the symmetry");
    if (field_ == field::pattern && !coordinate_) return text_.failure("a pattern cannot be an array");
    if (field_ == field::pattern && symmetry_ == symmetry::skew)
      return text_.failure("a pattern cannot be skew-symmetric: it has no signs");
    return {};
  }

  status extents() {
    do {
      if (!text_.next_filled_line()) return text_.failure("the text ends before the line of extents");
    } while (text_.line().front() == '%');
    // Row offsets are allocated, so a short text may not claim any number of rows.
    const std::size_t most_rows = (std::min)(max_text_extent, (std::max)(text_.remaining(), std::size_t{1} << 20));
    if (status done = read_count(text_, "n", most_rows, n_); !done) return done;
    if (status done = read_count(text_, "k", max_text_extent, k_); !done) return done;
    if (symmetry_ != symmetry::general && n_ != k_)
      return text_.failure("a symmetric matrix cannot have extents " + std::to_string(n_) + " x " + std::to_string(k_));
    if (coordinate_) {
      std::size_t entries = 0;
      if (status done = read_count(text_, "the number of entries", UINT32_MAX, entries); !done) return done;
      announced_ = entries;
    } else if (symmetry_ == symmetry::general) {
      announced_ = std::uint64_t{n_} * k_;  // at most 2^56
    } else {
      const std::uint64_t n = n_;
      announced_ = symmetry_ == symmetry::skew ? (n == 0 ? 0 : n * (n - 1) / 2) : n * (n + 1) / 2;
    }
    if (text_.more_words()) return text_.failure(quoted_word(text_.word()) + " follows the extents");
    if (announced_ > text_.remaining() / 2 + 1)  // each takes a digit and the end of its line
      return text_.failure(std::to_string(announced_) +
                           " entries are announced, more than the rest of the text can hold");
    return {};
  }

  status coordinates() {
    entries_.reserve(static_cast<std::size_t>(announced_));
    for (std::size_t i = 0; i < announced_; ++i) {
      if (status done = entry_line(i); !done) return done;
      std::size_t n = 0, k = 0;
      if (status done = coordinate("row", n_, n); !done) return done;
      if (status done = coordinate("column", k_, k); !done) return done;
      if (symmetry_ != symmetry::general && k > n)
        return text_.failure("row " + std::to_string(n) + ", column " + std::to_string(k) +
                             " lies above the diagonal, which a symmetric file leaves out");
      if (symmetry_ == symmetry::skew && k == n)
        return text_.failure("row " + std::to_string(n) +
                             " has a diagonal entry, which a skew-symmetric file leaves out");
      double value = 0;
      if (field_ != field::pattern)
        if (status done = number(value); !done) return done;
      if (status done = line_end(); !done) return done;
      add(n - 1, k - 1, value);
    }
    return {};
  }

  status array() {
    std::size_t i = 0;
    for (std::size_t k = 0; k < k_; ++k) {
      const std::size_t first = symmetry_ == symmetry::general ? 0 : symmetry_ == symmetry::symmetric ? k : k + 1;
      for (std::size_t n = first; n < n_; ++n, ++i) {
        double value = 0;
        if (status done = entry_line(i); !done) return done;
        if (status done = number(value); !done) return done;
        if (status done = line_end(); !done) return done;
        if (value != 0) add(n, k, value);
      }
    }
    return {};
  }

  status entry_line(std::size_t i) {
    if (text_.next_filled_line()) return {};
    return text_.failure("the text ends after " + std::to_string(i) + " of " + std::to_string(announced_) + " entries");
  }
  status line_end() {
    if (!text_.more_words()) return {};
    return text_.failure(quoted_word(text_.word()) + " follows the entry");
  }
  status coordinate(const char* what, std::size_t extent, std::size_t& value) {
    if (status done = read_count(text_, what, extent, value); !done) return done;
    return value != 0 ? status() : text_.failure(std::string(what) + " is 0; rows and columns count from 1");
  }
  status number(double& value) {
    const std::string_view word = text_.word();
    if (word.empty()) return text_.failure("the value is missing");
    std::string_view digits = word;
    if (word.front() == '+' && !word.starts_with("+-")) digits.remove_prefix(1);  // from_chars takes no plus
    if (field_ == field::integer) {
      std::int64_t integer = 0;
      constexpr std::int64_t exact = std::int64_t{1} << 53;
      if (!parse_integer(digits, integer) || integer > exact || integer < -exact)
        return text_.failure("the value is " + quoted_word(word) + ", not an integer of at most 2^53");
      value = static_cast<double>(integer);
      return {};
    }
    const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (problem != std::errc{} || end != digits.data() + digits.size() || !std::isfinite(value))
      return text_.failure("the value is " + quoted_word(word) + ", not a real number that a double can hold");
    return {};
  }

  void add(std::size_t n, std::size_t k, double value) {
    const auto row = static_cast<std::uint32_t>(n), column = static_cast<std::uint32_t>(k);
    entries_.push_back({row, column, value, text_.line_number()});
    if (symmetry_ != symmetry::general && n != k)
      entries_.push_back({column, row, symmetry_ == symmetry::skew ? -value : value, text_.line_number()});
  }

  expected<sparse_matrix> rows() {
    if (entries_.size() > UINT32_MAX)
      return status::failure(std::to_string(entries_.size()) +
                             " entries in both triangles do not fit in 32-bit offsets");
    std::sort(entries_.begin(), entries_.end(), [](const entry& a, const entry& b) {
      return a.n != b.n ? a.n < b.n : a.k != b.k ? a.k < b.k : a.line < b.line;
    });
    sparse_matrix result{n_, k_, std::vector<std::uint32_t>(n_ + 1, 0), {}, {}};
    result.columns.reserve(entries_.size());
    if (field_ != field::pattern) result.values.reserve(entries_.size());
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      const entry& e = entries_[i];
      if (i > 0 && e.n == entries_[i - 1].n && e.k == entries_[i - 1].k)
        return text_scanner::failure_at(e.line, "row " + std::to_string(e.n + 1) + ", column " +
                                                    std::to_string(e.k + 1) + " is already given on line " +
                                                    std::to_string(entries_[i - 1].line));
      ++result.row_offsets[e.n + 1];
      result.columns.push_back(e.k);
      if (field_ != field::pattern) result.values.push_back(e.value);
    }
    for (std::size_t n = 0; n < n_; ++n) result.row_offsets[n + 1] += result.row_offsets[n];
    return result;
  }

  text_scanner text_;
  bool coordinate_ = false;
  field field_ = field::real;
  symmetry symmetry_ = symmetry::general;
  std::size_t n_ = 0, k_ = 0;
  std::uint64_t announced_ = 0;
  std::vector<entry> entries_;
};

}  // namespace detail

inline expected<sparse_matrix> try_read_mtx(std::string_view text) { return detail::mtx_reader(text).read(); }

inline expected<sparse_matrix> try_load_mtx(const std::filesystem::path& path) {
  return detail::load_text(path, try_read_mtx);
}

}  // namespace sparq
