// SPDX-License-Identifier: MIT
#include <sparq/numeric/number_text.hpp>

#include "tests/support/catch.hpp"

#include <limits>

TEST_CASE("number_text: numbers are short and tell neighbouring floats apart") {
  CHECK(sparq::number_text(0.5) == "0.5");
  CHECK(sparq::number_text(-3.0) == "-3");
  CHECK(sparq::number_text(1e300) == "1e+300");
  CHECK(sparq::number_text(1.0f) != sparq::number_text(1.0f + std::numeric_limits<float>::epsilon()));
}

TEST_CASE("number_text: NaN has no sign and infinity has one") {
  CHECK(sparq::number_text(std::numeric_limits<double>::quiet_NaN()) == "nan");
  CHECK(sparq::number_text(-std::numeric_limits<double>::quiet_NaN()) == "nan");
  CHECK(sparq::number_text(std::numeric_limits<double>::infinity()) == "inf");
  CHECK(sparq::number_text(-std::numeric_limits<double>::infinity()) == "-inf");
}

TEST_CASE("number_text: the largest and the smallest double are finite") {
  STATIC_REQUIRE(sparq::is_finite(std::numeric_limits<double>::max()));
  STATIC_REQUIRE(sparq::is_finite(-std::numeric_limits<double>::max()));
  STATIC_REQUIRE(sparq::is_finite(std::numeric_limits<double>::denorm_min()));
  STATIC_REQUIRE(!sparq::is_finite(std::numeric_limits<double>::infinity()));
  STATIC_REQUIRE(!sparq::is_finite(std::numeric_limits<double>::quiet_NaN()));
}
