// SPDX-License-Identifier: MIT
#pragma once
// Blocks of integers as GGUF files hold them (gguf_blocks.hpp has the functions on whole rows).
//
//   type           elements  bytes  stored                                       a number is
//   q4_0  q5_0        32     18 22  d, 16 bytes (, 32 fifth bits)                (q - 8) d, (q - 16) d
//   q4_1  q5_1        32     20 24  d, m, 16 bytes (, 32 fifth bits)             q d + m
//   q8_0  q8_1        32     34 36  d (, d * sum of q), 32 signed bytes          q d
//   q1_0             128     18     d, one bit each                              d or -d
//   q2_0              64     18     d, two bits each                             (q - 1) d
//   tq1_0            256     54     five ternary digits a byte, d at the end     (q - 1) d
//   tq2_0            256     66     two bits each, d at the end                  (q - 1) d
//
// d and m are binary16, little-endian. 16 bytes of 4-bit codes hold element j in the low and j + 16 in the high
// nibbles. Quantizing divides by the unrounded d, as ggml's reference does (its x86 functions do not, and differ in
// places). `id` is what a file calls the type.

#include <sparq/io/gguf_blocks.hpp>
#include <sparq/numeric/floating.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace sparq::gguf {

namespace detail {

inline float load_half(const std::byte* p) {
  half_float h;
  std::memcpy(&h.bits, p, 2);
  return h;
}
inline void store_half(std::byte* p, float value) {
  const half_float h(value);
  std::memcpy(p, &h.bits, 2);
}

/// 1 / d, or 0 where that is no number: of 0 and of what is too small for binary16 anyway.
inline float inverse(float d) {
  const float id = d != 0.0F ? 1.0F / d : 0.0F;
  return is_finite(id) ? id : 0.0F;
}

/// The number with the largest magnitude, the first of equals.
inline float farthest(const float* x, std::size_t count) {
  float most = 0, value = 0;
  for (std::size_t i = 0; i < count; ++i)
    if (most < std::fabs(x[i])) {
      most = std::fabs(x[i]);
      value = x[i];
    }
  return value;
}
struct bounds {
  float least, most;
};
inline bounds bounds_of(const float* x, std::size_t count) {
  bounds b{x[0], x[0]};
  for (std::size_t i = 1; i < count; ++i) {
    b.least = x[i] < b.least ? x[i] : b.least;
    b.most = x[i] > b.most ? x[i] : b.most;
  }
  return b;
}

/// -1, 0 or 1 as 0, 1 or 2.
inline unsigned ternary_code(float x, float id) { return static_cast<unsigned>(std::lround(x * id) + 1); }

/// 4 or 5 bits, with a minimum (q d + m) or around a middle ((q - 2^(Bits - 1)) d).
template <int Bits, bool HasMinimum>
struct half_split {
  static constexpr std::size_t elements = 32;
  static constexpr std::size_t header = HasMinimum ? 4 : 2;
  static constexpr std::size_t codes_at = header + (Bits == 5 ? 4 : 0);
  static constexpr std::size_t bytes = codes_at + 16;
  static constexpr int most = (1 << Bits) - 1;

