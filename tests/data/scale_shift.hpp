// SPDX-License-Identifier: MIT
#pragma once
// Integer sums, scaled and shifted: what cases of matrix products and of convolutions have in common.

#include "tests/data/operands.hpp"

namespace cases {

template <class X>
void compare_scale_shift_of(const neutral_case& one, verdict& v) {
  const auto p = product_of<X, std::int8_t>(one);
  v.compare("accumulators", sums_of_s4(p, 0));
  v.compare("output", floor_shift_s4(p, floor_shift_codes_of(one)));
  const std::string y_type = one.expected("output").logical_type;
  if (y_type.empty()) return;
  v.compare("output",
            floor_shift_narrow(p, one.input("input").logical_type, one.input("weights").logical_type, y_type,
                               floor_shift_codes_of(one)),
            "narrow");
}

/// The sums of a case, of X in u8 or s8, and what they are scaled and shifted to.
inline void compare_scale_shift(const neutral_case& one, verdict& v) {
  if (holds(one.input("input"), sparq::element_type::u8))
    compare_scale_shift_of<std::uint8_t>(one, v);
  else
    compare_scale_shift_of<std::int8_t>(one, v);
}

}  // namespace cases
