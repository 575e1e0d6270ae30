// SPDX-License-Identifier: MIT
#pragma once
// bf16 operands whose products test what vdpbf16ps does with denormal numbers, infinities and zeros.

#include <sparq/numeric/floating.hpp>

#include "tests/support/random.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace sparq_test {

enum class float_style { plain, tiny, edge, special };

/// plain: around 1; tiny: products around 2^-126; edge: sums of 2^-126 and what rounds to it or not; special: any bits,
/// zeros, denormal numbers, infinities and NaN often.
inline sparq::brain_float random_brain_float(float_style style, random_source& random) {
  sparq::brain_float value;
  const auto bits = [](std::size_t b) { return static_cast<std::uint16_t>(b); };
  if (style == float_style::plain) return sparq::brain_float(random.real(-1.0F, 1.0F));
  if (style == float_style::tiny) {
    value.bits = bits(random.below(2) << 15 | (127 - 66 + random.below(6)) << 7 | random.below(128));
    return value;
  }
  static constexpr std::uint16_t edges[] = {0x0080, 0x8080, 0x0080, 0x3f80, 0x3f80, 0xb2ff, 0xb300, 0xb301, 0x3300};
  if (style == float_style::edge) {
    value.bits = random.pick(edges);
    return value;
  }
  static constexpr std::uint16_t specials[] = {0,    0x8000, 1,      0x8001, 0x7f,  0x807f,
                                               0x80, 0x8080, 0x3f80, 0x7f7f, 0xff7f};
  value.bits = random.chance(0.5) ? random.pick(specials) : bits(random.below(0x10000));
  if ((value.bits & 0x7f80) == 0x7f80 && random.chance(0.95)) value.bits = 0x4000;  // otherwise all sums are NaN soon
  return value;
}

/// The same bits, or both NaN: of those the payload depends on the order of operands.
inline bool same_float(float a, float b) {
  return (a != a && b != b) || std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

}  // namespace sparq_test
