// SPDX-License-Identifier: MIT
#pragma once
// NumPy's .npy, versions 1.0 to 3.0: the plainest way to bring arrays in and results out. What is read is always
// little-endian and in C order (the last extent varies fastest): big-endian files are byte-swapped, fortran_order ones
// are transposed. Structured, complex, string and object arrays are refused. Every failure is one sentence that names
// the byte offset, and the file when there is one.
//
//   offset 0  \x93NUMPY | version, 2 bytes | header length, 2 bytes (1.0) or 4 (2.0, 3.0), little-endian
//             {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }      padded with spaces, newline | data

#include <sparq/base/error.hpp>
#include <sparq/base/memory.hpp>

#include <algorithm>
#include <bit>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace sparq {

static_assert(std::endian::native == std::endian::little,
              "sparq: stored arrays are little-endian; big-endian machines are not supported");

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
}  // namespace detail

/// An array in C order. A 0-d array has an empty shape and one element; an extent may be zero.
struct npy_array {
  element_type type = element_type::u8;
  std::vector<std::size_t> shape;
  aligned_buffer data;

  /// Number of elements: the product of the shape.
  std::size_t size() const { return data.size() / element_bytes(type); }

  /// The elements in place. Fails when the array does not hold T.
  template <class T>
  expected<std::span<const T>> try_as() const&;
  template <class T>
  std::span<const T> as() const& {
    return try_as<T>().value();
  }
  template <class T>
  void try_as() const&& = delete;  // the span would outlive the array
  template <class T>
  void as() const&& = delete;

  /// The elements as T (not bool). Integers and fractions that T cannot hold are refused with their position, f64 is
  /// rounded to f32 to nearest even unless it overflows. O(size).
  template <class T>
  expected<std::vector<T>> try_to() const;
  template <class T>
  std::vector<T> to() const {
    return try_to<T>().value();
  }
};

/// Reads the bytes of one whole file; nothing may follow the data. O(bytes).
expected<npy_array> try_read_npy(std::span<const std::byte> bytes);
inline npy_array read_npy(std::span<const std::byte> bytes) { return try_read_npy(bytes).value(); }

/// Reads a file. Needs twice its size in memory while it runs.
expected<npy_array> try_load_npy(const std::filesystem::path& path);
inline npy_array load_npy(const std::filesystem::path& path) { return try_load_npy(path).value(); }

/// Writes version 1.0. The bytes go to a temporary neighbour of `path` that then takes its name, so a reader sees the
/// old file or the whole new one. Fails when there are more than 32 extents, the most that every NumPy reads.
status try_save_npy(const std::filesystem::path& path, const npy_array& array);
inline void save_npy(const std::filesystem::path& path, const npy_array& array) { try_save_npy(path, array).value(); }

/// The same for a vector, an array or a span of bool, integers, float or double in C order.
template <class Values>
requires requires(const Values& values) { std::span(values); }
status try_save_npy(const std::filesystem::path& path, const Values& values, const std::vector<std::size_t>& shape);
template <class Values>
requires requires(const Values& values) { std::span(values); }
void save_npy(const std::filesystem::path& path, const Values& values, const std::vector<std::size_t>& shape) {
  try_save_npy(path, values, shape).value();
}

