// SPDX-License-Identifier: MIT
#include <sparq/numeric/floating.hpp>

#include "tests/support/catch.hpp"

#include <limits>

TEST_CASE("floating: f32 is an IEEE binary32 and no integer") {
  STATIC_REQUIRE(std::numeric_limits<sparq::f32::code>::is_iec559);
  STATIC_REQUIRE(sizeof(sparq::f32::code) * 8 == sparq::f32::bits);
  STATIC_REQUIRE(!sparq::f32::is_integer);
  CHECK(sparq::f32::name == "f32");
}
