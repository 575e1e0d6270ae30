// SPDX-License-Identifier: MIT
#include <sparq/numeric/quantization.hpp>

#include "tests/support/catch.hpp"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace {

using sparq::activation_quantization;

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan_value = std::numeric_limits<float>::quiet_NaN();

std::vector<float> random_values(std::size_t count, float range, std::mt19937& random) {
  std::uniform_real_distribution<float> distribution(-range, range);
  std::vector<float> values(count);
  for (float& value : values) value = distribution(random);
  return values;
}

template <class N, class Granularity>
std::vector<float> scales_of(const std::vector<float>& weights, std::size_t n, std::size_t k) {
  std::vector<float> scales(Granularity::scale_count(n, k));
  const sparq::status chosen = sparq::choose_scales<N, Granularity>(weights, n, k, scales);
  INFO(chosen.message());
  REQUIRE(chosen.ok());
  return scales;
}

template <class N>
std::string refusal_of_range(float min, float max) {
  const auto chosen = sparq::choose_activation_quantization<N>(min, max);
  return chosen.ok() ? "" : chosen.error().message();
}

}  // namespace

TEST_CASE("quantization: every granularity counts and finds its scales") {
  using namespace sparq;
  STATIC_REQUIRE(unquantized::scale_count(3, 10) == 0);
  STATIC_REQUIRE(per_tensor::scale_count(3, 10) == 1);
  STATIC_REQUIRE(per_tensor::scale_index(2, 9, 10) == 0);
  STATIC_REQUIRE(per_channel::scale_count(3, 10) == 3);
  STATIC_REQUIRE(per_channel::scale_index(2, 9, 10) == 2);
  STATIC_REQUIRE(per_group<4>::scale_count(3, 10) == 9);
  STATIC_REQUIRE(per_group<4>::scale_count(3, 8) == 6);
  STATIC_REQUIRE(per_group<4>::scale_index(1, 3, 10) == 3);
  STATIC_REQUIRE(per_group<4>::scale_index(1, 4, 10) == 4);
  STATIC_REQUIRE(per_group<4>::scale_index(2, 9, 10) == 8);
  STATIC_REQUIRE(per_group<32>::scale_count(5, 7) == 5);
}

TEST_CASE("quantization: a granularity's name tells it from the others") {
  STATIC_REQUIRE(sparq::unquantized::name == "unquantized");
  STATIC_REQUIRE(sparq::per_tensor::name == "per_tensor");
  STATIC_REQUIRE(sparq::per_channel::name == "per_channel");
  STATIC_REQUIRE(sparq::per_group<7>::name == "per_group<7>");
  STATIC_REQUIRE(sparq::per_group<10>::name == "per_group<10>");
  STATIC_REQUIRE(sparq::per_group<128>::name == "per_group<128>");
}

TEST_CASE("quantization: the concepts hold for what they are meant for only") {
  STATIC_REQUIRE(sparq::quantization_granularity<sparq::unquantized>);
  STATIC_REQUIRE(sparq::quantization_granularity<sparq::per_tensor>);
  STATIC_REQUIRE(sparq::quantization_granularity<sparq::per_channel>);
  STATIC_REQUIRE(sparq::quantization_granularity<sparq::per_group<64>>);
  STATIC_REQUIRE(!sparq::quantization_granularity<sparq::s8>);
  STATIC_REQUIRE(sparq::weight_numeric<sparq::s8>);
  STATIC_REQUIRE(sparq::weight_numeric<sparq::s4>);
  STATIC_REQUIRE(!sparq::weight_numeric<sparq::u8>);
  STATIC_REQUIRE(!sparq::weight_numeric<sparq::s32>);
  STATIC_REQUIRE(!sparq::weight_numeric<sparq::f32>);
  STATIC_REQUIRE(sparq::activation_numeric<sparq::u8>);
  STATIC_REQUIRE(!sparq::activation_numeric<sparq::f32>);
}

