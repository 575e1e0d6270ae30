// SPDX-License-Identifier: MIT
#include <sparq/op/elementwise_codes.hpp>
#include <sparq/sparq.hpp>  // no name of another header may hide what the operation calls

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

using namespace sparq;

namespace {

/// The requantization of numeric/requantize.hpp in long double: two roundings.
std::int64_t scaled(std::int64_t value, tflite_double::parameters p) {
  const int left = p.shift > 0 ? p.shift : 0;
  const long double high =
      std::floor(std::ldexp(static_cast<long double>(value) * p.multiplier, left - 31) + 0.5L);  // ties up
  return static_cast<std::int64_t>(std::round(std::ldexp(high, p.shift > 0 ? 0 : p.shift)));     // ties away
}

template <class T>
std::vector<T> random_codes(std::mt19937& random, std::size_t count) {
  std::vector<T> codes(count);
  for (auto& code : codes) code = static_cast<T>(random());
  codes[0] = std::numeric_limits<T>::lowest();
  codes[1] = (std::numeric_limits<T>::max)();
  return codes;
}

template <class T>
activation_quantization random_quantization(std::mt19937& random) {
  const float scale = std::exp(std::uniform_real_distribution<float>(-6, 1)(random));
  return {scale, sizeof(T) == 1 ? std::int32_t{static_cast<T>(random())} : 0};
}

tflite_double::parameters random_factor(std::mt19937& random) {
  return {static_cast<std::int32_t>((1u << 30) + random() % (1u << 30)), -static_cast<int>(random() % 12)};
}

template <class T>
double real(T code, activation_quantization q) {
  return q.scale * (static_cast<double>(code) - q.zero_point);
}

/// The nearest code to a real number.
template <class T>
double nearest(double value, activation_quantization q) {
  const double code = value / static_cast<double>(q.scale) + q.zero_point;
  return (std::min)((std::max)(code, static_cast<double>(std::numeric_limits<T>::lowest())),
                    static_cast<double>((std::numeric_limits<T>::max)()));
}

}  // namespace

TEMPLATE_TEST_CASE("elementwise_codes: quantized sums follow their formula", "", std::int8_t, std::uint8_t,
                   std::int16_t) {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  for (int trial = 0; trial < 100; ++trial) {
    const std::size_t count = 2 + random() % 70;
    const auto left = random_codes<TestType>(random, count), right = random_codes<TestType>(random, count);
    add_parameters p;
    p.left_shift = trial % 2 == 0 ? (sizeof(TestType) == 1 ? 20 : 15) : static_cast<int>(random() % 31);
    p.left = {-std::int32_t{static_cast<TestType>(random())}, random_factor(random)};
    p.right = {-std::int32_t{static_cast<TestType>(random())}, random_factor(random)};
    p.output = {random_factor(random), static_cast<TestType>(random()), machine::lowest_code<TestType> + 3,
                machine::highest_code<TestType> - 5};
    std::vector<TestType> want, got(left.size());
    for (std::size_t i = 0; i < left.size(); ++i) {
      const std::int64_t steps = std::int64_t{1} << p.left_shift;
      const std::int64_t sum = saturate_to_int32(
          scaled(saturate_to_int32((left[i] + std::int64_t{p.left.offset}) * steps), p.left.scale) +
          scaled(saturate_to_int32((right[i] + std::int64_t{p.right.offset}) * steps), p.right.scale));
      const std::int64_t code = scaled(sum, p.output.scale) + p.output.zero_point;
      want.push_back(static_cast<TestType>((std::min)((std::max)(code, std::int64_t{p.output.low}),
                                                      std::int64_t{p.output.high})));
    }
    elementwise_add<TestType>(left, right, got, p);
    REQUIRE(got == want);
  }
}

TEMPLATE_TEST_CASE("elementwise_codes: quantized products follow their formula", "", std::int8_t, std::uint8_t,
                   std::int16_t) {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  for (int trial = 0; trial < 100; ++trial) {
    const std::size_t count = 2 + random() % 70;
    const auto left = random_codes<TestType>(random, count), right = random_codes<TestType>(random, count);
    multiply_parameters p;
    const auto offset = [&] {
      return sizeof(TestType) == 1 || trial % 2 == 0 ? -std::int32_t{static_cast<TestType>(random() | 1U)} : 0;
    };
    p.left_offset = offset();
    p.right_offset = offset();
    p.output = {random_factor(random), static_cast<TestType>(random()), machine::lowest_code<TestType>,
                machine::highest_code<TestType>};
    std::vector<TestType> want, got(left.size());
    for (std::size_t i = 0; i < left.size(); ++i) {
      const std::int64_t product =
          saturate_to_int32((left[i] + std::int64_t{p.left_offset}) * (right[i] + std::int64_t{p.right_offset}));
      const std::int64_t code = scaled(product, p.output.scale) + p.output.zero_point;
      want.push_back(static_cast<TestType>((std::min)((std::max)(code, std::int64_t{p.output.low}),
                                                      std::int64_t{p.output.high})));
    }
    elementwise_multiply<TestType>(left, right, got, p);
    REQUIRE(got == want);
  }
}