// ---- implementation -----------------------------------------------------------------------------------------------
namespace detail {

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

/// Bytes of the data, or false when std::size_t cannot say how many.
inline bool data_bytes(const std::vector<std::size_t>& shape, std::size_t element, std::size_t& bytes) {
  bytes = element;
  if (std::find(shape.begin(), shape.end(), std::size_t{0}) != shape.end()) bytes = 0;
  for (const std::size_t extent : shape) {
    if (bytes != 0 && extent > (std::numeric_limits<std::size_t>::max)() / bytes) return false;
    bytes *= extent;
  }
  return true;
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
      if (problem == std::errc::result_out_of_range) return fail("this extent does not fit in 64 bits");
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

/// C order from Fortran order: an odometer over the C indices, one source offset that follows it.
inline void transpose_fortran(const std::byte* from, const std::vector<std::size_t>& shape, std::size_t element,
                              std::span<std::byte> to) {
  std::vector<std::size_t> stride(shape.size()), index(shape.size(), 0);
  for (std::size_t i = 0, step = element; i < shape.size(); step *= shape[i++]) stride[i] = step;
  for (std::size_t at = 0, source = 0; at < to.size(); at += element) {
    std::memcpy(to.data() + at, from + source, element);
    for (std::size_t i = shape.size(); i-- > 0;) {
      source += stride[i];
      if (++index[i] < shape[i]) break;
      source -= stride[i] * shape[i];
      index[i] = 0;
    }
  }
}

inline status with_path(const std::filesystem::path& path, const std::string& problem) {
  return status::failure(path.string() + ": " + problem);
}

/// The bytes of a regular file.
inline expected<aligned_buffer> read_file(const std::filesystem::path& path) {
  std::error_code problem;
  const auto kind = std::filesystem::status(path, problem).type();
  if (kind == std::filesystem::file_type::not_found) return with_path(path, "there is no such file");
  if (kind == std::filesystem::file_type::none) return with_path(path, problem.message());
  if (kind != std::filesystem::file_type::regular) return with_path(path, "this is not a regular file");
  const auto size = std::filesystem::file_size(path, problem);
  std::ifstream file(path, std::ios::binary);
  if (problem || !file) return with_path(path, "the file cannot be opened");
  aligned_buffer content(static_cast<std::size_t>(size));
  if (size != 0) file.read(reinterpret_cast<char*>(content.data()), static_cast<std::streamsize>(size));
  if (!file || file.peek() != std::ifstream::traits_type::eof())
    return with_path(path, "reading its " + std::to_string(size) + " bytes failed");
  return content;
}

/// Writes head and body to a temporary neighbour that then takes the name `path`.
inline status write_file(const std::filesystem::path& path, std::string_view head, std::span<const std::byte> body) {
  // The clock and the address of the stack tell threads and processes apart, so two writers never share a temporary.
  const auto ticks = static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  const auto stack = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(&ticks));
  auto temporary = path;
  temporary += "." + std::to_string(ticks) + "-" + std::to_string(stack) + ".partial";
  std::error_code problem;
  {
    std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
    if (!file) return with_path(path, "no file can be made in this folder");
    file.write(head.data(), static_cast<std::streamsize>(head.size()));
    file.write(reinterpret_cast<const char*>(body.data()), static_cast<std::streamsize>(body.size()));
    file.close();
    if (!file) problem = std::make_error_code(std::errc::io_error);
  }
  if (!problem) std::filesystem::rename(temporary, path, problem);
  if (!problem) return {};
  std::error_code ignored;
  std::filesystem::remove(temporary, ignored);
  return with_path(path, "writing failed: " + problem.message());
}

inline status save_npy_bytes(const std::filesystem::path& path, element_type type,
                             const std::vector<std::size_t>& shape, std::span<const std::byte> body) {
  const element_row& row = row_of(type);
  std::size_t bytes = 0;
  if (!data_bytes(shape, row.bytes, bytes) || bytes != body.size())
    return with_path(
        path, "shape " + shape_text(shape) + " does not fit " + std::to_string(body.size() / row.bytes) + " values");
  if (shape.size() > 32) return with_path(path, std::to_string(shape.size()) + " extents are more than 32");
  std::string dictionary = std::string("{'descr': '") + (row.bytes == 1 ? '|' : '<') + std::string(row.kind) +
                           "', 'fortran_order': False, 'shape': " + shape_text(shape) + ", }";
  constexpr std::size_t prefix = 10;
  dictionary.append(round_up(prefix + dictionary.size() + 1, 64) - prefix - dictionary.size() - 1, ' ') += '\n';
  std::string head("\x93NUMPY\x01\x00", 8);
  head += static_cast<char>(dictionary.size() & 0xff);
  head += static_cast<char>(dictionary.size() >> 8);
  return write_file(path, head + dictionary, body);
}

/// The real number of an IEEE binary16 pattern.
inline float value_of_f16(std::uint16_t pattern) {
  const int exponent = (pattern >> 10) & 31;
  const int fraction = pattern & 1023;
  const float sign = pattern >> 15 != 0 ? -1.0f : 1.0f;
  if (exponent == 31)
    return fraction == 0 ? sign * std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
  return sign * (exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                               : std::ldexp(static_cast<float>(fraction + 1024), exponent - 25));
}

/// Calls visit(element) for every element until it returns false, with f16 as float and boolean as std::uint8_t.
template <class Visit>
void for_each_element(const npy_array& array, Visit&& visit) {
  const auto walk = [&]<class Stored>(Stored, auto value_of) {
    for (std::size_t i = 0; i < array.size(); ++i) {
      Stored stored;
      std::memcpy(&stored, array.data.data() + i * sizeof stored, sizeof stored);
      if (!visit(value_of(stored))) return;
    }
  };
  const auto itself = [](auto value) { return value; };
  switch (array.type) {
    case element_type::boolean:
      return walk(std::uint8_t{}, itself);
    case element_type::s8:
      return walk(std::int8_t{}, itself);
    case element_type::u8:
      return walk(std::uint8_t{}, itself);
    case element_type::s16:
      return walk(std::int16_t{}, itself);
    case element_type::u16:
      return walk(std::uint16_t{}, itself);
    case element_type::s32:
      return walk(std::int32_t{}, itself);
    case element_type::u32:
      return walk(std::uint32_t{}, itself);
    case element_type::s64:
      return walk(std::int64_t{}, itself);
    case element_type::u64:
      return walk(std::uint64_t{}, itself);
    case element_type::f16:
      return walk(std::uint16_t{}, value_of_f16);
    case element_type::f32:
      return walk(float{}, itself);
    case element_type::f64:
      return walk(double{}, itself);
  }
}

/// Whether static_cast<To>(value) keeps what `value` says; only f64 -> f32 may round.
template <class To, class From>
bool fits(From value) {
  if constexpr (std::is_integral_v<From> && std::is_integral_v<To>) {
    return std::in_range<To>(value);
  } else if constexpr (std::is_floating_point_v<From> && std::is_floating_point_v<To>) {
    return !std::isfinite(value) || std::isfinite(static_cast<To>(value));
  } else if constexpr (std::is_floating_point_v<From>) {
    // To an integer: 2^digits is exact in From, the integer's own maximum may not be.
    const From end = std::ldexp(From{1}, std::numeric_limits<To>::digits);
    return value == std::trunc(value) && value < end && value >= (std::is_signed_v<To> ? -end : From{0});
  } else {  // integer to float: the significant bits must fit
    std::uint64_t magnitude = static_cast<std::uint64_t>(value);
    if (value < From{0}) magnitude = ~magnitude + 1;
    return magnitude == 0 ||
           static_cast<int>(std::bit_width(magnitude)) - std::countr_zero(magnitude) <= std::numeric_limits<To>::digits;
  }
}

}  // namespace detail

