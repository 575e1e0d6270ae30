// SPDX-License-Identifier: MIT
#include <sparq/numeric/requantize_fixed.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"
#include "tests/support/requantization.hpp"

#include <cmath>
#include <cstdint>
#include <random>
#include <type_traits>

using namespace sparq_test;

TEMPLATE_TEST_CASE("requantize_fixed: a million random accumulators agree with the definition", "", xnn_rndnu,
                   gemmlowp_legacy, glow, floor_shift_s32) {
  check_definition<TestType>();
}

TEST_CASE("requantize_fixed: xnn_rndnu multiplies by the mantissa of the float") {
  using parameters = xnn_rndnu::parameters;
  STATIC_REQUIRE(xnn_rndnu::from_scale(1.0f) == parameters{1 << 23, 23});
  STATIC_REQUIRE(xnn_rndnu::from_scale(0.75f) == parameters{3 << 22, 24});
  STATIC_REQUIRE(xnn_rndnu::from_scale(0x1p-32f) == parameters{1 << 23, 55});
  STATIC_REQUIRE(xnn_rndnu::from_scale(0x1.fffffep7f) == parameters{(1 << 24) - 1, 16});
  CHECK(xnn_rndnu::try_from_scale(256.0f).error().message() == "xnn_rndnu: scale 256 is not in [2^-32, 256)");
  CHECK(!xnn_rndnu::try_from_scale(0.0f).ok());
  // ties of acc / 4: up, where fp32_nearest_even goes to the even one
  for (const std::int32_t acc : {-6, -2, 2, 6})
    CHECK(xnn_rndnu::apply(acc, xnn_rndnu::from_scale(0.25f)) == std::lround(std::floor(acc / 4.0 + 0.5)));
}

TEST_CASE("requantize_fixed: gemmlowp_legacy adds its offset before it multiplies") {
  CHECK(gemmlowp_legacy::apply(5, {-5, 100, 3}) == 0);
  CHECK(gemmlowp_legacy::apply(6, {-5, 3, 1}) == 2);  // 1.5
  CHECK(gemmlowp_legacy::apply(highest, {highest, highest, 0}) == highest);
  CHECK(gemmlowp_legacy::apply(lowest, {lowest, highest, 31}) == lowest);
  CHECK(gemmlowp_legacy::parameters{0, -1, 0}.validate().message() ==
        "gemmlowp_legacy: multiplier -1 is not 0 or more");
  CHECK(gemmlowp_legacy::parameters{0, 1, 32}.validate().message() == "gemmlowp_legacy: shift 32 is not in [0, 31]");
}

// ---- Glow -----------------------------------------------------------------------------------------------------------

namespace {

/// pre, scale and post by the loops of Glow's documentation, in double.
glow::parameters glow_parameters(double scale) {
  glow::parameters p{0, 0, 0};
  while (scale < 0.5 || (scale < 256 && p.post < 15)) {
    scale *= 2;
    ++p.post;
  }
  while (scale < 255 && p.pre < p.post / 2) {
    scale *= 2;
    ++p.pre;
  }
  p.scale = static_cast<std::int32_t>(std::lround(scale));
  return p;
}

}  // namespace

TEST_CASE("requantize_fixed: powers of two become shifts alone") {
  using parameters = glow::parameters;
  STATIC_REQUIRE(glow::from_real(1.0f) == parameters{0, 1, 0});
  STATIC_REQUIRE(glow::from_real(0.125f) == parameters{0, 1, 3});
  STATIC_REQUIRE(glow::from_real(16.0f) == parameters{0, 16, 0});
  STATIC_REQUIRE(glow::from_real(0x1p-31f) == parameters{0, 1, 31});
  CHECK(glow::apply(20, glow::from_real(0.125f)) == 3);    // 2.5, ties up
  CHECK(glow::apply(-20, glow::from_real(0.125f)) == -2);  // -2.5
}