TEMPLATE_TEST_CASE("elementwise_codes: parameters from scales give the nearest code, or its neighbour", "", std::int8_t,
                   std::uint8_t, std::int16_t) {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  for (int trial = 0; trial < 100; ++trial) {
    const auto a = random_quantization<TestType>(random), b = random_quantization<TestType>(random),
               y = random_quantization<TestType>(random);
    const auto left = random_codes<TestType>(random, 40), right = random_codes<TestType>(random, 40);
    std::vector<TestType> sums(left.size()), products(left.size());
    elementwise_add<TestType>(left, right, sums, add_parameters::try_from<TestType>(a, b, y).value());
    elementwise_multiply<TestType>(left, right, products, multiply_parameters::try_from<TestType>(a, b, y).value());
    for (std::size_t i = 0; i < left.size(); ++i) {
      INFO("left " << +left[i] << " of " << a.scale << ", right " << +right[i] << " of " << b.scale << ", Y of "
                   << y.scale);
      REQUIRE(std::abs(sums[i] - nearest<TestType>(real(left[i], a) + real(right[i], b), y)) < 1.01);
      REQUIRE(std::abs(products[i] - nearest<TestType>(real(left[i], a) * real(right[i], b), y)) < 1.01);
    }
  }
}

TEST_CASE("elementwise_codes: the result may take an operand's place") {
  const auto p = add_parameters::try_from<std::int8_t>({1.0F, 0}, {1.0F, 0}, {1.0F, 0}).value();
  std::vector<std::int8_t> a{1, 100, -100}, b{2, 100, -100};
  elementwise_add<std::int8_t>(a, b, a, p);
  CHECK(a == std::vector<std::int8_t>{3, 127, -128});
}

TEST_CASE("elementwise_codes: rows that overlap are refused") {
  const auto p = add_parameters::try_from<std::int8_t>({1.0F, 0}, {1.0F, 0}, {1.0F, 0}).value();
  std::vector<std::int8_t> codes(6, 5);
  std::vector<std::byte> bytes(4);
  const matrix_view<std::int8_t> apart(codes.data(), 2, 3), overlapping(codes.data(), 2, 3, 2);
  const narrow_matrix_view<s4> narrow(bytes.data(), 2, 3, 1);
  CHECK(try_elementwise_add(overlapping, apart, apart, p).message() ==
        "elementwise_add: the left operand has a stride of 2; at least 3 are needed");
  CHECK(try_elementwise_add(apart, narrow, apart, p).message() ==
        "elementwise_add: the right operand has a stride of 1; at least 2 are needed");
  CHECK(try_elementwise_add(apart, apart, overlapping, p).message() ==
        "elementwise_add: Y has a stride of 2; at least 3 are needed");
  CHECK(codes == std::vector<std::int8_t>(6, 5));
}

TEST_CASE("elementwise_codes: arguments that make no sense are refused, and Y stays as it is") {
  std::vector<std::int8_t> x(4), short_x(3), y(4, 5);
  const auto good = add_parameters::try_from<std::int8_t>({1.0F, 0}, {1.0F, 0}, {1.0F, 0}).value();
  const auto sum = [&](const auto& change) {
    add_parameters p = good;
    change(p);
    return try_elementwise_add<std::int8_t>(x, x, y, p).message();
  };
  CHECK(try_elementwise_add<std::int8_t>(short_x, x, y, good).message() ==
        "elementwise_add: an operand has 3 elements, Y has 4");
  CHECK(try_elementwise_add<std::int8_t>(x, short_x, y, good).message() ==
        "elementwise_add: an operand has 3 elements, Y has 4");
  CHECK(sum([](auto& p) { p.left_shift = 31; }) == "elementwise_add: left_shift 31 is not in [0, 30]");
  CHECK(sum([](auto& p) { p.right.offset = 40000; }) == "elementwise_add: offset 40000 is not in [-32767, 32768]");
  CHECK(sum([](auto& p) { p.left.scale.shift = -32; }) ==
        "elementwise_add: tflite_double: shift -32 is not in [-31, 31]");
  CHECK(sum([](auto& p) { p.output.scale.multiplier = -1; }) ==
        "elementwise_add: tflite_double: multiplier -1 is not 0 or more");
  CHECK(sum([](auto& p) { p.output.zero_point = 128; }) == "elementwise_add: zero_point 128 is not in [-128, 127]");
  CHECK(sum([](auto& p) { p.output.high = 128; }) == "elementwise_add: high 128 is not in [-128, 127]");
  CHECK(sum([](auto& p) { p.output.high = -5, p.output.low = -4; }) ==
        "elementwise_add: low -4 is not in [-128, -5]");
  CHECK(try_elementwise_multiply<std::int8_t>(x, x, y, {0, -40000, good.output}).message() ==
        "elementwise_multiply: right_offset -40000 is not in [-32767, 32768]");
  CHECK(y == std::vector<std::int8_t>(4, 5));
}
