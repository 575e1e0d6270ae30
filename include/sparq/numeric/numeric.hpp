// SPDX-License-Identifier: MIT
#pragma once
// What makes a tag a numeric type. Formats, codecs and kernels ask for these concepts and never for a closed list of
// types, so a type of your own needs no registration.

#include <sparq/numeric/floating.hpp>
#include <sparq/numeric/integer.hpp>
#include <sparq/numeric/power.hpp>
#include <sparq/numeric/sign.hpp>

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

/// Whether an integer is a code of N: all from min_code to max_code are, unless N has a say (`has_code`).
template <integer_numeric N>
constexpr bool is_code(std::int32_t value) {
  if constexpr (requires { N::has_code(value); })
    return N::has_code(value);
  else
    return value >= N::min_code && value <= N::max_code;
}

/// Whether N can store a pruned weight: 0 is one of its codes.
template <numeric N>
inline constexpr bool has_zero_v = [] {
  if constexpr (integer_numeric<N>)
    return is_code<N>(0);
  else
    return true;
}();

namespace detail {
template <class N, bool HoldsEveryWeight>
struct packed_numeric {
  using type = N;
};
template <class N, bool HoldsEveryWeight>
  requires requires { typename N::packed; }
struct packed_numeric<N, HoldsEveryWeight> {
  using type = typename N::packed;
};
template <class N>
  requires requires { typename N::packed_with_zeros; }
struct packed_numeric<N, false> {
  using type = typename N::packed_with_zeros;
};
}  // namespace detail

/// The numeric type whose codes the packed form holds for weights of N: N itself, or what N names, `packed` or
/// `packed_with_zeros`. So a type may be small in files and plain in kernels, and needs no kernel of its own. All codes
/// of N are codes of the other type.
/// - `HoldsEveryWeight`: the packed form has no slots that N's codes do not fill, and needs no code for 0
template <numeric N, bool HoldsEveryWeight = false>
using packed_numeric_t = typename detail::packed_numeric<N, HoldsEveryWeight>::type;

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
template <>
struct numeric_of<half_float> {
  using type = f16;
};
}  // namespace detail

/// The numeric type of plain arrays of T: int8_t -> s8, uint8_t -> u8, int16_t -> s16, int32_t -> s32,
/// float -> f32, brain_float -> bf16, half_float -> f16.
template <class T>
using numeric_of_t = typename detail::numeric_of<T>::type;

}  // namespace sparq
