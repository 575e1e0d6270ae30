// SPDX-License-Identifier: MIT
#include <sparq/op/softmax.hpp>

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

template <class Y, class X>
std::vector<Y> softmax_of(const std::vector<X>& x, const softmax_parameters& parameters) {
  std::vector<Y> y(x.size());
  softmax(matrix_view<const X>(x.data(), 1, x.size()), matrix_view<Y>(y.data(), 1, y.size()), parameters);
  return y;
}

/// exp(beta scale x) / sum, as codes of scale 2^-bits that are not rounded.
template <class Y, class X>
std::vector<double> real_softmax_of(const std::vector<X>& x, double scale) {
  double sum = 0;
  std::vector<double> y;
  for (const X code : x) sum += std::exp(scale * code);
  for (const X code : x)
    y.push_back(std::exp(scale * code) / sum * std::exp2(8 * sizeof(Y)) + std::numeric_limits<Y>::lowest());
  return y;
}

}  // namespace

TEST_CASE("softmax: constants are what they are called") {
  const double one = 0x1p31;
  CHECK(machine::fixed_exp_near_zero(-(1 << 28)) == std::lround(std::exp(-0.125) * one));
  for (int a = 1; a < 64; ++a) {
    INFO("exp(-" << a << "/4)");
    CHECK(std::abs(machine::fixed_exp(-a * (1 << 24)) - std::exp(-a / 4.0) * one) < 2500);  // 1.2e-6
  }
  CHECK(machine::fixed_exp(0) == INT32_MAX);
  CHECK(machine::fixed_exp(INT32_MIN) < 300);
}

TEST_CASE("softmax: the reciprocal is right to seven digits") {
  for (std::int64_t a = 0; a <= INT32_MAX; a += 1234567) {
    const double got = machine::fixed_reciprocal_of_one_plus(static_cast<std::int32_t>(a)) * 0x1p-31;
    if (std::abs(got * (1 + static_cast<double>(a) * 0x1p-31) - 1) > 1e-7) {
      INFO("a " << a);
      REQUIRE(got * (1 + static_cast<double>(a) * 0x1p-31) == Approx(1).epsilon(1e-7));
    }
  }
}

TEST_CASE("softmax: fixed-point products and shifts round as gemmlowp's") {
  STATIC_REQUIRE(machine::fixed_product(INT32_MIN, INT32_MIN) == INT32_MAX);
  STATIC_REQUIRE(machine::fixed_product(-3, 1 << 30) == -1);
  STATIC_REQUIRE(machine::fixed_product(3, 1 << 30) == 2);
  STATIC_REQUIRE(machine::fixed_shift_right(-3, 1) == -2);
  STATIC_REQUIRE(machine::fixed_shift_right(3, 1) == 2);
  STATIC_REQUIRE(machine::fixed_shift_right(-1, 1) == -1);
  STATIC_REQUIRE(machine::fixed_shift_right(INT32_MAX, 40) == 0);
  STATIC_REQUIRE(machine::fixed_shift_left(INT32_MIN / 2, 2) == INT32_MIN);
}

TEST_CASE("softmax: codes of TFLite's reference kernel") {
  const softmax_parameters keywords{1242899200, 24, -124};
  const std::vector<std::int8_t> x{-128, -60, -3, 14, 20, 31, 40, 45, 50, 52, 53, 57};
  CHECK(softmax_of<std::int8_t>(x, keywords) ==
        std::vector<std::int8_t>{-128, -128, -128, -128, -128, -126, -120, -111, -94, -82, -75, -33});
  CHECK(softmax_of<std::int16_t>(x, keywords) == std::vector<std::int16_t>{-32768, -32768, -32764, -32720, -32653,
                                                                           -32204, -30694, -28493, -23955, -20997,
                                                                           -19164, -8501});
  std::vector<std::uint8_t> shifted;
  for (const int code : x) shifted.push_back(static_cast<std::uint8_t>(code + 128));
  CHECK(softmax_of<std::uint8_t>(shifted, keywords) ==
        std::vector<std::uint8_t>{0, 0, 0, 0, 0, 2, 8, 17, 34, 46, 53, 95});

  const softmax_parameters flat{1717986918, 20, -1984};
  const std::vector<std::int8_t> extremes{-128, 127, 0, 1, 2, 3, 100, 126};
  CHECK(softmax_of<std::int8_t>(extremes, flat) ==
        std::vector<std::int8_t>{-125, -56, -113, -113, -113, -113, -77, -57});
  CHECK(softmax_of<std::int16_t>(extremes, flat) ==
        std::vector<std::int16_t>{-32012, -14440, -29021, -28974, -28926, -28878, -19690, -14668});
}

TEST_CASE("softmax: a single column is as near to 1 as the codes reach, equal columns are equal") {
  const softmax_parameters p{1242899200, 24, -124};
  CHECK(softmax_of<std::int8_t>(std::vector<std::int8_t>{5}, p) == std::vector<std::int8_t>{127});
  CHECK(softmax_of<std::int16_t>(std::vector<std::int8_t>{5}, p) == std::vector<std::int16_t>{32767});
  CHECK(softmax_of<std::int8_t>(std::vector<std::int8_t>(3, 5), p) == std::vector<std::int8_t>(3, -43));
  CHECK(softmax_of<std::int16_t>(std::vector<std::int8_t>(3, 5), p) == std::vector<std::int16_t>(3, -10923));
}

