// SPDX-License-Identifier: MIT
#include <sparq/numeric/rounding.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <cfenv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>

namespace {

constexpr float infinite = std::numeric_limits<float>::infinity();

// From the definition: the nearer of the two neighbours, the even one in the middle. Exact in double.
double nearest_even(double value) {
  const double down = std::floor(value);
  const double fraction = value - down;
  if (fraction != 0.5) return fraction < 0.5 ? down : down + 1;
  return std::fmod(down, 2.0) == 0.0 ? down : down + 1;
}

std::int32_t expected_of(float value) {
  const double rounded = nearest_even(value);
  if (rounded <= -2147483648.0) return std::numeric_limits<std::int32_t>::min();
  if (rounded >= 2147483647.0) return std::numeric_limits<std::int32_t>::max();
  return static_cast<std::int32_t>(rounded);
}

}  // namespace

TEST_CASE("rounding: ties go to the even integer") {
  using sparq::round_half_even;
  STATIC_REQUIRE(round_half_even(0.5f) == 0);
  STATIC_REQUIRE(round_half_even(1.5f) == 2);
  STATIC_REQUIRE(round_half_even(2.5f) == 2);
  STATIC_REQUIRE(round_half_even(-0.5f) == 0);
  STATIC_REQUIRE(round_half_even(-1.5f) == -2);
  STATIC_REQUIRE(round_half_even(-2.5f) == -2);
  STATIC_REQUIRE(round_half_even(4194302.5f) == 4194302);
  STATIC_REQUIRE(round_half_even(4194303.5f) == 4194304);
}

TEST_CASE("rounding: the neighbours of a tie go to the nearer integer") {
  CHECK(sparq::round_half_even(std::nextafter(0.5f, 1.0f)) == 1);
  CHECK(sparq::round_half_even(std::nextafter(0.5f, 0.0f)) == 0);
  CHECK(sparq::round_half_even(std::nextafter(-1.5f, 0.0f)) == -1);
  CHECK(sparq::round_half_even(std::nextafter(2.5f, 3.0f)) == 3);
}

TEST_CASE("rounding: values beyond int32 become the nearest end and NaN becomes 0") {
  using sparq::round_half_even;
  STATIC_REQUIRE(round_half_even(2147483648.0f) == INT32_MAX);
  STATIC_REQUIRE(round_half_even(2147483520.0f) == 2147483520);
  STATIC_REQUIRE(round_half_even(-2147483648.0f) == INT32_MIN);
  STATIC_REQUIRE(round_half_even(-2147483520.0f) == -2147483520);
  STATIC_REQUIRE(round_half_even(infinite) == INT32_MAX);
  STATIC_REQUIRE(round_half_even(-infinite) == INT32_MIN);
  STATIC_REQUIRE(round_half_even(std::numeric_limits<float>::quiet_NaN()) == 0);
}

TEST_CASE("rounding: half to even agrees with its definition on random bit patterns") {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  for (int i = 0; i < 2'000'000; ++i) {
    // Half of the patterns are anything; half are multiples of 1/4, where ties are frequent.
    float value = 0;
    if (const auto bits = static_cast<std::uint32_t>(random()); i % 2 == 0) {
      std::memcpy(&value, &bits, sizeof value);
    } else {
      value = static_cast<float>(static_cast<std::int32_t>(bits) >> (bits % 28)) * 0.25f;
    }
    if (std::isnan(value)) continue;
    if (sparq::round_half_even(value) != expected_of(value)) {
      INFO("value " << value);
      REQUIRE(sparq::round_half_even(value) == expected_of(value));
    }
  }
}

