// SPDX-License-Identifier: MIT
#pragma once
// Scales stored in one byte: powers of two (e8m0, the shared exponents of the MX formats) and floats of seven bits
// (ue4m3, NVFP4). Tensors hold scales as floats, and each of these is one exactly.
//
//   e8m0     eeeeeeee    2^(e - 127); 255 is NaN
//   ue4m3    -eeeefff    (1 + f / 8) 2^(e - 7), f 2^-9 where e is 0; 0x7f is NaN
//
// A power of two is also what makes a requantization a shift: power_of_two_scale.

#include <sparq/base/error.hpp>
#include <sparq/numeric/number_text.hpp>
#include <sparq/numeric/rounding.hpp>

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sparq {

/// Powers of two from 2^-127 to 2^127. Source: OCP Microscaling Formats 1.0, 5.4.1.
struct e8m0 {
  static constexpr std::string_view name = "e8m0";
  static constexpr bool is_code(std::uint8_t code) { return code != 255; }
  /// Exact. @pre is_code(code)
  static constexpr float decode(std::uint8_t code) {
    return std::bit_cast<float>(code == 0 ? 0x00400000U : static_cast<std::uint32_t>(code) << 23);
  }
  /// The least power of two that is not less than `scale`, so that nothing saturates that did not; at most 2^127.
  /// @pre scale > 0
  static constexpr std::uint8_t encode(float scale) {
    const int exponent = ceil_log2(static_cast<double>(scale));
    return static_cast<std::uint8_t>(exponent < -127 ? 0 : exponent > 127 ? 254 : exponent + 127);
  }
};

/// Floats without sign from 2^-9 to 448, and 0. Source: OCP 8-bit Floating Point 1.0, E4M3; its sign bit is 0.
struct ue4m3 {
  static constexpr std::string_view name = "ue4m3";
  static constexpr bool is_code(std::uint8_t code) { return code < 0x7F; }
  /// Exact. @pre is_code(code)
  static constexpr float decode(std::uint8_t code) {
    const std::uint32_t magnitude = code & 0x7FU;
    if (magnitude < 8) return static_cast<float>(magnitude) * 0x1p-9F;
    return std::bit_cast<float>((magnitude << 20) + (120U << 23));
  }
  /// The nearest, ties to even, at most 448. @pre scale is not negative, not NaN
  static constexpr std::uint8_t encode(float scale) {
    if (scale >= 448.0F) return 0x7E;
    if (scale < 0x1p-6F) return static_cast<std::uint8_t>(round_half_even(scale * 512.0F));  // 8 is the code of 2^-6
    const auto bits = std::bit_cast<std::uint32_t>(scale);
    return static_cast<std::uint8_t>(((bits + 0x7FFFFU + (bits >> 20 & 1U)) >> 20) - (120U << 3));
  }
};

/// A byte that stands for a scale.
template <class T>
concept scale_code = requires(std::uint8_t code, float scale) {
  { T::name } -> std::convertible_to<std::string_view>;
  { T::is_code(code) } -> std::same_as<bool>;
  { T::decode(code) } -> std::same_as<float>;
  { T::encode(scale) } -> std::same_as<std::uint8_t>;
};

/// The least power of two that is not less than `scale`, from 2^-126 to 2^127: for the scale that choose_scales or
/// Glow's schemas would take (numeric/quantization_schema.hpp rounds up in the same way).
/// @pre scale is positive and finite
constexpr float power_of_two_scale(float scale) {
  const std::uint8_t code = e8m0::encode(scale);
  return e8m0::decode(code == 0 ? 1 : code);
}

/// The scales of a tensor from bytes, in their order, each times `factor`: 0.5 where weights are doubled
/// (e2m1_doubled), the scale of a whole tensor where it has one beside those of its groups.
/// A scale of 0, which ue4m3 has, stays 0; tensors refuse it: a group of zeros has codes of 0 and any other scale.
/// Errors: the first byte that is NaN or no code. Allocates the result. O(bytes).
template <scale_code Code>
expected<std::vector<float>> try_decode_scales(std::span<const std::byte> bytes, float factor = 1.0F) {
  std::vector<float> scales(bytes.size());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto code = std::to_integer<std::uint8_t>(bytes[i]);
    if (!Code::is_code(code))
      return status::failure("decode_scales: scale " + std::to_string(i) + " is byte " + std::to_string(code) +
                             ", no number in " + std::string(Code::name));
    scales[i] = Code::decode(code) * factor;
  }
  return scales;
}

/// Bytes of scales, each rounded as Code::encode says; decode them and quantize by the result. ue4m3 makes 0 of a scale
/// up to 2^-10: all weights of its group are 0 then.
/// Errors: the first scale that is not positive and finite. Allocates the result. O(scales).
template <scale_code Code>
expected<std::vector<std::byte>> try_encode_scales(std::span<const float> scales) {
  std::vector<std::byte> bytes(scales.size());
  for (std::size_t i = 0; i < scales.size(); ++i) {
    if (!(scales[i] > 0.0F) || !is_finite(scales[i]))
      return status::failure("encode_scales: scale " + std::to_string(i) + " is " + number_text(scales[i]) +
                             "; scales are positive and finite");
    bytes[i] = std::byte{Code::encode(scales[i])};
  }
  return bytes;
}

/// Throwing twins.
template <scale_code Code>
std::vector<float> decode_scales(std::span<const std::byte> bytes, float factor = 1.0F) {
  return try_decode_scales<Code>(bytes, factor).value();
}
template <scale_code Code>
std::vector<std::byte> encode_scales(std::span<const float> scales) {
  return try_encode_scales<Code>(scales).value();
}

}  // namespace sparq
