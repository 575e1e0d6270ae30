// SPDX-License-Identifier: MIT
#include "examples/explore/break_even.hpp"

#include "tests/support/catch.hpp"

#include <cmath>

using explore::find_crossing;

TEST_CASE("break_even: a format whose time is proportional to what it keeps crosses where that is exact") {
  // 0.6 of dense speed at density 1, so equal at density 0.6.
  const auto speed = [](double sparsity) { return explore::speed_point{sparsity, 0.6 / (1 - sparsity)}; };
  const auto found = find_crossing({speed(0.75), speed(0.25), speed(0.5)});  // order does not matter
  REQUIRE(found.sparsity.has_value());
  CHECK(*found.sparsity == Approx(0.4));
  CHECK_FALSE(found.at_most);
}

TEST_CASE("break_even: a format that is never ahead has none") {
  CHECK_FALSE(find_crossing({{0.5, 0.8}, {0.9, 0.99}}).sparsity.has_value());
  CHECK_FALSE(find_crossing({}).sparsity.has_value());
}

TEST_CASE("break_even: a format that is ahead everywhere crosses at the lowest sparsity or below") {
  const auto found = find_crossing({{0.9, 4.0}, {0.5, 1.0}});
  CHECK(found.sparsity == 0.5);
  CHECK(found.at_most);
}

TEST_CASE("break_even: being ahead once does not count when a higher sparsity is slower again") {
  const auto found = find_crossing({{0.25, 1.1}, {0.5, 0.9}, {0.75, 1.3}});
  REQUIRE(found.sparsity.has_value());
  CHECK(*found.sparsity > 0.5);
  CHECK(*found.sparsity < 0.75);
  CHECK_FALSE(find_crossing({{0.25, 1.1}, {0.5, 0.9}}).sparsity.has_value());
}

TEST_CASE("break_even: nothing kept at all is a point like others") {
  const auto found = find_crossing({{0.5, 0.5}, {1.0, 1000.0}});
  REQUIRE(found.sparsity.has_value());
  CHECK(std::isfinite(*found.sparsity));
  CHECK(*found.sparsity > 0.5);
}