TEST_CASE("rounding: the current rounding mode does not matter") {
  const int mode = std::fegetround();
  for (const int other : {FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO}) {
    REQUIRE(std::fesetround(other) == 0);
    bool same = true;
    for (int i = -4001; i <= 4001; ++i) {
      volatile float quarter = static_cast<float>(i) * 0.25f;
      same = same && sparq::round_half_even(quarter) == expected_of(quarter);
    }
    volatile float odd = 8388609.0f;
    volatile float even = 8388610.0f;
    same = same && sparq::round_half_even(odd) == 8388609 && sparq::round_half_even(even) == 8388610;
    std::fesetround(mode);
    CHECK(same);
  }
}

TEST_CASE("rounding: a product is rounded to float before it is rounded to an integer") {
  // Each product is x.5 as a float and not as a real number; rounding it once, fused, gives the other neighbour.
  struct product {
    float factor;
    float scale;
    std::int32_t rounded;
  };
  const auto agrees = [](product p) {
    volatile float factor = p.factor;
    volatile float scale = p.scale;
    const float a = factor;
    const float b = scale;
    return sparq::round_half_even(a * b) == p.rounded;
  };
  CHECK(agrees({24590.0f, 0x1.b66abcp-8f, 164}));    // 164.500005
  CHECK(agrees({-23963.0f, 0x1.b850fp-9f, -80}));    // -80.5000015
  CHECK(agrees({22049.0f, 0x1.9ea262p-8f, 140}));    // 139.499998
  CHECK(agrees({-22498.0f, 0x1.c4f782p-8f, -156}));  // -155.499995
}

TEST_CASE("rounding: int64 saturates to int32") {
  STATIC_REQUIRE(sparq::saturate_to_int32(INT64_MAX) == INT32_MAX);
  STATIC_REQUIRE(sparq::saturate_to_int32(INT64_MIN) == INT32_MIN);
  STATIC_REQUIRE(sparq::saturate_to_int32(std::int64_t{INT32_MAX} + 1) == INT32_MAX);
  STATIC_REQUIRE(sparq::saturate_to_int32(std::int64_t{INT32_MIN} - 1) == INT32_MIN);
  STATIC_REQUIRE(sparq::saturate_to_int32(INT32_MAX) == INT32_MAX);
  STATIC_REQUIRE(sparq::saturate_to_int32(INT32_MIN) == INT32_MIN);
  STATIC_REQUIRE(sparq::saturate_to_int32(-7) == -7);
}

TEST_CASE("rounding: away from ties, down, up and towards zero agree with the C library") {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  const auto saturated = [](double value) {
    return static_cast<std::int32_t>(value <= -2147483648.0  ? -2147483648.0
                                     : value >= 2147483647.0 ? 2147483647.0
                                                             : value);
  };
  for (int i = 0; i < 1'000'000; ++i) {
    float value = 0;
    if (i % 2 == 0) {
      const auto bits = static_cast<std::uint32_t>(random());
      std::memcpy(&value, &bits, sizeof value);
    } else {  // ties, integers and their neighbours
      value = static_cast<float>(static_cast<std::int32_t>(random()) >> (random() % 31)) * 0.5f;
      if (i % 3 == 0) value = std::nextafter(value, i % 6 == 0 ? infinite : -infinite);
    }
    if (std::isnan(value)) continue;
    const double exact = value;
    const bool agree = sparq::round_half_away(value) == saturated(std::round(exact)) &&
                       sparq::round_down(value) == saturated(std::floor(exact)) &&
                       sparq::round_up_to_integer(value) == saturated(std::ceil(exact)) &&
                       sparq::round_toward_zero(value) == saturated(std::trunc(exact));
    if (!agree) {
      INFO("value " << value);
      REQUIRE(agree);
    }
  }
  STATIC_REQUIRE(sparq::rounding::down::apply(-0.5f) == -1);
  STATIC_REQUIRE(sparq::rounding::up::apply(-0.5f) == 0);
  STATIC_REQUIRE(sparq::rounding::nearest_away::apply(-0.5f) == -1);
  STATIC_REQUIRE(sparq::rounding::toward_zero::apply(std::numeric_limits<float>::quiet_NaN()) == 0);
}
