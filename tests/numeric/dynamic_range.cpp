// SPDX-License-Identifier: MIT
#include <sparq/numeric/dynamic_range.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <vector>

using namespace sparq;

TEST_CASE("dynamic_range: tflite_dynamic is what TFLite's formula gives") {
  sparq_test::random_source random;
  INFO(random.text());
  for (int trial = 0; trial < 20000; ++trial) {
    const float largest = std::ldexp(random.real(0.5F, 1), random.between(-119, 128));
    const float x = random.chance(0.1) ? largest : random.real(-1, 1) * largest;
    // tensorflow/lite/kernels/internal/reference/portable_tensor_utils.cc, PortableSymmetricQuantizeFloats
    const float inverse = 127 / largest;
    const auto rounded = static_cast<std::int32_t>(std::round(x * inverse));
    INFO(x << " of " << largest);
    REQUIRE(tflite_dynamic::scale(largest) == largest / 127);
    REQUIRE(tflite_dynamic::code(x, largest) == std::min(127, std::max(-127, rounded)));
    REQUIRE(tflite_dynamic::code(-x, largest) == -tflite_dynamic::code(x, largest));
  }
}

TEST_CASE("dynamic_range: where the rules differ") {
  STATIC_REQUIRE(tflite_dynamic::code(0.5F, 127) == 1);  // a tie
  STATIC_REQUIRE(divide_to_even::code(0.5F, 127) == 0);
  STATIC_REQUIRE(tflite_dynamic::code(-2.5F, 127) == -3);
  STATIC_REQUIRE(divide_to_even::code(-2.5F, 127) == -2);
  STATIC_REQUIRE(divide_to_even::scale(5) == tflite_dynamic::scale(5));
}

TEST_CASE("dynamic_range: rows of zeros and of next to nothing have scale 1 and codes of 0") {
  STATIC_REQUIRE(tflite_dynamic::scale(0) == 1);
  STATIC_REQUIRE(tflite_dynamic::code(0, 0) == 0);
  STATIC_REQUIRE(tflite_dynamic::scale(0x1p-122F) == 1);
  STATIC_REQUIRE(tflite_dynamic::code(0x1p-122F, 0x1p-122F) == 0);
  STATIC_REQUIRE(tflite_dynamic::code(-0x1p-121F, 0x1p-121F) == -127);
  STATIC_REQUIRE(divide_to_even::scale(0) == 1);
  STATIC_REQUIRE(tflite_dynamic::code(FLT_MAX, FLT_MAX) == 127);
}
