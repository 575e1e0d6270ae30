// SPDX-License-Identifier: MIT
#pragma once
// Integer arithmetic on extents that every layer needs.

#include <cstddef>

namespace sparq {

/// ceil(a / b). @pre b > 0
constexpr std::size_t ceil_div(std::size_t a, std::size_t b) { return a / b + (a % b != 0); }

/// The smallest multiple of b that is not less than a. @pre b > 0
constexpr std::size_t round_up(std::size_t a, std::size_t b) { return ceil_div(a, b) * b; }

}  // namespace sparq
