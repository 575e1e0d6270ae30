// SPDX-License-Identifier: MIT
#pragma once
// Codes that are little more than a sign: ternary {-1, 0, 1} and binary {-1, 1}.
//
//   ternary          codes [1 -1 0 1]        byte  0x4D    2 bits each, two's complement, the first in the low bits
//   ternary_dense5   codes [1 -1 0 1 -1]     byte  196     digits [1 2 0 1 2] to base 3: 1 + 2*3 + 0*9 + 1*27 + 2*81
//   binary           codes [1 -1 -1 1]       byte  0x06    the sign bit of each, the first in the low bit

#include <sparq/numeric/integer.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sparq {

/// -1, 0 and 1, stored as s2 stores them.
struct ternary : detail::integer_codes<std::int8_t, 2, -1, 1> {
  static constexpr packing_order order = packing_order::low_first;
  static constexpr std::string_view name = "ternary";
};

/// -1, 0 and 1, five to a byte (1.6 bits each) for storage; kernels hold them as ternary. A byte is a number of five
/// digits to base 3, the first code the least significant; a digit is the code modulo 3: 0, 1, and 2 for -1. Digits
/// behind the last code are 0. Bytes above 242 are never written.
struct ternary_dense5 : detail::integer_codes<std::int8_t, 2, -1, 1> {  // bits are rounded up
  using packed = ternary;
  static constexpr packing_order order = packing_order::low_first;
  static constexpr std::string_view name = "ternary_dense5";

  static constexpr std::size_t codes_per_byte = 5;
  /// Code number `at` of a byte. @pre at < 5
  static constexpr code load(std::uint8_t byte, std::size_t at) { return codes_of_byte[byte][at]; }
  /// The byte with another code at that place.
  static constexpr std::uint8_t store(std::uint8_t byte, std::size_t at, code value) {
    constexpr int place[] = {1, 3, 9, 27, 81};
    const int change = digit(value) - digit(load(byte, at));
    return static_cast<std::uint8_t>(byte + change * place[at]);
  }

 private:
  static constexpr int digit(int value) { return value < 0 ? 2 : value; }
  static constexpr std::array<std::array<code, 5>, 256> codes_of_byte = [] {
    std::array<std::array<code, 5>, 256> table{};
    for (int byte = 0; byte < 256; ++byte)
      for (int at = 0, rest = byte; at < 5; ++at, rest /= 3)
        table[static_cast<std::size_t>(byte)][static_cast<std::size_t>(at)] =
            static_cast<code>(rest % 3 == 2 ? -1 : rest % 3);
    return table;
  }();
};

/// -1 and 1. The bit is the sign: 0 for 1, 1 for -1 (as Larq stores it; GGUF's Q1_0 has it the other way round). There
/// is no code for 0: where the packed form needs one, it holds ternary.
struct binary : detail::integer_codes<std::int8_t, 1, -1, 1> {
  using packed_with_zeros = ternary;
  static constexpr packing_order order = packing_order::low_first;
  static constexpr std::string_view name = "binary";

  static constexpr bool has_code(std::int32_t value) { return value == -1 || value == 1; }
  static constexpr unsigned to_bits(code value) { return value < 0 ? 1U : 0U; }
  static constexpr code from_bits(unsigned stored) { return static_cast<code>(1 - 2 * static_cast<int>(stored)); }

  /// Scales are mean |w|, which is the least squares fit.
  static constexpr bool scale_is_mean = true;
  /// The sign; that of 0 is +.
  static constexpr code nearest(float steps) { return steps < 0 ? code{-1} : code{1}; }
};

}  // namespace sparq