inline std::string_view name(element_type type) { return detail::row_of(type).name; }
inline std::size_t element_bytes(element_type type) { return detail::row_of(type).bytes; }

template <class T>
expected<std::span<const T>> npy_array::try_as() const& {
  if (detail::stored_type<T>() != type)
    return status::failure("the array holds " + std::string(name(type)) + ", not " +
                           std::string(name(detail::stored_type<T>())));
  return std::span<const T>(reinterpret_cast<const T*>(data.data()), size());
}

template <class T>
expected<std::vector<T>> npy_array::try_to() const {
  static_assert(detail::is_stored_v<T> && !std::is_same_v<T, bool>,
                "sparq: npy_array::to converts to integers, float or double; take bool as std::uint8_t");
  std::vector<T> result;
  result.reserve(size());
  std::string problem;
  detail::for_each_element(*this, [&](auto value) {
    if (!detail::fits<T>(value)) {
      problem = "element " + std::to_string(result.size()) + " of " + detail::shape_text(shape) + " is " +
                std::to_string(value) + ", which " + std::string(name(detail::stored_type<T>())) + " cannot hold";
      return false;
    }
    result.push_back(static_cast<T>(value));
    return true;
  });
  if (!problem.empty()) return status::failure(std::move(problem));
  return result;
}