TEST_CASE("quantization: weights are divided, rounded half to even and kept in the narrow range") {
  using namespace sparq;
  STATIC_REQUIRE(quantize_code<s8>(2.5f, 1.0f) == 2);
  STATIC_REQUIRE(quantize_code<s8>(-3.5f, 1.0f) == -4);
  STATIC_REQUIRE(quantize_code<s8>(1000.0f, 1.0f) == 127);
  STATIC_REQUIRE(quantize_code<s8>(-1000.0f, 1.0f) == -127);
  STATIC_REQUIRE(quantize_code<s8>(-127.5f, 1.0f) == -127);
  CHECK(quantize_code<s8>(FLT_MAX, FLT_MIN) == 127);
  STATIC_REQUIRE(quantize_code<s4>(7.5f, 1.0f) == 7);
  STATIC_REQUIRE(quantize_code<s4>(-8.0f, 1.0f) == -7);
  STATIC_REQUIRE(quantize_code<s4_high_first>(0.75f, 0.5f) == 2);
  STATIC_REQUIRE(dequantize_code<s4>(-7, 0.5f) == -3.5f);
}

TEST_CASE("quantization: division is not multiplication by the reciprocal") {
  // -0.1155 / 0.001 is -115.5 in float, a tie; times the float nearest to 1 / 0.001 it is -115.499992.
  STATIC_REQUIRE(sparq::quantize_code<sparq::s8>(-0.115500003f, 0.001f) == -116);
  STATIC_REQUIRE(sparq::quantize_code<sparq::s8>(-0.0775000006f, 0.001f) == -78);
  STATIC_REQUIRE(sparq::quantize_activation<sparq::s8>(-0.115500003f, {0.001f, 0}) == -116);
}

TEST_CASE("quantization: scales map the largest magnitude to the largest code") {
  const std::vector<float> weights{
      1.0f,  -2.0f, 0.5f, 4.0f, 7.0f,    //
      0.0f,  0.0f,  0.0f, 0.0f, 0.0f,    //
      -3.0f, 1.0f,  0.0f, 0.0f, -12.7f,  //
  };
  using namespace sparq;
  CHECK(scales_of<s8, per_tensor>(weights, 3, 5) == std::vector<float>{12.7f / 127});
  CHECK(scales_of<s8, per_channel>(weights, 3, 5) == std::vector<float>{7.0f / 127, 1.0f, 12.7f / 127});
  CHECK(scales_of<s4, per_channel>(weights, 3, 5) == std::vector<float>{1.0f, 1.0f, 12.7f / 7});
  CHECK(scales_of<s4, per_group<2>>(weights, 3, 5) ==
        std::vector<float>{2.0f / 7, 4.0f / 7, 1.0f, 1.0f, 1.0f, 1.0f, 3.0f / 7, 1.0f, 12.7f / 7});
  CHECK(scales_of<s4, per_group<8>>(weights, 3, 5) == scales_of<s4, per_channel>(weights, 3, 5));
}

TEST_CASE("quantization: an empty matrix has the scales of zeros") {
  CHECK(scales_of<sparq::s8, sparq::per_tensor>({}, 0, 5) == std::vector<float>{1.0f});
  CHECK(scales_of<sparq::s8, sparq::per_channel>({}, 2, 0) == std::vector<float>{1.0f, 1.0f});
  CHECK(scales_of<sparq::s8, sparq::per_group<4>>({}, 2, 0).empty());
}

TEST_CASE("quantization: weights too small for a normal scale get the smallest normal one") {
  CHECK(scales_of<sparq::s8, sparq::per_tensor>({FLT_MIN}, 1, 1) == std::vector<float>{FLT_MIN});
  CHECK(sparq::quantize_code<sparq::s8>(FLT_MIN, FLT_MIN) == 1);
}