  static void dequantize(const std::byte* block, float* x) {
    const float d = load_half(block), m = HasMinimum ? load_half(block + 2) : 0.0F;
    std::uint32_t fifth = 0;
    if constexpr (Bits == 5) std::memcpy(&fifth, block + header, 4);
    for (std::size_t j = 0; j < 32; ++j) {
      unsigned q = get(block, codes_at + j % 16) >> (j < 16 ? 0 : 4) & 15U;
      if constexpr (Bits == 5) q |= (fifth >> j & 1U) << 4;
      if constexpr (HasMinimum)
        x[j] = rounded(static_cast<float>(q) * d) + m;
      else
        x[j] = static_cast<float>(static_cast<int>(q) - (1 << (Bits - 1))) * d;
    }
  }
  static void quantize(const float* x, std::byte* block) {
    float d = 0, least = 0;
    if constexpr (HasMinimum) {
      const bounds b = bounds_of(x, 32);
      least = b.least;
      d = (b.most - b.least) / static_cast<float>(most);
      store_half(block + 2, least);
    } else {
      d = farthest(x, 32) / static_cast<float>(-(1 << (Bits - 1)));
    }
    const float id = inverse(d), half = HasMinimum ? 0.5F : static_cast<float>(1 << (Bits - 1)) + 0.5F;
    store_half(block, d);
    unsigned codes[32];
    std::uint32_t fifth = 0;
    for (std::size_t j = 0; j < 32; ++j) {
      const float q = rounded((x[j] - least) * id) + half;
      codes[j] = static_cast<unsigned>(q < static_cast<float>(most) ? static_cast<int>(q) : most);
      fifth |= (codes[j] >> 4) << j;
    }
    if constexpr (Bits == 5) std::memcpy(block + header, &fifth, 4);
    for (std::size_t j = 0; j < 16; ++j) put(block, codes_at + j, (codes[j] & 15U) | (codes[j + 16] & 15U) << 4);
  }
};

/// Signed bytes, with or without their sum.
template <bool HasSum>
struct signed_bytes {
  static constexpr std::size_t elements = 32;
  static constexpr std::size_t codes_at = HasSum ? 4 : 2;
  static constexpr std::size_t bytes = codes_at + 32;

  static void dequantize(const std::byte* block, float* x) {
    const float d = load_half(block);
    for (std::size_t j = 0; j < 32; ++j)
      x[j] = static_cast<float>(static_cast<std::int8_t>(get(block, codes_at + j))) * d;
  }
  static void quantize(const float* x, std::byte* block) {
    const float d = largest_magnitude({x, 32}) / 127.0F, id = inverse(d);
    store_half(block, d);
    int sum = 0;
    for (std::size_t j = 0; j < 32; ++j) {
      const int q = static_cast<int>(std::lround(x[j] * id));
      put(block, codes_at + j, static_cast<unsigned>(q));
      sum += q;
    }
    if constexpr (HasSum) store_half(block + 2, static_cast<float>(sum) * d);
  }
};

/// The element of code i of byte b.
constexpr std::size_t neighbours(std::size_t b, std::size_t i) { return 4 * b + i; }
constexpr std::size_t quarters_of_128(std::size_t b, std::size_t i) { return b / 32 * 128 + i * 32 + b % 32; }

/// Codes of two bits, four in a byte: that at bits 2 i of byte b belongs to ElementOf(b, i).
/// - `ScaleAt`, `CodesAt`: bytes of the block where d and the codes start
template <std::size_t Elements, std::size_t ScaleAt, std::size_t CodesAt, auto ElementOf>
struct two_bit_codes {
  static constexpr std::size_t elements = Elements;
  static constexpr std::size_t bytes = Elements / 4 + 2;

  static void dequantize(const std::byte* block, float* x) {
    const float d = load_half(block + ScaleAt);
    for (std::size_t b = 0; b < Elements / 4; ++b)
      for (std::size_t i = 0; i < 4; ++i)
        x[ElementOf(b, i)] = static_cast<float>(static_cast<int>(get(block, CodesAt + b) >> 2 * i & 3U) - 1) * d;
  }
  static void quantize(const float* x, std::byte* block) {
    const float d = largest_magnitude({x, Elements}), id = inverse(d);
    store_half(block + ScaleAt, d);
    for (std::size_t b = 0; b < Elements / 4; ++b) {
      unsigned byte = 0;
      for (std::size_t i = 0; i < 4; ++i) byte |= ternary_code(x[ElementOf(b, i)], id) << 2 * i;
      put(block, CodesAt + b, byte);
    }
  }
};

}  // namespace detail

// ---- block types ----------------------------------------------------------------------------------------------------