inline expected<npy_array> try_read_npy(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto failure = [](std::size_t offset, const std::string& problem) {
    return status::failure("offset " + std::to_string(offset) + ": " + problem);
  };
  const auto byte_at = [&](std::size_t i) { return std::to_integer<std::size_t>(bytes[i]); };
  if (text.substr(0, 6) != "\x93NUMPY") return failure(0, "the input does not start with \"\\x93NUMPY\"");
  if (text.size() < 8) return failure(6, "the input ends inside the version");
  const std::size_t major = byte_at(6), minor = byte_at(7);
  if (major < 1 || major > 3 || minor != 0)
    return failure(6, "version " + std::to_string(major) + "." + std::to_string(minor) + " is not 1.0, 2.0 or 3.0");
  const std::size_t start = major == 1 ? 10 : 12;
  if (text.size() < start) return failure(8, "the input ends inside the header length");
  std::size_t length = byte_at(8) | byte_at(9) << 8;
  if (major > 1) length |= byte_at(10) << 16 | byte_at(11) << 24;
  if (length > text.size() - start)
    return failure(
        8, "the header of " + std::to_string(length) + " bytes ends behind the input's " + std::to_string(text.size()));
  detail::npy_header header;
  if (status parsed = header.parse(text.substr(start, length), start); !parsed) return parsed;

  const std::size_t element = element_bytes(header.type), offset = start + length;
  const auto body = bytes.subspan(offset);
  const std::string what = "shape " + detail::shape_text(header.shape) + " of " + std::string(name(header.type));
  std::size_t size = 0;
  if (!detail::data_bytes(header.shape, element, size)) return failure(offset, what + " overflows 64 bits");
  if (size != body.size())
    return failure(offset, what + " needs " + std::to_string(size) + " bytes of data, but " +
                               std::to_string(body.size()) + " follow");

  npy_array array{header.type, std::move(header.shape), aligned_buffer(size)};
  if (header.fortran_order && array.shape.size() > 1)
    detail::transpose_fortran(body.data(), array.shape, element, array.data.bytes());
  else if (size != 0)
    std::memcpy(array.data.data(), body.data(), size);
  if (header.big_endian && element > 1)
    for (std::byte* at = array.data.data(); at != array.data.data() + size; at += element)
      std::reverse(at, at + element);
  if (array.type == element_type::boolean)
    for (std::size_t i = 0; i < size; ++i)
      if (array.data.data()[i] > std::byte{1})
        return failure(offset, "element " + std::to_string(i) + " of " + what + " is " +
                                   std::to_string(std::to_integer<int>(array.data.data()[i])) + ", not 0 or 1");
  return array;
}

inline expected<npy_array> try_load_npy(const std::filesystem::path& path) {
  const auto content = detail::read_file(path);
  if (!content) return content.error();
  auto array = try_read_npy(content->bytes());
  if (!array) return detail::with_path(path, array.error().message());
  return array;
}

inline status try_save_npy(const std::filesystem::path& path, const npy_array& array) {
  return detail::save_npy_bytes(path, array.type, array.shape, array.data.bytes());
}

template <class Values>
requires requires(const Values& values) { std::span(values); }
status try_save_npy(const std::filesystem::path& path, const Values& values, const std::vector<std::size_t>& shape) {
  const auto flat = std::span(values);
  using value_type = typename decltype(flat)::value_type;
  return detail::save_npy_bytes(path, detail::stored_type<value_type>(), shape,
                                std::as_bytes(std::span<const value_type>(flat)));
}

}  // namespace sparq
