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
#include <sparq/io/file.hpp>
#include <sparq/io/npy_header.hpp>
#include <sparq/numeric/floating.hpp>
#include <sparq/numeric/number_text.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace sparq {

static_assert(std::endian::native == std::endian::little,
              "sparq: stored arrays are little-endian; big-endian machines are not supported");

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

inline status save_npy_bytes(const std::filesystem::path& path, element_type type,
                             const std::vector<std::size_t>& shape, std::span<const std::byte> body) {
  const element_row& row = row_of(type);
  std::size_t bytes = 0;
  if (!data_bytes(shape, row.bytes, bytes) || bytes != body.size())
    return with_path(
        path, "shape " + shape_text(shape) + " does not fit " + std::to_string(body.size() / row.bytes) + " values");
  if (shape.size() > 32) return with_path(path, std::to_string(shape.size()) + " extents are more than 32");
  return write_file(path, npy_header_text(type, shape), body);
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
      return walk(std::uint16_t{}, [](std::uint16_t bits) {
        half_float value;
        value.bits = bits;
        return static_cast<float>(value);
      });
    case element_type::f32:
      return walk(float{}, itself);
    case element_type::f64:
      return walk(double{}, itself);
  }
}

template <class T>
std::string value_text(T value) {
  if constexpr (std::is_floating_point_v<T>)
    return number_text(value);
  else
    return std::to_string(value);
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
                detail::value_text(value) + ", which " + std::string(name(detail::stored_type<T>())) + " cannot hold";
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
  if (!detail::data_bytes(header.shape, element, size))
    return failure(offset, what + " overflows " + std::to_string(8 * sizeof(std::size_t)) + " bits");
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
