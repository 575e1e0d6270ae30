// SPDX-License-Identifier: MIT
#include <sparq/numeric/quantization_schema.hpp>

#include <sparq/numeric/requantize_fixed.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

using namespace sparq;
using schema = quantization_schema;

namespace {

/// From the meaning of each schema; the zero point by long double division of the end nearer to 0.
activation_quantization oracle(float min, float max, schema s, double least, double most) {
  double low = (std::min)(min, 0.0F), high = (std::max)(max, 0.0F);
  const bool positive = low >= 0;
  if (s != schema::asymmetric && !(s == schema::symmetric_with_unsigned && positive)) {
    if (low / least > high / most)
      high = static_cast<float>(low / least * most);
    else
      low = static_cast<float>(high / most * least);
  }
  double scale = (high - low) / (most - least);
  if (scale == 0) scale = 0.1;
  if (s == schema::symmetric_with_power2_scale) {
    int exponent = 0;
    scale = std::frexp(scale, &exponent) == 0.5 ? scale : std::ldexp(1.0, exponent);
  }
  const bool from_low = std::fabs(least) + std::fabs(low / scale) < std::fabs(most) + std::fabs(high / scale);
  double zero = from_low ? least - low / scale : most - high / scale;
  if (std::fabs(static_cast<float>(high) + static_cast<float>(low)) <= 0x1p-23F) zero = 0;
  if (s == schema::symmetric_with_power2_scale) zero = 0;
  return {static_cast<float>(scale), static_cast<std::int32_t>(std::round((std::min)((std::max)(zero, least), most)))};
}

template <class N>
void check_schemas() {
  sparq_test::random_source random;
  INFO(N::name << ", " << random.text());
  for (int i = 0; i < 50000; ++i) {
    const float reach = std::exp(random.real(-12.0F, 12.0F));
    float a = random.real(-reach, reach), b = random.chance(0.1) ? 0.0F : random.real(-reach, reach);
    if (random.chance(0.05)) b = a;
    for (const schema s : {schema::asymmetric, schema::symmetric, schema::symmetric_with_unsigned,
                           schema::symmetric_with_power2_scale}) {
      const float low = (std::min)(a, b), high = (std::max)(a, b);
      const auto q = choose_quantization<N>(low, high, s);
      INFO("[" << low << ", " << high << "], schema " << static_cast<int>(s));
      REQUIRE(q == oracle(low, high, s, N::min_code, N::max_code));
      REQUIRE(q.scale > 0);
      REQUIRE(q.zero_point >= N::min_code);
      REQUIRE(q.zero_point <= N::max_code);  // so 0 is exactly a code
      if (s == schema::symmetric || s == schema::symmetric_with_power2_scale) REQUIRE(q.zero_point == 0);
      if (s == schema::symmetric_with_unsigned) REQUIRE((q.zero_point == 0 || q.zero_point == N::min_code));
    }
  }
}

}  // namespace

TEST_CASE("quantization_schema: the four schemas for bytes and for 16 bits") {
  check_schemas<s8>();
  check_schemas<s16>();
}

TEST_CASE("quantization_schema: scales of a power of two are requantized by shifts alone") {
  const auto x = choose_quantization<s8>(-3.0F, 5.0F, schema::symmetric_with_power2_scale);
  const auto y = choose_quantization<s8>(-90.0F, 1.0F, schema::symmetric_with_power2_scale);
  CHECK(x.scale == 0.0625F);
  CHECK(y.scale == 1.0F);
  const glow::parameters p = glow::from_real(x.scale * 0.25F / y.scale);  // weights with scale 1/4
  CHECK(p == glow::parameters{0, 1, 6});
}

TEST_CASE("quantization_schema: a range too small for a normal scale gets the smallest normal one") {
  for (const schema s : {schema::asymmetric, schema::symmetric, schema::symmetric_with_unsigned,
                         schema::symmetric_with_power2_scale}) {
    const auto q = choose_quantization<s8>(-1e-40F, 1e-44F, s);
    CHECK(q.scale == 0x1p-126F);
    CHECK(q.zero_point == 0);
  }
}

TEST_CASE("quantization_schema: ranges that are none are refused") {
  CHECK(try_choose_quantization<s8>(NAN, 1, schema::symmetric).error().message().find("min is nan") !=
        std::string::npos);
  CHECK(!try_choose_quantization<s8>(0, INFINITY, schema::symmetric).ok());
  CHECK(try_choose_quantization<s8>(2, 1, schema::asymmetric).error().message() ==
        "choose_quantization: min 2 exceeds max 1");
  CHECK(choose_quantization<s8>(0, 0, schema::asymmetric) == activation_quantization{0.1F, 0});
}
