// SPDX-License-Identifier: MIT
#pragma once
// Blocks of four-bit floats as GGUF files hold them (gguf_blocks.hpp has the functions on whole rows).
//
//   type   elements  bytes  stored                          a number is
//   mxfp4     32      17    a power of two, 16 bytes        e2m1[q] 2^(e - 127)
//   nvfp4     64      36    four ue4m3 scales, 32 bytes     e2m1[q] scale of its 16 elements

#include <sparq/io/gguf_blocks.hpp>
#include <sparq/numeric/codebook.hpp>
#include <sparq/numeric/scale_codes.hpp>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sparq::gguf {

// ---- scales ---------------------------------------------------------------------------------------------------------

/// Half of 2^(e - 127), the power of two that an e8m0 byte stands for: 2^(e - 128), exact.
inline float half_of_e8m0(std::uint8_t e) {
  return e == 0 ? 0x1p-128F : e8m0::decode(static_cast<std::uint8_t>(e - 1));
}
/// Half of what a ue4m3 byte stands for; 0x7f, which is NaN elsewhere, is 0.
inline float half_of_ue4m3(std::uint8_t code) { return code == 0x7F ? 0.0F : 0.5F * ue4m3::decode(code); }
/// The nearest ue4m3, ties up, as ggml computes it: at most 0x7e, 0 for what is not positive. Unlike ue4m3::encode it
/// writes everything from 0x78 on as 0x7e, and no 0x08 for what is rounded up to it.
inline std::uint8_t to_ue4m3(float x) {
  if (!(x > 0.0F)) return 0;
  if (x > 448.0F) x = 448.0F;
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const int exponent = static_cast<int>(bits >> 23) - 120;
  if (exponent <= 0) {
    const int steps = static_cast<int>(x * 512.0F + 0.5F);  // a product by a power of two is exact
    return static_cast<std::uint8_t>(steps > 7 ? 7 : steps);
  }
  const std::uint32_t code = (static_cast<std::uint32_t>(exponent) << 3) + (bits >> 20 & 7U) + (bits >> 19 & 1U);
  return static_cast<std::uint8_t>(exponent >= 15 || code >= 15U << 3 ? 0x7EU : code);
}

namespace detail {

/// The first of the nearest values of e2m1, doubled, times d.
inline unsigned nearest_e2m1(float x, float d) {
  unsigned best = 0;
  float error = std::fabs(x);
  for (unsigned q = 1; q < 16; ++q) {
    const float other = std::fabs(rounded(static_cast<float>(e2m1_doubled[q]) * d) - x);
    if (other < error) {
      best = q;
      error = other;
    }
  }
  return best;
}

/// 2 Half numbers in Half bytes: element j in the low nibbles, j + Half in the high ones.
template <std::size_t Half>
void load_e2m1(const std::byte* bytes, float d, float* x) {
  for (std::size_t j = 0; j < 2 * Half; ++j)
    x[j] = static_cast<float>(e2m1_doubled[get(bytes, j % Half) >> (j < Half ? 0 : 4) & 15U]) * d;
}
template <std::size_t Half>
void store_e2m1(std::byte* bytes, float d, const float* x) {
  for (std::size_t j = 0; j < Half; ++j) put(bytes, j, nearest_e2m1(x[j], d) | nearest_e2m1(x[j + Half], d) << 4);
}

}  // namespace detail

// ---- block types ----------------------------------------------------------------------------------------------------

/// The scale is the power of two that brings the largest magnitude into [4, 8); the largest code stands for 6.
struct mxfp4 {
  static constexpr std::string_view name = "mxfp4";
  static constexpr std::uint32_t id = 39;
  static constexpr std::size_t elements = 32, bytes = 17;

  static void dequantize(const std::byte* block, float* x) {
    detail::load_e2m1<16>(block + 1, half_of_e8m0(std::to_integer<std::uint8_t>(block[0])), x);
  }
  static void quantize(const float* x, std::byte* block) {
    const float most = detail::largest_magnitude({x, 32});
    const float e = most > 0.0F ? std::floor(std::log2(most)) + 125.0F : 0.0F;
    const auto exponent = static_cast<std::uint8_t>(e < 0.0F ? 0.0F : e);
    block[0] = std::byte{exponent};
    detail::store_e2m1<16>(block + 1, half_of_e8m0(exponent), x);
  }
};

/// The scale of 16 elements is their largest magnitude / 6, as ue4m3.
struct nvfp4 {
  static constexpr std::string_view name = "nvfp4";
  static constexpr std::uint32_t id = 40;
  static constexpr std::size_t elements = 64, bytes = 36;

  static void dequantize(const std::byte* block, float* x) {
    for (std::size_t s = 0; s < 4; ++s)
      detail::load_e2m1<8>(block + 4 + 8 * s, half_of_ue4m3(std::to_integer<std::uint8_t>(block[s])), x + 16 * s);
  }
  static void quantize(const float* x, std::byte* block) {
    for (std::size_t s = 0; s < 4; ++s, x += 16) {
      const std::uint8_t code = to_ue4m3(detail::largest_magnitude({x, 16}) / 6.0F);
      block[s] = std::byte{code};
      detail::store_e2m1<8>(block + 4 + 8 * s, half_of_ue4m3(code), x);
    }
  }
};

}  // namespace sparq::gguf