TEST_CASE("requantize_fixed: other factors get six to nine bits, at most 0.8 percent off below 1") {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  engine random(seed);
  double worst = 0;
  for (int i = 0; i < 200'000; ++i) {
    const auto factor = static_cast<float>(
        std::ldexp(std::uniform_real_distribution<double>(0.5, 1.0)(random), uniform(random, -28, 9)));
    int exponent = 0;
    if (std::frexp(factor, &exponent) == 0.5f) continue;
    const glow::parameters p = glow::from_real(factor);
    if (!(p == glow_parameters(factor)) || !p.validate().ok()) {
      INFO("factor " << factor);
      REQUIRE(p.validate().ok());
      REQUIRE(p == glow_parameters(factor));
    }
    const double meant = std::ldexp(p.scale, -p.post - p.pre);
    if (factor < 1) worst = (std::max)(worst, std::fabs(meant / factor - 1));
  }
  // pre is part of the factor: (acc >> pre) * scale >> post
  CHECK(worst < 0.008);
  CHECK(!glow::try_from_real(0.0f).ok());
  for (const std::string text : {"-1", "-2"})
    CHECK(glow::try_from_real(std::stof(text)).error().message() == "glow: scale " + text + " is not in [2^-31, 2^31)");
}

// ---- PULP-NN in 32 bits ---------------------------------------------------------------------------------------------

TEST_CASE("requantize_fixed: 4608 products of u8 and s8 leave a kappa of 14 in 32 bits") {
  constexpr std::int64_t sum = sparq::largest_sum(4608, 255, 127);
  STATIC_REQUIRE(sparq::floor_shift_fits_s32(sum, 14));
  STATIC_REQUIRE(!sparq::floor_shift_fits_s32(sum, 15));
  STATIC_REQUIRE(std::is_same_v<sparq::floor_shift_for<4608, 14>, floor_shift_s32>);
  STATIC_REQUIRE(std::is_same_v<sparq::floor_shift_for<4608, 15>, floor_shift>);
  STATIC_REQUIRE(std::is_same_v<sparq::floor_shift_for<4608, 14, 100'000'000>, floor_shift>);  // lambda counts as well
  STATIC_REQUIRE(!sparq::floor_shift_fits_s32(std::int64_t{INT32_MAX} + 1, 0));
}

TEST_CASE("requantize_fixed: what fits 32 bits gives the same as 64") {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  engine random(seed);
  int narrow = 0;
  for (int i = 0; i < 200'000; ++i) {
    const auto p = random_parameters<floor_shift>(random);
    const std::int64_t bound = std::int64_t{1} << uniform(random, 4, 31);
    const auto q = sparq::try_narrow(p, bound);
    if (!q) continue;
    ++narrow;
    const auto acc = static_cast<std::int32_t>((std::min)(uniform(random, -bound, bound), std::int64_t{highest}));
    if (floor_shift_s32::apply(acc, *q) != floor_shift::apply(acc, p)) {
      INFO("acc " << acc << ", kappa " << p.kappa << ", lambda " << p.lambda << ", shift " << p.shift);
      REQUIRE(floor_shift_s32::apply(acc, *q) == floor_shift::apply(acc, p));
    }
  }
  CHECK(narrow > 1000);
  CHECK(sparq::try_narrow({15, 0, 8}, sparq::largest_sum(4608, 255, 127)).error().message() ==
        "floor_shift_s32: kappa 15, lambda 0 and shift 8 need 64 bits for sums up to 149230080");
  CHECK(!sparq::try_narrow({1, 0, 40}, 10).ok());
  CHECK(sparq::try_narrow({1, 0, -1}, 10).error().message() == "floor_shift: shift -1 is not in [0, 63]");
  CHECK(sparq::try_narrow({1, INT64_MIN, 0}, 10).error().message() ==
        "floor_shift: lambda -9223372036854775808 is not in (-2^62, 2^62)");
}
