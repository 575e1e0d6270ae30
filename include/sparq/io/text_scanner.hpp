// SPDX-License-Identifier: MIT
#pragma once
// Numbers and words of a text format, line by line; whatever is wrong is said with its line.

#include <sparq/base/error.hpp>

#include <algorithm>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace sparq::detail {

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

}  // namespace sparq::detail
