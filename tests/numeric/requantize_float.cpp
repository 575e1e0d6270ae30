// SPDX-License-Identifier: MIT
#include <sparq/numeric/requantize_float.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/requantization.hpp"

#include <cmath>
#include <cstdint>

using namespace sparq_test;

TEMPLATE_TEST_CASE("requantize_float: a million random accumulators agree with the definition", "", onnx, ncnn) {
  check_definition<TestType>();
}

TEST_CASE("requantize_float: a division is not a product with the reciprocal") {
  // 5 / 0.04f is 125 in float, and 5 * fl(1 / 0.04f) is 125.00001 or less; scales where halves fall apart:
  int different = 0;
  for (int i = 1; i < 2000; ++i) {
    const float scale = static_cast<float>(i) * 0.001f;
    const auto divided = onnx::apply(1273, {0.01f, scale});
    const volatile float reciprocal = 1.0f / scale;
    const volatile float product = 0.01f * reciprocal;
    const auto multiplied = fp32_nearest_even::apply(1273, {product});
    different += divided != multiplied ? 1 : 0;
  }
  CHECK(onnx::apply(5, {1.0f, 2.0f}) == 2);
  CHECK(onnx::apply(7, {1.0f, 2.0f}) == 4);
  CHECK(different < 20);  // they differ on ties and their neighbours only
}

TEST_CASE("requantize_float: ncnn has no code -128 and rounds ties away") {
  CHECK(ncnn::apply(-1000, {1.0f}) == -127);
  CHECK(ncnn::apply(1000, {1.0f}) == 127);
  CHECK(ncnn::apply(-5, {0.5f}) == -3);
  CHECK(ncnn::apply(5, {0.5f}) == 3);
  CHECK(fp32_nearest_even::apply(5, {0.5f}) == 2);
}

TEST_CASE("requantize_float: parameters from elsewhere are checked") {
  CHECK(onnx::parameters{1.0f, 0.0f}.validate().message() == "onnx: scale 0 is not positive and finite");
  CHECK(onnx::parameters{-1.0f, 1.0f}.validate().message() == "onnx: scale -1 is not positive and finite");
  CHECK(ncnn::parameters{-1.0f}.validate().message() == "ncnn: scale -1 is not finite and 0 or more");
  CHECK(ncnn::parameters{0.0f}.validate().ok());
}
