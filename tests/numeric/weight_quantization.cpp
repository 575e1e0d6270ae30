// SPDX-License-Identifier: MIT
#include <sparq/numeric/weight_quantization.hpp>

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

template <class N, class Granularity>
std::vector<float> chosen_scales(const std::vector<float>& weights, std::size_t n, std::size_t k) {
  std::vector<float> scales(Granularity::scale_count(n, k));
  const sparq::status chosen = sparq::choose_scales<N, Granularity>(weights, n, k, scales);
  INFO(chosen.message());
  REQUIRE(chosen.ok());
  return scales;
}

}  // namespace

TEST_CASE("weight_quantization: weights are signed integers of up to 8 bits") {
  STATIC_REQUIRE(sparq::weight_numeric<sparq::s8>);
  STATIC_REQUIRE(sparq::weight_numeric<sparq::s4>);
  STATIC_REQUIRE(!sparq::weight_numeric<sparq::u8>);
  STATIC_REQUIRE(!sparq::weight_numeric<sparq::s32>);
  STATIC_REQUIRE(!sparq::weight_numeric<sparq::f32>);
}

TEST_CASE("weight_quantization: weights are divided, rounded half to even and kept in the narrow range") {
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

TEST_CASE("weight_quantization: division is not multiplication by the reciprocal") {
  // -0.1155 / 0.001 is -115.5 in float, a tie; times the float nearest to 1 / 0.001 it is -115.499992.
  STATIC_REQUIRE(sparq::quantize_code<sparq::s8>(-0.115500003f, 0.001f) == -116);
  STATIC_REQUIRE(sparq::quantize_code<sparq::s8>(-0.0775000006f, 0.001f) == -78);
}

TEST_CASE("weight_quantization: scales map the largest magnitude to the largest code") {
  const std::vector<float> weights{
      1.0f,  -2.0f, 0.5f, 4.0f, 7.0f,    //
      0.0f,  0.0f,  0.0f, 0.0f, 0.0f,    //
      -3.0f, 1.0f,  0.0f, 0.0f, -12.7f,  //
  };
  using namespace sparq;
  CHECK(chosen_scales<s8, per_tensor>(weights, 3, 5) == std::vector<float>{12.7f / 127});
  CHECK(chosen_scales<s8, per_channel>(weights, 3, 5) == std::vector<float>{7.0f / 127, 1.0f, 12.7f / 127});
  CHECK(chosen_scales<s4, per_channel>(weights, 3, 5) == std::vector<float>{1.0f, 1.0f, 12.7f / 7});
  CHECK(chosen_scales<s4, per_group<2>>(weights, 3, 5) ==
        std::vector<float>{2.0f / 7, 4.0f / 7, 1.0f, 1.0f, 1.0f, 1.0f, 3.0f / 7, 1.0f, 12.7f / 7});
  CHECK(chosen_scales<s4, per_group<8>>(weights, 3, 5) == chosen_scales<s4, per_channel>(weights, 3, 5));
}

TEST_CASE("weight_quantization: an empty matrix has the scales of zeros") {
  CHECK(chosen_scales<sparq::s8, sparq::per_tensor>({}, 0, 5) == std::vector<float>{1.0f});
  CHECK(chosen_scales<sparq::s8, sparq::per_channel>({}, 2, 0) == std::vector<float>{1.0f, 1.0f});
  CHECK(chosen_scales<sparq::s8, sparq::per_group<4>>({}, 2, 0).empty());
}

TEST_CASE("weight_quantization: weights too small for a normal scale get the smallest normal one") {
  CHECK(chosen_scales<sparq::s8, sparq::per_tensor>({FLT_MIN}, 1, 1) == std::vector<float>{FLT_MIN});
  CHECK(sparq::quantize_code<sparq::s8>(FLT_MIN, FLT_MIN) == 1);
}

TEMPLATE_TEST_CASE("weight_quantization: a weight is at most half a step from its code", "", sparq::s8, sparq::s4) {
  sparq_test::random_source random;
  INFO(random.text());
  constexpr std::size_t n = 7;
  constexpr std::size_t k = 45;
  using granularity = sparq::per_group<16>;
  for (const float range : {1e-30f, 1e-3f, 1.0f, 1e38f}) {
    std::vector<float> weights(n * k);
    for (float& weight : weights) weight = random.real(-range, range);
    const auto scales = chosen_scales<TestType, granularity>(weights, n, k);
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

TEMPLATE_TEST_CASE("weight_quantization: codes survive dequantization and quantization", "", sparq::s8, sparq::s4) {
  sparq_test::random_source random;
  INFO(random.text());
  for (int time = 0; time < 1000; ++time) {
    const float scale = random.real(1e-6f, 1.0f);
    for (std::int32_t code = -TestType::max_code; code <= TestType::max_code; ++code) {
      const auto narrow = static_cast<typename TestType::code>(code);
      const float value = sparq::dequantize_code<TestType>(narrow, scale);
      if (sparq::quantize_code<TestType>(value, scale) != code) {
        INFO("code " << code << ", scale " << scale);
        REQUIRE(sparq::quantize_code<TestType>(value, scale) == code);
      }
    }
  }
}

TEST_CASE("weight_quantization: a weight that is not finite is named with its position") {
  std::vector<float> weights(3 * 4, 1.0f);
  std::vector<float> scales(3);
  const auto message = [&] {
    return sparq::choose_scales<sparq::s8, sparq::per_channel>(weights, 3, 4, scales).message();
  };
  CHECK(message().empty());
  weights[11] = -std::numeric_limits<float>::infinity();
  CHECK(message() == "choose_scales: weight [n=2][k=3] is -inf");
  weights[6] = std::numeric_limits<float>::quiet_NaN();
  CHECK(message() == "choose_scales: weight [n=1][k=2] is nan");
}

TEST_CASE("weight_quantization: extents that do not match the arrays are refused") {
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
