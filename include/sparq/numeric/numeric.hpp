// SPDX-License-Identifier: MIT
#pragma once
// What makes a tag a numeric type. Formats, codecs and kernels ask for these concepts and never for a closed list of
// types, so a type of your own needs no registration.

#include <sparq/numeric/floating.hpp>
#include <sparq/numeric/integer.hpp>

#include <concepts>
#include <cstdint>
#include <string_view>

namespace sparq {

/// Says how codes share a byte; needed below 8 bits.
template <class T>
concept has_packing_order = requires {
  { T::order } -> std::convertible_to<packing_order>;
};

/// A tag that names the C++ type of one code and the bits that it takes in packed memory.
template <class T>
concept numeric = requires {
  typename T::code;
  { T::bits } -> std::convertible_to<int>;
  { T::is_integer } -> std::convertible_to<bool>;
  { T::is_signed } -> std::convertible_to<bool>;
  { T::name } -> std::convertible_to<std::string_view>;
  requires T::bits >= 8 || has_packing_order<T>;
};

/// A numeric type whose codes are the integers from min_code to max_code.
template <class T>
concept integer_numeric = numeric<T> && T::is_integer && std::integral<typename T::code> && requires {
  { T::min_code } -> std::convertible_to<std::int32_t>;
  { T::max_code } -> std::convertible_to<std::int32_t>;
};

namespace detail {
template <class T>
struct numeric_of;
template <>
struct numeric_of<std::int8_t> {
  using type = s8;
};
template <>
struct numeric_of<std::uint8_t> {
  using type = u8;
};
template <>
struct numeric_of<std::int16_t> {
  using type = s16;
};
template <>
struct numeric_of<std::int32_t> {
  using type = s32;
};
template <>
struct numeric_of<float> {
  using type = f32;
};
template <>
struct numeric_of<brain_float> {
  using type = bf16;
};
}  // namespace detail

/// The numeric type of plain arrays of T: int8_t -> s8, uint8_t -> u8, int16_t -> s16, int32_t -> s32,
/// float -> f32, brain_float -> bf16.
template <class T>
using numeric_of_t = typename detail::numeric_of<T>::type;

}  // namespace sparq
