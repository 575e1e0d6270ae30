// SPDX-License-Identifier: MIT
#pragma once
// Integer arithmetic on extents that every layer needs.

#include <cstddef>

namespace sparq {

/// ceil(a / b). @pre b > 0
constexpr std::size_t ceil_div(std::size_t a, std::size_t b) { return a / b + (a % b != 0); }

/// The smallest multiple of b that is not less than a. @pre b > 0
constexpr std::size_t round_up(std::size_t a, std::size_t b) { return ceil_div(a, b) * b; }

/// Whether value = a b, also where the product does not fit in std::size_t.
constexpr bool is_product(std::size_t value, std::size_t a, std::size_t b) {
  return b == 0 ? value == 0 : value % b == 0 && value / b == a;
}

}  // namespace sparq