TEMPLATE_TEST_CASE("softmax: codes stay within one step of the real numbers", "", std::int8_t, std::uint8_t) {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  for (int trial = 0; trial < 500; ++trial) {
    const double scale = std::exp(std::uniform_real_distribution<double>(-6, 0)(random));
    const softmax_parameters p = softmax_parameters::from_scale(scale);
    std::vector<TestType> x(1 + random() % 40);
    for (auto& code : x) code = static_cast<TestType>(random());
    const auto got = softmax_of<std::int8_t>(x, p);
    const auto want = real_softmax_of<std::int8_t>(x, scale);
    for (std::size_t c = 0; c < x.size(); ++c)
      if (std::abs((std::min)(want[c], 127.0) - got[c]) > 1) {
        INFO("scale " << scale << ", column " << c);
        REQUIRE(want[c] == Approx(got[c]).margin(1));
      }
  }
}

TEST_CASE("softmax: sums of many columns do not overflow") {
  const softmax_parameters p{1242899200, 24, -124};
  for (const std::size_t columns : {4095u, 4096u, 8191u, 8192u, 20000u}) {
    INFO(columns << " columns");
    const auto y = softmax_of<std::int16_t>(std::vector<std::int8_t>(columns, 9), p);
    const auto want = static_cast<std::int16_t>(std::lround(65536.0 / static_cast<double>(columns)) - 32768);
    CHECK(y == std::vector<std::int16_t>(columns, want));
  }
}

TEST_CASE("softmax: parameters follow from the scale as in TFLite") {
  CHECK(softmax_parameters::from_scale(0.14469251036643982) == softmax_parameters{1242899200, 24, -124});
  CHECK(softmax_parameters::from_scale(0.07234625518321991, 2.0) == softmax_parameters{1242899200, 24, -124});
  CHECK(softmax_parameters::from_scale(1e10) == softmax_parameters{INT32_MAX, 31, 0});
  CHECK(softmax_parameters::try_from_scale(0.0).error().message() ==
        "softmax: beta * scale 0 is not in [2^-26, infinity)");
  CHECK_FALSE(softmax_parameters::try_from_scale(std::nan("")).ok());
  CHECK_FALSE(softmax_parameters::try_from_scale(-1.0).ok());
}

TEST_CASE("softmax: rows are independent, strides are kept, and X may be Y") {
  const softmax_parameters p{1242899200, 24, -124};
  std::vector<std::int8_t> x{1, 2, 99, 30, -30, 99};
  softmax(matrix_view<std::int8_t>(x.data(), 2, 2, 3), matrix_view<std::int8_t>(x.data(), 2, 2, 3), p);
  const auto first = softmax_of<std::int8_t>(std::vector<std::int8_t>{1, 2}, p);
  const auto second = softmax_of<std::int8_t>(std::vector<std::int8_t>{30, -30}, p);
  CHECK(x == std::vector<std::int8_t>{first[0], first[1], 99, second[0], second[1], 99});
}

TEST_CASE("softmax: floats, also far from zero and with -infinity") {
  const float infinity = std::numeric_limits<float>::infinity();
  std::vector<float> x{1000, 1001, 999, 0, -infinity, 0};
  softmax(matrix_view<const float>(x.data(), 2, 3), matrix_view<float>(x.data(), 2, 3));
  CHECK(x[0] == Approx(0.24472847));
  CHECK(x[1] == Approx(0.66524096));
  CHECK(x[2] == Approx(0.09003057));
  CHECK(x[3] == 0.5F);
  CHECK(x[4] == 0.0F);
  CHECK(x[5] == 0.5F);
}

TEST_CASE("softmax: arguments that make no sense are refused") {
  std::vector<std::int8_t> x(6), y(6);
  const matrix_view<const std::int8_t> in(x.data(), 2, 3);
  const auto sentence = [&](matrix_view<std::int8_t> out, const softmax_parameters& p) {
    return try_softmax(in, out, p).message();
  };
  const softmax_parameters good{1 << 30, 20, -10};
  CHECK(sentence({y.data(), 3, 2}, good) == "softmax: X is 2 x 3, Y is 3 x 2");
  CHECK(sentence({y.data(), 2, 3, 2}, good) == "softmax: Y has a stride of 2; at least 3 are needed");
  CHECK(sentence({y.data(), 2, 3}, {1, 20, -10}) == "softmax: input_multiplier 1 is not in [2^30, 2^31)");
  CHECK(sentence({y.data(), 2, 3}, {1 << 30, 32, -10}) == "softmax: input_left_shift 32 is not in [0, 31]");
  CHECK(sentence({y.data(), 2, 3}, {1 << 30, 20, 1}) == "softmax: diff_min 1 is not 0 or less");
  CHECK(sentence({y.data(), 2, 3}, good) == "");
  std::vector<float> f(6);
  CHECK(try_softmax(matrix_view<const float>(f.data(), 2, 3), matrix_view<float>(f.data(), 6, 1)).message() ==
        "softmax: X is 2 x 3, Y is 6 x 1");
  CHECK(
      try_softmax(matrix_view<const std::int8_t>(x.data(), 2, 0), matrix_view<std::int8_t>(y.data(), 2, 0), good).ok());
}