/// 32 codes of 4 or 5 bits; sizes and formulas of all types are in the table above.
struct q4_0 : detail::half_split<4, false> {
  static constexpr std::string_view name = "q4_0";
  static constexpr std::uint32_t id = 2;
};
struct q4_1 : detail::half_split<4, true> {
  static constexpr std::string_view name = "q4_1";
  static constexpr std::uint32_t id = 3;
};
struct q5_0 : detail::half_split<5, false> {
  static constexpr std::string_view name = "q5_0";
  static constexpr std::uint32_t id = 6;
};
struct q5_1 : detail::half_split<5, true> {
  static constexpr std::string_view name = "q5_1";
  static constexpr std::uint32_t id = 7;
};
/// 32 signed bytes; d is the largest magnitude / 127.
struct q8_0 : detail::signed_bytes<false> {
  static constexpr std::string_view name = "q8_0";
  static constexpr std::uint32_t id = 8;
};
/// The same, and d times their sum, which is infinite where that is beyond binary16, as in ggml.
struct q8_1 : detail::signed_bytes<true> {
  static constexpr std::string_view name = "q8_1";
  static constexpr std::uint32_t id = 9;
};

/// Signs alone: d is the mean magnitude, a 0 is positive.
struct q1_0 {
  static constexpr std::string_view name = "q1_0";
  static constexpr std::uint32_t id = 41;
  static constexpr std::size_t elements = 128, bytes = 18;

  static void dequantize(const std::byte* block, float* x) {
    const float d = detail::load_half(block);
    for (std::size_t j = 0; j < 128; ++j) x[j] = (detail::get(block, 2 + j / 8) >> j % 8 & 1U) != 0 ? d : -d;
  }
  static void quantize(const float* x, std::byte* block) {
    float sum = 0;
    for (std::size_t j = 0; j < 128; ++j) sum += std::fabs(x[j]);
    detail::store_half(block, sum / 128.0F);
    for (std::size_t b = 0; b < 16; ++b) {
      unsigned byte = 0;
      for (std::size_t j = 0; j < 8; ++j) byte |= (x[8 * b + j] >= 0.0F ? 1U : 0U) << j;
      detail::put(block, 2 + b, byte);
    }
  }
};

/// Two bits: -d, 0, d; 2 d is read, never written. Byte b holds elements 4 b to 4 b + 3.
struct q2_0 : detail::two_bit_codes<64, 0, 2, detail::neighbours> {
  static constexpr std::string_view name = "q2_0";
  static constexpr std::uint32_t id = 42;
};

/// Ternary digits, five in a byte, as a fraction in base 3.
struct tq1_0 {
  static constexpr std::string_view name = "tq1_0";
  static constexpr std::uint32_t id = 34;
  static constexpr std::size_t elements = 256, bytes = 54;

  static void dequantize(const std::byte* block, float* x) {
    const float d = detail::load_half(block + 52);
    for_each_byte([&](std::size_t byte, std::size_t first, std::size_t step, std::size_t digits) {
      unsigned rest = detail::get(block, byte);  // the digits of a fraction in base 3, the first at the top
      for (std::size_t n = 0; n < digits; ++n, rest = rest * 3 & 255U)
        x[first + n * step] = static_cast<float>(static_cast<int>(rest * 3 >> 8) - 1) * d;
    });
  }
  static void quantize(const float* x, std::byte* block) {
    const float d = detail::largest_magnitude({x, 256}), id_of_d = detail::inverse(d);
    for_each_byte([&](std::size_t byte, std::size_t first, std::size_t step, std::size_t digits) {
      unsigned value = 0;
      for (std::size_t n = 0; n < 5; ++n)
        value = value * 3 + (n < digits ? detail::ternary_code(x[first + n * step], id_of_d) : 0U);
      detail::put(block, byte, (value * 256 + 242) / 243);  // rounded up, so that the digits come back
    });
    detail::store_half(block + 52, d);
  }

 private:
  /// f(byte, its first element, elements from one digit to the next, digits): 32 bytes, 16 bytes, 4 bytes.
  template <class F>
  static void for_each_byte(F&& f) {
    for (std::size_t m = 0; m < 32; ++m) f(m, m, 32, 5);
    for (std::size_t m = 0; m < 16; ++m) f(32 + m, 160 + m, 16, 5);
    for (std::size_t m = 0; m < 4; ++m) f(48 + m, 240 + m, 4, 4);
  }
};

/// The same codes, 128 at a time: byte m holds elements m, 32 + m, 64 + m and 96 + m.
struct tq2_0 : detail::two_bit_codes<256, 64, 0, detail::quarters_of_128> {
  static constexpr std::string_view name = "tq2_0";
  static constexpr std::uint32_t id = 35;
};

}  // namespace sparq::gguf
