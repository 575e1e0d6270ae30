// SPDX-License-Identifier: MIT
#include <sparq/numeric/scale.hpp>

#include "tests/support/catch.hpp"

#include <cfloat>
#include <cmath>
#include <limits>
#include <vector>

TEST_CASE("scale: the largest magnitude leaves signs out, and is not finite where a number is not") {
  using sparq::detail::largest_magnitude;
  CHECK(largest_magnitude({}) == 0.0f);
  CHECK(largest_magnitude(std::vector<float>{1.0f, -3.0f, 2.0f}) == 3.0f);
  CHECK(largest_magnitude(std::vector<float>{-0.0f}) == 0.0f);
  CHECK(std::isinf(largest_magnitude(std::vector<float>{-std::numeric_limits<float>::infinity(), 1.0f})));
  CHECK(std::isnan(largest_magnitude(std::vector<float>{1.0f, std::numeric_limits<float>::quiet_NaN(), 2.0f})));
}

TEST_CASE("scale: a range is divided into steps, into 1 if it is empty, never into subnormal ones") {
  using sparq::detail::scale_for;
  STATIC_REQUIRE(scale_for(12.7f, 127) == 12.7f / 127);
  STATIC_REQUIRE(scale_for(0.0f, 127) == 1.0f);
  STATIC_REQUIRE(scale_for(FLT_MIN, 127) == FLT_MIN);
}