TEMPLATE_TEST_CASE("quantization: a weight is at most half a step from its code", "", sparq::s8, sparq::s4) {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  constexpr std::size_t n = 7;
  constexpr std::size_t k = 45;
  using granularity = sparq::per_group<16>;
  for (const float range : {1e-30f, 1e-3f, 1.0f, 1e38f}) {
    const auto weights = random_values(n * k, range, random);
    const auto scales = scales_of<TestType, granularity>(weights, n, k);
    std::vector<std::int32_t> largest(scales.size(), 0);
    double worst = 0;
    for (std::size_t channel = 0; channel < n; ++channel)
      for (std::size_t i = 0; i < k; ++i) {
        const std::size_t s = granularity::scale_index(channel, i, k);
        const float weight = weights[channel * k + i];
        const auto code = sparq::quantize_code<TestType>(weight, scales[s]);
        const double error = std::abs(double{weight} - double{scales[s]} * code) / scales[s];
        worst = (std::max)(worst, error);
        largest[s] = (std::max)(largest[s], std::abs(std::int32_t{code}));
      }
    CHECK(worst <= 0.5 + 1e-5);
    CHECK(largest == std::vector<std::int32_t>(scales.size(), TestType::max_code));
  }
}

TEMPLATE_TEST_CASE("quantization: codes survive dequantization and quantization", "", sparq::s8, sparq::s4) {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (const float scale : random_values(1000, 1.0f, random))
    for (std::int32_t code = -TestType::max_code; code <= TestType::max_code; ++code) {
      const auto narrow = static_cast<typename TestType::code>(code);
      const float positive = std::abs(scale) + 1e-6f;
      const float value = sparq::dequantize_code<TestType>(narrow, positive);
      if (sparq::quantize_code<TestType>(value, positive) != code) {
        INFO("code " << code << ", scale " << positive);
        REQUIRE(sparq::quantize_code<TestType>(value, positive) == code);
      }
    }
}

TEST_CASE("quantization: a weight that is not finite is named with its position") {
  std::vector<float> weights(3 * 4, 1.0f);
  std::vector<float> scales(3);
  const auto message = [&] {
    return sparq::choose_scales<sparq::s8, sparq::per_channel>(weights, 3, 4, scales).message();
  };
  CHECK(message().empty());
  weights[11] = -infinity;
  CHECK(message() == "choose_scales: weight [n=2][k=3] is -inf");
  weights[6] = nan_value;
  CHECK(message() == "choose_scales: weight [n=1][k=2] is nan");
}

TEST_CASE("quantization: extents that do not match the arrays are refused") {
  const std::vector<float> weights(12);
  std::vector<float> scales(4);
  using namespace sparq;
  CHECK(choose_scales<s8, per_channel>(weights, 5, 2, scales).message() ==
        "choose_scales: 12 weights for a matrix of 5 x 2");
  CHECK(choose_scales<s8, per_group<3>>(weights, 3, 4, scales).message() ==
        "choose_scales: room for 4 scales; per_group<3> needs 6 for a matrix of 3 x 4");
  const std::size_t half = std::size_t{1} << 32;  // n k wraps to 0
  CHECK(choose_scales<s8, per_tensor>({}, half, half, std::span(scales).first(1)).message() ==
        "choose_scales: 0 weights for a matrix of 4294967296 x 4294967296");
  const std::vector<std::uint8_t> keep(11, 1);
  CHECK(choose_mean_scales<per_channel>(weights, keep, 4, 3, scales).message() ==
        "choose_scales: a mask of 11 bytes for 12 weights");
  CHECK(choose_mean_scales<per_channel>(weights, keep, 3, 4, scales).message() ==
        "choose_scales: room for 4 scales; per_channel needs 3 for a matrix of 3 x 4");
}

TEST_CASE("quantization: activations of u8 follow DynamicQuantizeLinear") {
  const auto q = sparq::choose_activation_quantization<sparq::u8>(-2.5f, 2.0f);
  REQUIRE(q.ok());
  CHECK(q->scale == 4.5f / 255);
  CHECK(q->zero_point == 142);  // 141.67
  const std::vector<float> values{0.0f, 2.0f, -3.0f, -2.5f, 1.34f, 0.5f};
  std::vector<std::uint8_t> codes(values.size());
  sparq::quantize_activations<sparq::u8>(values, *q, codes);
  CHECK(codes == std::vector<std::uint8_t>{142, 255, 0, 0, 218, 170});
}

