// SPDX-License-Identifier: MIT
#pragma once
// What requantization policies are defined as, written with divisions and remainders instead of shifts and thresholds,
// and random parameters for them.

#include <sparq/numeric/requantize.hpp>
#include <sparq/numeric/requantize_fixed.hpp>
#include <sparq/numeric/requantize_float.hpp>
#include <sparq/numeric/requantize_wide.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <limits>
#include <random>
#include <type_traits>

namespace sparq_test {

using sparq::floor_shift;
using sparq::floor_shift_s32;
using sparq::fp32_nearest_even;
using sparq::gemmlowp_legacy;
using sparq::glow;
using sparq::ncnn;
using sparq::onnx;
using sparq::tflite_16x8;
using sparq::tflite_double;
using sparq::tflite_single;
using sparq::xnn_rndnu;

inline constexpr std::int32_t lowest = std::numeric_limits<std::int32_t>::min();
inline constexpr std::int32_t highest = std::numeric_limits<std::int32_t>::max();

// ---- the definitions, written with divisions and remainders instead of shifts and thresholds ------------------------

struct quotient {
  std::int64_t floor;
  std::int64_t rest;  // [0, divisor)
};

inline quotient divide(std::int64_t value, std::int64_t divisor) {
  quotient q{value / divisor, value % divisor};
  if (q.rest < 0) q = {q.floor - 1, q.rest + divisor};
  return q;
}

inline std::int64_t nearest_ties_up(std::int64_t value, std::int64_t divisor) {
  const quotient q = divide(value, divisor);
  return q.floor + (q.rest >= divisor - q.rest ? 1 : 0);
}

inline std::int64_t nearest_ties_away(std::int64_t value, std::int64_t divisor) {
  const std::int64_t magnitude = nearest_ties_up(std::abs(value), divisor);
  return value < 0 ? -magnitude : magnitude;
}

inline std::int64_t saturated(std::int64_t value) {
  return (std::min)((std::max)(value, std::int64_t{lowest}), std::int64_t{highest});
}

inline std::int64_t definition(std::int32_t acc, tflite_double::parameters p) {
  const std::int64_t shifted = p.shift > 0 ? saturated(acc * (std::int64_t{1} << p.shift)) : acc;
  const std::int64_t high = nearest_ties_up(shifted * p.multiplier, std::int64_t{1} << 31);
  return p.shift > 0 ? high : nearest_ties_away(high, std::int64_t{1} << -p.shift);
}

inline std::int64_t definition(std::int32_t acc, tflite_single::parameters p) {
  return saturated(nearest_ties_up(std::int64_t{acc} * p.multiplier, std::int64_t{1} << (31 - p.shift)));
}

inline std::int64_t definition(std::int32_t acc, floor_shift::parameters p) {
  const std::int64_t value = std::int64_t{acc} * p.kappa + p.lambda;
  if (p.shift == 63) return value < 0 ? -1 : 0;  // 2^63 is no int64
  return saturated(divide(value, std::int64_t{1} << p.shift).floor);
}

// mantissa * 2^exponent with integers only: the definition of binary32 arithmetic without a floating-point unit.
struct exact {
  std::uint64_t mantissa;
  int exponent;
};

// mantissa / 2^drop, ties to even.
inline std::uint64_t drop_bits(std::uint64_t mantissa, int drop) {
  if (drop > 63) return 0;
  const std::uint64_t unit = std::uint64_t{1} << drop;
  const std::uint64_t kept = mantissa / unit;
  const std::uint64_t rest = mantissa % unit;
  return kept + (rest > unit - rest || (rest == unit - rest && kept % 2 == 1) ? 1 : 0);
}

inline exact to_binary32(exact value) {
  int width = 0;
  while (width < 64 && (value.mantissa >> width) != 0) ++width;
  if (width <= 24) return value;
  return {drop_bits(value.mantissa, width - 24), value.exponent + width - 24};
}

inline std::int64_t definition(std::int32_t acc, fp32_nearest_even::parameters p) {
  int exponent = 0;
  const auto mantissa = static_cast<std::uint64_t>(std::ldexp(std::frexp(p.scale, &exponent), 24));
  const exact factor = to_binary32({static_cast<std::uint64_t>(std::abs(std::int64_t{acc})), 0});
  const exact product = to_binary32({factor.mantissa * mantissa, factor.exponent + exponent - 24});
  std::int64_t magnitude = 0;
  if (product.exponent <= 0) {
    magnitude = static_cast<std::int64_t>(drop_bits(product.mantissa, -product.exponent));
  } else if (product.mantissa != 0) {  // at least 2^23 * 2^exponent, or an exact small product
    magnitude = static_cast<std::int64_t>(product.mantissa) << (std::min)(product.exponent, 32);
  }
  return saturated(acc < 0 ? -magnitude : magnitude);
}

inline std::int64_t definition(std::int32_t acc, xnn_rndnu::parameters p) {
  return saturated(nearest_ties_up(std::int64_t{acc} * p.multiplier, std::int64_t{1} << p.shift));
}

inline std::int64_t definition(std::int32_t acc, gemmlowp_legacy::parameters p) {
  return saturated(nearest_ties_up((std::int64_t{acc} + p.offset) * p.multiplier, std::int64_t{1} << p.shift));
}

inline std::int64_t definition(std::int32_t acc, glow::parameters p) {
  const std::int64_t input = divide(acc, std::int64_t{1} << p.pre).floor;
  return saturated(nearest_ties_up(input * p.scale, std::int64_t{1} << p.post));
}

inline std::int64_t definition(std::int64_t acc, tflite_16x8::parameters p) {
  const std::int64_t limit = std::int64_t{1} << 47;
  const std::int64_t upper_half = (std::min)(nearest_ties_up(p.multiplier, 65536), std::int64_t{32767});
  acc = (std::min)((std::max)(acc, -limit), limit - 1);
  return saturated(nearest_ties_up(acc * upper_half, std::int64_t{1} << (15 - p.shift)));
}

inline std::int64_t definition(std::int32_t acc, floor_shift_s32::parameters p) {
  return divide(std::int64_t{acc} * p.kappa + p.lambda, std::int64_t{1} << p.shift).floor;
}

// One binary32 rounding of what double holds exactly, or rounds so that rounding twice does no harm (a quotient).
inline float once(double value) { return static_cast<float>(value); }

inline std::int64_t definition(std::int32_t acc, onnx::parameters p) {
  const float value = once(double{once(acc)} * double{p.x_scale});
  const double steps = once(double{value} / double{p.y_scale});
  const double down = std::floor(steps), fraction = steps - down;
  const bool up = fraction > 0.5 || (fraction == 0.5 && std::fmod(down, 2.0) != 0.0);
  return saturated(static_cast<std::int64_t>((std::min)((std::max)(down + (up ? 1 : 0), -1e15), 1e15)));
}

inline std::int64_t definition(std::int32_t acc, ncnn::parameters p) {
  const double steps = once(double{once(acc)} * double{p.scale});
  const double magnitude = std::floor(std::fabs(steps) + 0.5);  // exact in double
  return static_cast<std::int64_t>((std::min)(magnitude, 127.0)) * (steps < 0 ? -1 : 1);
}

// ---- random parameters and accumulators -----------------------------------------------------------------------------

using engine = std::mt19937_64;

template <class T>
T uniform(engine& random, T low, T high) {
  return std::uniform_int_distribution<T>(low, high)(random);
}

// A third of the multipliers have few bits, so that ties are frequent.
inline std::int32_t random_multiplier(engine& random) {
  const auto any = uniform<std::int32_t>(random, 1 << 30, highest);
  return uniform(random, 0, 2) != 0 ? any : (any >> 27) << 27;
}

template <class Policy>
typename Policy::parameters random_parameters(engine& random) {
  if constexpr (std::is_same_v<Policy, tflite_double>) {
    return {random_multiplier(random), uniform(random, -31, 31)};
  } else if constexpr (std::is_same_v<Policy, tflite_single>) {
    return {random_multiplier(random), uniform(random, -31, 30)};
  } else if constexpr (std::is_same_v<Policy, fp32_nearest_even>) {
    const auto mantissa = static_cast<double>(random_multiplier(random) >> 7);
    return {static_cast<float>(std::ldexp(mantissa, uniform(random, -56, -15)))};  // 2^-33 to 2^9
  } else if constexpr (std::is_same_v<Policy, xnn_rndnu>) {
    return {random_multiplier(random) >> 7, uniform(random, 16, 55)};
  } else if constexpr (std::is_same_v<Policy, gemmlowp_legacy>) {
    return {uniform(random, lowest, highest) >> uniform(random, 0, 30),
            random_multiplier(random) >> uniform(random, 0, 30), uniform(random, 0, 31)};
  } else if constexpr (std::is_same_v<Policy, glow>) {
    return {uniform(random, 0, 31), random_multiplier(random) >> uniform(random, 0, 30), uniform(random, 0, 62)};
  } else if constexpr (std::is_same_v<Policy, tflite_16x8>) {
    return {uniform(random, 0, 7) != 0 ? random_multiplier(random) : highest - uniform(random, 0, 70000),
            uniform(random, -31, 7)};
  } else if constexpr (std::is_same_v<Policy, floor_shift_s32>) {
    return {uniform(random, -15, 15), uniform(random, -100000000, 100000000), uniform(random, 0, 31)};
  } else if constexpr (std::is_same_v<Policy, onnx>) {
    const auto scale = [&](int least, int most) {
      return static_cast<float>(std::ldexp(random_multiplier(random) >> 7, uniform(random, least, most)));
    };
    return {scale(-40, -20), scale(-40, -20)};
  } else if constexpr (std::is_same_v<Policy, ncnn>) {
    return {static_cast<float>(std::ldexp(random_multiplier(random) >> 7, uniform(random, -56, -15)))};
  } else {
    static_assert(std::is_same_v<Policy, floor_shift>);
    const int bits = uniform(random, 1, 62);
    const std::int64_t limit = (std::int64_t{1} << bits) - 1;
    return {uniform(random, lowest, highest) >> uniform(random, 0, 30), uniform(random, -limit, limit),
            uniform(random, 0, 63)};
  }
}

inline std::int32_t random_accumulator(engine& random) {
  constexpr std::int32_t edges[] = {lowest, lowest + 1, -(1 << 24) - 1, -1, 0, 1, (1 << 24) + 1, highest - 1, highest};
  if (uniform(random, 0, 15) == 0) return edges[uniform<std::size_t>(random, 0, std::size(edges) - 1)];
  return static_cast<std::int32_t>(uniform(random, lowest, highest) >> uniform(random, 0, 30));
}

/// Any accumulator that the policy takes: floor_shift_s32 has 32 bits for its products.
template <class Policy>
std::int32_t accumulator_for(engine& random) {
  const std::int32_t acc = random_accumulator(random);
  return std::is_same_v<Policy, floor_shift_s32> ? acc / 16 : acc;
}

/// A million random accumulators agree with the definition. How many of the results are an end of int32.
template <class Policy>
int check_definition() {
  STATIC_REQUIRE(sparq::requantization_policy<Policy>);
  const auto seed = random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  engine random(seed);
  int ends = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    const auto p = random_parameters<Policy>(random);
    const std::int32_t acc = accumulator_for<Policy>(random);
    const std::int32_t result = Policy::apply(acc, p);
    if (!p.validate().ok() || result != definition(acc, p)) {
      INFO("acc " << acc << ", draw " << i);
      REQUIRE(p.validate().ok());
      REQUIRE(result == definition(acc, p));
    }
    ends += result == lowest || result == highest ? 1 : 0;
  }
  return ends;
}

}  // namespace sparq_test
