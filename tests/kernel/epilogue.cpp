// SPDX-License-Identifier: MIT
#include <sparq/kernel/epilogue.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <cmath>
#include <string>
#include <vector>

using namespace sparq;

namespace {

/// Random accumulators, ends of the range and ties among them, through one epilogue.
template <class Y, class Epilogue, class Want>
void check(std::size_t m, std::size_t n, const Epilogue& stages, Want&& want) {
  sparq_test::random_source random;
  INFO(random.text() << ", " << m << " x " << n);
  std::vector<std::int32_t> tile(m * n), sums(n);
  for (auto& v : tile) v = random.chance(0.1) ? random.between(-2, 2) * 100000000 : random.between(-60000, 60000);
  for (auto& v : sums) v = random.between(-1000, 1000);
  std::vector<Y> y(m * (n + 1), static_cast<Y>(0x5c));
  REQUIRE(stages.check(m, n).ok());
  store_tile(tile.data(), n, m, n, 0, matrix_view<Y>(y.data(), m, n, n + 1), {0, 0, 0, sums.data()}, stages);
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t j = 0; j < n; ++j) REQUIRE(y[i * (n + 1) + j] == want(tile[i * n + j], i, j, sums[j]));
    REQUIRE(y[i * (n + 1) + n] == static_cast<Y>(0x5c));
  }
}

template <class Policy, class Make>
void check_policy(Make&& make) {
  sparq_test::random_source random;
  INFO(Policy::name << ", " << random.text());
  for (const std::size_t n : {1u, 15u, 16u, 17u, 40u}) {
    std::vector<typename Policy::parameters> parameters;
    for (std::size_t i = 0; i < n; ++i) parameters.push_back(make(random));
    const std::span<const typename Policy::parameters> all(parameters);
    check<std::uint8_t>(7, n, epilogue(requantize_to_codes<u8>(all, 3)),
                        [&](std::int32_t acc, std::size_t, std::size_t j, std::int32_t) {
                          return requantize_to<u8>(acc, parameters[j], 3, 0, 255);
                        });
    check<std::int8_t>(5, n, epilogue(requantize_to_codes<s8>(parameters[0], -7, -100, 90)),
                       [&](std::int32_t acc, std::size_t, std::size_t, std::int32_t) {
                         return requantize_to<s8>(acc, parameters[0], -7, -100, 90);
                       });
  }
}

}  // namespace

TEST_CASE("epilogue: every requantization policy equals its scalar oracle, per channel and per tensor") {
  const auto multiplier = [](auto& random) { return std::exp(static_cast<double>(random.real(-12.0F, -1.0F))); };
  check_policy<fp32_nearest_even>(
      [&](auto& random) { return fp32_nearest_even::parameters{static_cast<float>(multiplier(random))}; });
  check_policy<tflite_double>([&](auto& random) { return tflite_double::from_real(multiplier(random)); });
  check_policy<tflite_single>([&](auto& random) { return tflite_single::from_real(multiplier(random)); });
  check_policy<floor_shift>([&](auto& random) {
    return floor_shift::parameters{random.between(-3000, 3000), random.between(-100000, 100000), random.between(0, 24)};
  });
}

TEST_CASE("epilogue: a million products round as the oracle does, ties included") {
  sparq_test::random_source random;
  INFO(random.text());
  for (const float factor : {0.5F, 0.25F, 0.003F, 1.0F / 3.0F}) {
    std::vector<std::int32_t> tile(1 << 18);
    for (auto& v : tile) v = random.chance(0.5) ? random.between(-2000, 2000) : random.between(-(1 << 30), 1 << 30);
    std::vector<std::int32_t> y(tile.size());
    const fp32_nearest_even::parameters parameters{factor};
    store_tile(tile.data(), tile.size(), 1, tile.size(), 0, matrix_view<std::int32_t>(y.data(), 1, y.size()), {},
               epilogue(scale(factor), round_to_integer()));
    for (std::size_t i = 0; i < tile.size(); ++i) {
      const std::int32_t want = fp32_nearest_even::apply(tile[i], parameters);
      if (want < 2147483520) REQUIRE(y[i] == want);
    }
  }
}

TEST_CASE("epilogue: stages run in their order") {
  const std::vector<std::int32_t> of_channel = {10, -20, 30};
  const std::vector<float> factors = {0.5F, 2.0F, 1.0F};
  check<std::int32_t>(3, 3, epilogue(bias(of_channel), subtract_zero_point(5), relu()),
                      [&](std::int32_t acc, std::size_t, std::size_t j, std::int32_t sum) {
                        return (std::max)(acc + of_channel[j] - 5 * sum, 0);
                      });
  check<float>(2, 3, epilogue(scale_per_channel(factors), scale(0.5F), clamp<float>(-9, 9)),
               [&](std::int32_t acc, std::size_t, std::size_t j, std::int32_t) {
                 return (std::min)((std::max)(static_cast<float>(acc) * factors[j] * 0.5F, -9.0F), 9.0F);
               });
  const std::vector<float> of_row = {2.0F, 3.0F};
  check<float>(2, 20, epilogue(scale_per_row(of_row)),
               [&](std::int32_t acc, std::size_t i, std::size_t, std::int32_t) {
                 return static_cast<float>(acc) * of_row[i];
               });
}

TEST_CASE("epilogue: a residual may be Y itself") {
  std::vector<std::int32_t> y = {1, 2, 3, 4, 5, 6};
  const std::vector<std::int32_t> tile = {10, 20, 30, 40, 50, 60};
  const matrix_view<std::int32_t> view(y.data(), 2, 3);
  store_tile(tile.data(), 3, 2, 3, 0, view, {}, epilogue(add(view)));
  CHECK(y == std::vector<std::int32_t>{11, 22, 33, 44, 55, 66});
}

TEST_CASE("epilogue: parameters that do not match Y are refused") {
  const std::vector<float> three(3);
  CHECK(epilogue(scale_per_channel(three)).check(2, 4).message().find("3 values for 4") != std::string::npos);
  CHECK(epilogue(scale_per_row(three)).check(2, 4).message().find("3 values for 2") != std::string::npos);
  CHECK_FALSE(epilogue(requantize_to_codes<u8>(fp32_nearest_even::parameters{-1.0F})).check(1, 1).ok());
  CHECK_FALSE(epilogue(requantize_to_codes<u8>(fp32_nearest_even::parameters{1.0F}, 256)).check(1, 1).ok());
  CHECK_FALSE(epilogue(requantize_to_codes<s8>(fp32_nearest_even::parameters{1.0F}, 0, -200, 0)).check(1, 1).ok());
}
