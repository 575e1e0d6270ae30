// SPDX-License-Identifier: MIT
#include <sparq/base/math.hpp>

#include "tests/support/catch.hpp"

#include <cstddef>
#include <limits>

TEST_CASE("math: ceil_div is the number of groups of b that cover a") {
  for (std::size_t a = 0; a < 70; ++a) {
    for (std::size_t b = 1; b < 20; ++b) {
      std::size_t groups = 0;
      while (groups * b < a) ++groups;
      INFO("a " << a << ", b " << b);
      CHECK(sparq::ceil_div(a, b) == groups);
    }
  }
}

TEST_CASE("math: ceil_div does not overflow at the largest extent") {
  constexpr std::size_t largest = std::numeric_limits<std::size_t>::max();
  CHECK(sparq::ceil_div(largest, 1) == largest);
  CHECK(sparq::ceil_div(largest, 2) == largest / 2 + 1);
  CHECK(sparq::ceil_div(largest, largest) == 1);
}

TEST_CASE("math: a product is recognized, also where it does not fit") {
  constexpr std::size_t half = std::size_t{1} << (std::numeric_limits<std::size_t>::digits / 2);
  static_assert(sparq::is_product(12, 3, 4) && sparq::is_product(0, 5, 0) && sparq::is_product(0, 0, 5));
  CHECK_FALSE(sparq::is_product(12, 4, 4));
  CHECK_FALSE(sparq::is_product(13, 3, 4));
  CHECK_FALSE(sparq::is_product(5, 5, 0));
  CHECK_FALSE(sparq::is_product(0, half, half));  // which wraps to 0
}

TEST_CASE("math: round_up is the nearest multiple from above, at compile time too") {
  static_assert(sparq::round_up(0, 16) == 0);
  static_assert(sparq::round_up(64, 64) == 64);
  for (std::size_t a = 0; a < 70; ++a) {
    for (std::size_t b = 1; b < 20; ++b) {
      const std::size_t r = sparq::round_up(a, b);
      INFO("a " << a << ", b " << b);
      CHECK(r % b == 0);
      CHECK(r >= a);
      CHECK(r - a < b);
    }
  }
}
