// SPDX-License-Identifier: MIT
#include <sparq/numeric/activation_quantization.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace {

template <class N>
std::string refusal_of_range(float min, float max) {
  const auto chosen = sparq::try_choose_activation_quantization<N>(min, max);
  return chosen.ok() ? "" : chosen.error().message();
}

}  // namespace

TEST_CASE("activation_quantization: activations are integers") {
  STATIC_REQUIRE(sparq::activation_numeric<sparq::u8>);
  STATIC_REQUIRE(!sparq::activation_numeric<sparq::f32>);
}

TEST_CASE("activation_quantization: activations of u8 follow DynamicQuantizeLinear") {
  const auto q = sparq::choose_activation_quantization<sparq::u8>(-2.5f, 2.0f);
  CHECK(q.scale == 4.5f / 255);
  CHECK(q.zero_point == 142);  // 141.67
  const std::vector<float> values{0.0f, 2.0f, -3.0f, -2.5f, 1.34f, 0.5f};
  std::vector<std::uint8_t> codes(values.size());
  sparq::quantize_activations<sparq::u8>(values, q, codes);
  CHECK(codes == std::vector<std::uint8_t>{142, 255, 0, 0, 218, 170});
}

TEST_CASE("activation_quantization: a range on one side of zero is stretched to zero") {
  const auto positive = sparq::choose_activation_quantization<sparq::u8>(1.0f, 4.0f);
  CHECK(positive == sparq::activation_quantization{4.0f / 255, 0});
  const auto negative = sparq::choose_activation_quantization<sparq::u8>(-4.0f, -1.0f);
  CHECK(negative == sparq::activation_quantization{4.0f / 255, 255});
  const auto signed_positive = sparq::choose_activation_quantization<sparq::s8>(1.0f, 4.0f);
  CHECK(signed_positive == sparq::activation_quantization{4.0f / 255, -128});
}

TEST_CASE("activation_quantization: an empty range has scale 1") {
  CHECK(sparq::choose_activation_quantization<sparq::u8>(0.0f, 0.0f) == sparq::activation_quantization{1.0f, 0});
  CHECK(sparq::choose_activation_quantization<sparq::s8>(-0.0f, 0.0f) == sparq::activation_quantization{1.0f, -128});
}

TEMPLATE_TEST_CASE("activation_quantization: zero is exact and values inside the range are near their code", "",
                   sparq::u8, sparq::s8, sparq::s4) {
  sparq_test::random_source random;
  INFO(random.text());
  for (int round = 0; round < 500; ++round) {
    const float range = round % 2 == 0 ? 1.0f : 1e20f;
    const auto [low, high] = std::minmax({random.real(-range, range), random.real(-range, range)});
    INFO("min " << low << ", max " << high);
    const auto q = sparq::choose_activation_quantization<TestType>(low, high);
    REQUIRE(sparq::validate<TestType>(q).ok());
    CHECK(std::int32_t{sparq::quantize_activation<TestType>(0.0f, q)} == q.zero_point);
    CHECK(sparq::dequantize_activation<TestType>(static_cast<typename TestType::code>(q.zero_point), q) == 0.0f);

    std::vector<float> values;
    for (int i = 0; i <= 64; ++i) values.push_back(low + (high - low) * (static_cast<float>(i) / 64));
    std::vector<typename TestType::code> codes(values.size());
    sparq::quantize_activations<TestType>(values, q, codes);
    std::vector<float> restored(values.size());
    sparq::dequantize_activations<TestType>(codes, q, restored);
    double worst = 0;
    for (std::size_t i = 0; i < values.size(); ++i)
      worst = (std::max)(worst, std::abs(double{restored[i]} - double{values[i]}) / q.scale);
    CHECK(worst <= 1.0 + 1e-4);  // half a step, and another half where the rounded zero point shifts the range
  }
}

TEST_CASE("activation_quantization: division is not multiplication by the reciprocal") {
  STATIC_REQUIRE(sparq::quantize_activation<sparq::s8>(-0.115500003f, {0.001f, 0}) == -116);  // see weight_quantization
}

TEST_CASE("activation_quantization: activations saturate after the zero point is added") {
  constexpr sparq::activation_quantization q{0.5f, 100};
  STATIC_REQUIRE(sparq::quantize_activation<sparq::u8>(1.25f, q) == 102);  // 2.5 -> 2
  STATIC_REQUIRE(sparq::quantize_activation<sparq::u8>(1.75f, q) == 104);  // 3.5 -> 4
  STATIC_REQUIRE(sparq::quantize_activation<sparq::u8>(1e30f, q) == 255);
  STATIC_REQUIRE(sparq::quantize_activation<sparq::u8>(-1e30f, q) == 0);
  STATIC_REQUIRE(sparq::quantize_activation<sparq::s8>(std::numeric_limits<float>::infinity(), q) == 127);
  STATIC_REQUIRE(sparq::quantize_activation<sparq::s8>(-std::numeric_limits<float>::infinity(), q) == -128);
  CHECK(sparq::quantize_activation<sparq::u8>(std::numeric_limits<float>::quiet_NaN(), q) == 100);
}

TEST_CASE("activation_quantization: ranges without meaning are refused") {
  CHECK(refusal_of_range<sparq::u8>(std::numeric_limits<float>::quiet_NaN(), 1.0f) ==
        "choose_activation_quantization: min is nan");
  CHECK(refusal_of_range<sparq::u8>(0.0f, std::numeric_limits<float>::infinity()) ==
        "choose_activation_quantization: max is inf");
  CHECK(refusal_of_range<sparq::s8>(2.5f, 1.0f) == "choose_activation_quantization: min 2.5 exceeds max 1");
  CHECK(refusal_of_range<sparq::s8>(-FLT_MAX, 1.0e38f) ==
        "choose_activation_quantization: the range from -3.40282347e+38 to 9.99999968e+37 overflows a float");
}

TEST_CASE("activation_quantization: activation parameters from elsewhere are checked") {
  CHECK(sparq::validate<sparq::u8>({0.1f, 255}).ok());
  CHECK(sparq::validate<sparq::u8>({0.0f, 0}).message() ==
        "activation_quantization: scale 0 is not positive and finite");
  CHECK(sparq::validate<sparq::u8>({std::numeric_limits<float>::quiet_NaN(), 0}).message() ==
        "activation_quantization: scale nan is not positive and finite");
  CHECK(sparq::validate<sparq::u8>({1.0f, -1}).message() == "activation_quantization: zero point -1 is no code of u8");
  CHECK(sparq::validate<sparq::s8>({1.0f, 128}).message() ==
        "activation_quantization: zero point 128 is no code of s8");
}