TEST_CASE("quantization: a range on one side of zero is stretched to zero") {
  const auto positive = sparq::choose_activation_quantization<sparq::u8>(1.0f, 4.0f);
  CHECK(*positive == activation_quantization{4.0f / 255, 0});
  const auto negative = sparq::choose_activation_quantization<sparq::u8>(-4.0f, -1.0f);
  CHECK(*negative == activation_quantization{4.0f / 255, 255});
  const auto signed_positive = sparq::choose_activation_quantization<sparq::s8>(1.0f, 4.0f);
  CHECK(*signed_positive == activation_quantization{4.0f / 255, -128});
}

TEST_CASE("quantization: an empty range has scale 1") {
  CHECK(*sparq::choose_activation_quantization<sparq::u8>(0.0f, 0.0f) == activation_quantization{1.0f, 0});
  CHECK(*sparq::choose_activation_quantization<sparq::s8>(-0.0f, 0.0f) == activation_quantization{1.0f, -128});
}

TEMPLATE_TEST_CASE("quantization: zero is exact and values inside the range are near their code", "", sparq::u8,
                   sparq::s8, sparq::s4) {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 500; ++round) {
    const auto bounds = random_values(2, round % 2 == 0 ? 1.0f : 1e20f, random);
    const float low = (std::min)(bounds[0], bounds[1]);
    const float high = (std::max)(bounds[0], bounds[1]);
    INFO("min " << low << ", max " << high);
    const auto q = *sparq::choose_activation_quantization<TestType>(low, high);
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

TEST_CASE("quantization: activations saturate after the zero point is added") {
  constexpr activation_quantization q{0.5f, 100};
  STATIC_REQUIRE(sparq::quantize_activation<sparq::u8>(1.25f, q) == 102);  // 2.5 -> 2
  STATIC_REQUIRE(sparq::quantize_activation<sparq::u8>(1.75f, q) == 104);  // 3.5 -> 4
  STATIC_REQUIRE(sparq::quantize_activation<sparq::u8>(1e30f, q) == 255);
  STATIC_REQUIRE(sparq::quantize_activation<sparq::u8>(-1e30f, q) == 0);
  STATIC_REQUIRE(sparq::quantize_activation<sparq::s8>(infinity, q) == 127);
  STATIC_REQUIRE(sparq::quantize_activation<sparq::s8>(-infinity, q) == -128);
  CHECK(sparq::quantize_activation<sparq::u8>(nan_value, q) == 100);
}

TEST_CASE("quantization: ranges without meaning are refused") {
  CHECK(refusal_of_range<sparq::u8>(nan_value, 1.0f) == "choose_activation_quantization: min is nan");
  CHECK(refusal_of_range<sparq::u8>(0.0f, infinity) == "choose_activation_quantization: max is inf");
  CHECK(refusal_of_range<sparq::s8>(2.5f, 1.0f) == "choose_activation_quantization: min 2.5 exceeds max 1");
  CHECK(refusal_of_range<sparq::s8>(-FLT_MAX, 1.0e38f) ==
        "choose_activation_quantization: the range from -3.40282347e+38 to 9.99999968e+37 overflows a float");
}

TEST_CASE("quantization: activation parameters from elsewhere are checked") {
  CHECK(sparq::validate<sparq::u8>({0.1f, 255}).ok());
  CHECK(sparq::validate<sparq::u8>({0.0f, 0}).message() ==
        "activation_quantization: scale 0 is not positive and finite");
  CHECK(sparq::validate<sparq::u8>({nan_value, 0}).message() ==
        "activation_quantization: scale nan is not positive and finite");
  CHECK(sparq::validate<sparq::u8>({1.0f, -1}).message() == "activation_quantization: zero point -1 is no code of u8");
  CHECK(sparq::validate<sparq::s8>({1.0f, 128}).message() ==
        "activation_quantization: zero point 128 is no code of s8");
}
