// SPDX-License-Identifier: MIT
#include <sparq/numeric/checks.hpp>

#include "tests/support/catch.hpp"

#include <cstdint>
#include <limits>

using namespace sparq::detail;

TEST_CASE("number checks: a field outside its bounds is named with its value") {
  CHECK(check_field("glow", "pre", 0, 0, 31).ok());
  CHECK(check_field("glow", "pre", 31, 0, 31).ok());
  CHECK(check_field("glow", "pre", -1, 0, 31).message() == "glow: pre -1 is not in [0, 31]");
  CHECK(check_field("glow", "pre", 32, 0, 31).message() == "glow: pre 32 is not in [0, 31]");
}

TEST_CASE("number checks: scales are positive and finite") {
  CHECK(check_positive("onnx", "scale", 1e-45).ok());
  CHECK(check_positive("onnx", "scale", 0).message() == "onnx: scale 0 is not positive and finite");
  CHECK(check_positive("onnx", "scale", std::numeric_limits<double>::infinity()).message() ==
        "onnx: scale inf is not positive and finite");
  CHECK_FALSE(check_positive("onnx", "scale", std::numeric_limits<double>::quiet_NaN()).ok());
}

TEST_CASE("number checks: factors of a scaled sum are not -2^31") {
  CHECK(check_scaled_sum("add", INT32_MAX, -INT32_MAX, 62, 62).ok());
  CHECK(check_scaled_sum("add", 1, INT32_MIN, 0, 62).message() ==
        "add: factor -2147483648 is not in [-2147483647, 2147483647]");
  CHECK(check_scaled_sum("add", 1, 1, 63, 62).message() == "add: shift 63 is not in [0, 62]");
}
