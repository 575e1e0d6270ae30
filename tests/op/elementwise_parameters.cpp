// SPDX-License-Identifier: MIT
#include <sparq/op/elementwise_parameters.hpp>

#include "tests/support/catch.hpp"

#include <cstdint>

using namespace sparq;

TEST_CASE("elementwise_parameters: sums and products of TFLite's scales") {
  // 0.5 and 0.25 to 1: 2 x the larger is 1, so the factors are 1/2, 1/4 and 1 / 2^20
  const auto add = add_parameters::try_from<std::int8_t>({0.5F, 3}, {0.25F, -4}, {1.0F, 1}).value();
  CHECK(add.left_shift == 20);
  CHECK(add.left.offset == -3);
  CHECK(add.left.scale == tflite_double::parameters{1 << 30, 0});
  CHECK(add.right.offset == 4);
  CHECK(add.right.scale == tflite_double::parameters{1 << 30, -1});
  CHECK(add.output.scale == tflite_double::parameters{1 << 30, -19});
  CHECK(add.output.zero_point == 1);
  CHECK(add.output.low == -128);
  CHECK(add.output.high == 127);
  const auto wide = add_parameters::try_from<std::int16_t>({0.5F, 0}, {0.25F, 0}, {1.0F, 0}).value();
  CHECK(wide.left_shift == 15);
  CHECK(wide.output.low == -32768);
  const auto multiply = multiply_parameters::try_from<std::uint8_t>({0.5F, 3}, {0.25F, 4}, {1.0F, 1}).value();
  CHECK(multiply.left_offset == -3);
  CHECK(multiply.right_offset == -4);
  CHECK(multiply.output.scale == tflite_double::parameters{1 << 30, -2});
  CHECK(multiply.output.high == 255);
}

TEST_CASE("elementwise_parameters: quantizations that no parameters can hold are refused") {
  CHECK(add_parameters::try_from<std::int8_t>({1.0F, INT32_MIN}, {1.0F, 0}, {1.0F, 0}).error().message() ==
        "elementwise_add: zero point of an operand -2147483648 is not in [-32768, 32767]");
  CHECK(multiply_parameters::try_from<std::int8_t>({1.0F, 0}, {1.0F, INT32_MIN}, {1.0F, 0}).error().message() ==
        "elementwise_multiply: zero point of an operand -2147483648 is not in [-32768, 32767]");
  CHECK(add_parameters::try_from<std::int8_t>({0.0F, 0}, {1.0F, 0}, {1.0F, 0}).error().message() ==
        "elementwise_add: scale 0 is not positive and finite");
  CHECK(multiply_parameters::try_from<std::int8_t>({0x1p99F, 0}, {1.0F, 0}, {0x1p-1F, 0}).error().message() ==
        "elementwise_multiply: tflite_double: multiplier 1.2676506e+30 is not in [0, 2^31)");
}
