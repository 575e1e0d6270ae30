// SPDX-License-Identifier: MIT
#pragma once
// The header of a .npy file (io/npy.hpp): a dictionary in Python's notation that says what the elements are, in which
// order they lie and how many there are.

#include <sparq/base/error.hpp>
#include <sparq/base/math.hpp>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace sparq {

/// What one element of a stored array is. Without a C++ type of their own: f16, read through `npy_array::to`.
enum class element_type : std::uint8_t { boolean, s8, u8, s16, u16, s32, u32, s64, u64, f16, f32, f64 };

std::string_view name(element_type type);
/// Bytes of one element.
std::size_t element_bytes(element_type type);

namespace detail {
template <class T>
inline constexpr bool is_stored_v = std::is_same_v<T, bool> || std::is_same_v<T, float> || std::is_same_v<T, double> ||
                                    (std::is_integral_v<T> && !std::is_same_v<T, wchar_t> &&
                                     !std::is_same_v<T, char8_t> && !std::is_same_v<T, char16_t> &&
                                     !std::is_same_v<T, char32_t>);

template <class T>
constexpr element_type stored_type() {
  static_assert(is_stored_v<T>, "sparq: .npy holds bool, integers, float and double; convert the values first");
  if constexpr (std::is_same_v<T, bool>) return element_type::boolean;
  if constexpr (std::is_same_v<T, float>) return element_type::f32;
  if constexpr (std::is_same_v<T, double>) return element_type::f64;
  const int width = std::countr_zero(sizeof(T));  // 1 2 4 8 bytes -> 0 1 2 3; the enumerators alternate s, u
  return static_cast<element_type>(static_cast<int>(element_type::s8) + 2 * width + (std::is_signed_v<T> ? 0 : 1));
}

struct element_row {
  std::string_view name;
  std::string_view kind;  // what follows the byte order in descr
  std::size_t bytes;
};
inline constexpr element_row element_table[] = {
    {"bool", "b1", 1}, {"s8", "i1", 1},  {"u8", "u1", 1},  {"s16", "i2", 2}, {"u16", "u2", 2}, {"s32", "i4", 4},
    {"u32", "u4", 4},  {"s64", "i8", 8}, {"u64", "u8", 8}, {"f16", "f2", 2}, {"f32", "f4", 4}, {"f64", "f8", 8}};

inline const element_row& row_of(element_type type) { return element_table[static_cast<std::size_t>(type)]; }

inline std::string shape_text(const std::vector<std::size_t>& shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + (shape.size() == 1 ? ",)" : ")");
}

/// Reads the dictionary of a header. Each step returns false after it has noted the problem and its offset.
class npy_header {
 public:
  element_type type{};
  bool big_endian = false;
  bool fortran_order = false;
  std::vector<std::size_t> shape;

  /// `text` starts at byte `origin` of the file.
  status parse(std::string_view text, std::size_t origin) {
    text_ = text;
    if (dictionary()) return {};
    return status::failure("offset " + std::to_string(origin + at_) + ": " + problem_);
  }

 private:
  bool fail(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }
  void skip_spaces() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) ++at_;
  }
  /// Steps over `token` if it comes next.
  bool take(std::string_view token) {
    skip_spaces();
    if (text_.substr(at_, token.size()) != token) return false;
    at_ += token.size();
    return true;
  }
  bool expect(std::string_view token) {
    return take(token) || fail("the header needs \"" + std::string(token) + "\" here");
  }
  bool quoted(std::string_view& value) {
    skip_spaces();
    const char quote = at_ < text_.size() ? text_[at_] : '\0';
    if (quote != '\'' && quote != '"') return fail("the header needs a quoted string here");
    const std::size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) return fail("this string in the header never ends");
    value = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return true;
  }

  bool dictionary() {
    static constexpr std::string_view keys[] = {"descr", "fortran_order", "shape"};
    bool seen[3] = {};
    if (!expect("{")) return false;
    while (!take("}")) {
      skip_spaces();
      const std::size_t start = at_;
      std::string_view key;
      if (!quoted(key)) return false;
      const auto which = static_cast<std::size_t>(std::find(keys, keys + 3, key) - keys);
      if (which == 3 || seen[which]) {
        at_ = start;
        return fail((which == 3 ? "unknown" : "repeated") + (" key '" + std::string(key) + "' in the header"));
      }
      seen[which] = true;
      if (!expect(":") || !(which == 0 ? descr() : which == 1 ? order() : extents())) return false;
      if (!take(",")) {
        if (!expect("}")) return false;
        break;
      }
    }
    for (std::size_t i = 0; i < 3; ++i)
      if (!seen[i]) return fail("the header has no '" + std::string(keys[i]) + "'");
    skip_spaces();
    return at_ == text_.size() || fail("the header goes on after its closing brace");
  }

  bool descr() {
    skip_spaces();
    const std::size_t start = at_;
    if (take("[")) {
      at_ = start;
      return fail("structured arrays are not supported; save each field as an array of its own");
    }
    std::string_view value;
    if (!quoted(value)) return false;
    const auto row = std::find_if(std::begin(element_table), std::end(element_table),
                                  [&](const element_row& r) { return !value.empty() && value.substr(1) == r.kind; });
    const bool known =
        row != std::end(element_table) && (value[0] == '<' || value[0] == '>' || (value[0] == '|' && row->bytes == 1));
    if (!known) {
      at_ = start;
      return fail("element type '" + std::string(value) +
                  "' is not one of b1 i1 u1 i2 u2 i4 u4 i8 u8 f2 f4 f8 with byte order < > or |");
    }
    type = static_cast<element_type>(row - std::begin(element_table));
    big_endian = value[0] == '>';
    return true;
  }

  bool order() {
    fortran_order = take("True");
    return fortran_order || take("False") || fail("fortran_order must be True or False");
  }

  bool extents() {
    if (!expect("(")) return false;
    while (!take(")")) {
      skip_spaces();
      std::size_t extent = 0;
      const auto [end, problem] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), extent);
      if (problem == std::errc::result_out_of_range)
        return fail("this extent does not fit in " + std::to_string(8 * sizeof(std::size_t)) + " bits");
      if (problem != std::errc{}) return fail("the shape needs a non-negative integer here");
      at_ = static_cast<std::size_t>(end - text_.data());
      take("L");  // as Python 2 writes it
      shape.push_back(extent);
      if (!take(",")) {
        if (shape.size() == 1) return fail("the shape of one extent needs a comma before \")\"");
        return expect(")");
      }
    }
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string problem_;
};

/// The header of version 1.0 for data in C order, magic string and padding included; data may follow at once.
/// @pre shape.size() <= 32
inline std::string npy_header_text(element_type type, const std::vector<std::size_t>& shape) {
  const element_row& row = row_of(type);
  std::string dictionary = std::string("{'descr': '") + (row.bytes == 1 ? '|' : '<') + std::string(row.kind) +
                           "', 'fortran_order': False, 'shape': " + shape_text(shape) + ", }";
  constexpr std::size_t prefix = 10;
  dictionary.append(round_up(prefix + dictionary.size() + 1, 64) - prefix - dictionary.size() - 1, ' ') += '\n';
  std::string head("\x93NUMPY\x01\x00", 8);
  head += static_cast<char>(dictionary.size() & 0xff);
  head += static_cast<char>(dictionary.size() >> 8);
  return head + dictionary;
}

}  // namespace detail

inline std::string_view name(element_type type) { return detail::row_of(type).name; }
inline std::size_t element_bytes(element_type type) { return detail::row_of(type).bytes; }

}  // namespace sparq
