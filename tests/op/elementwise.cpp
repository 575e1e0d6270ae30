// SPDX-License-Identifier: MIT
#include <sparq/op/elementwise.hpp>

#include "tests/support/catch.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

using namespace sparq;

TEST_CASE("elementwise: the result may take an operand's place") {
  std::vector<float> f{1, -2};
  elementwise_add(f, f, f);
  CHECK(f == std::vector<float>{2, -4});
  elementwise_multiply(f, f, f);
  CHECK(f == std::vector<float>{4, 16});
}

TEST_CASE("elementwise: relu keeps what is not negative") {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> x{-1, 0, 2, -infinity, infinity, std::nanf("")};
  std::vector<float> y(6);
  elementwise_relu(x, y);
  CHECK(std::vector<float>(y.begin(), y.end() - 1) == std::vector<float>{0, 0, 2, 0, infinity});
  CHECK(std::isnan(y[5]));
}

TEST_CASE("elementwise: real numbers become codes and come back") {
  const std::vector<float> values{-1.0F, 0.0F, 0.25F, 0.75F, 100.0F, -100.0F, std::nanf("")};
  std::vector<std::int8_t> codes(values.size());
  quantize<std::int8_t>(values, {0.5F, 10}, codes);
  CHECK(codes == std::vector<std::int8_t>{8, 10, 10, 12, 127, -128, 10});  // ties to even
  std::vector<float> back(codes.size());
  dequantize<std::int8_t>(codes, {0.5F, 10}, back);
  CHECK(back == std::vector<float>{-1.0F, 0.0F, 0.0F, 1.0F, 58.5F, -69.0F, 0.0F});
  std::vector<std::uint8_t> unsigned_codes(values.size());
  quantize<std::uint8_t>(values, {0.5F, 10}, unsigned_codes);
  CHECK(unsigned_codes == std::vector<std::uint8_t>{8, 10, 10, 12, 210, 0, 10});
}

TEST_CASE("elementwise: arguments that make no sense are refused") {
  std::vector<std::int8_t> x(4), y(4, 5);
  std::vector<float> f(4), short_f(3);
  CHECK(try_elementwise_add(f, short_f, f).message() == "elementwise_add: an operand has 3 elements, Y has 4");
  CHECK(try_elementwise_multiply(short_f, f, f).message() ==
        "elementwise_multiply: an operand has 3 elements, Y has 4");
  CHECK(try_elementwise_relu(f, short_f).message() == "elementwise_relu: an operand has 4 elements, Y has 3");
  CHECK(try_quantize<std::int8_t>(short_f, {}, y).message() == "quantize: an operand has 3 elements, Y has 4");
  CHECK(try_quantize<std::int8_t>(f, {-1.0F, 0}, y).message() ==
        "activation_quantization: scale -1 is not positive and finite");
  CHECK(try_dequantize<std::int8_t>(x, {1.0F, 200}, f).message() ==
        "activation_quantization: zero point 200 is no code of s8");
}
