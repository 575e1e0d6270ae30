// SPDX-License-Identifier: MIT
#include <sparq/kernel/epilogue/requantize_stage.hpp>

#include "tests/support/epilogue_check.hpp"

#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

using namespace sparq;
using sparq_test::check_epilogue;

namespace {

template <class Policy, class Make>
void check_policy(Make&& make) {
  sparq_test::random_source random;
  INFO(Policy::name << ", " << random.text());
  for (const std::size_t n : {1u, 15u, 16u, 17u, 40u}) {
    std::vector<typename Policy::parameters> parameters;
    for (std::size_t i = 0; i < n; ++i) parameters.push_back(make(random));
    const std::span<const typename Policy::parameters> all(parameters);
    check_epilogue<std::uint8_t>(7, n, epilogue(requantize_to_codes<u8>(all, 3)),
                        [&](std::int32_t acc, std::size_t, std::size_t j, std::int32_t) {
                          return requantize_to<u8>(acc, parameters[j], 3, 0, 255);
                        });
    check_epilogue<std::int8_t>(5, n, epilogue(requantize_to_codes<s8>(parameters[0], -7, -100, 90)),
                       [&](std::int32_t acc, std::size_t, std::size_t, std::int32_t) {
                         return requantize_to<s8>(acc, parameters[0], -7, -100, 90);
                       });
  }
}

}  // namespace

TEST_CASE("requantize_stage: every requantization policy equals its scalar oracle, per channel and per tensor") {
  const auto multiplier = [](auto& random) { return std::exp(static_cast<double>(random.real(-12.0F, -1.0F))); };
  check_policy<fp32_nearest_even>(
      [&](auto& random) { return fp32_nearest_even::parameters{static_cast<float>(multiplier(random))}; });
  check_policy<tflite_double>([&](auto& random) { return tflite_double::from_real(multiplier(random)); });
  check_policy<tflite_single>([&](auto& random) { return tflite_single::from_real(multiplier(random)); });
  check_policy<floor_shift>([&](auto& random) {
    return floor_shift::parameters{random.between(-3000, 3000), random.between(-100000, 100000), random.between(0, 24)};
  });
}


TEST_CASE("requantize_stage: a million products round as the oracle does, ties included") {
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


TEST_CASE("requantize_stage: products beyond int32 stop at the bounds, in full and in partial registers") {
  const auto check = [](const auto& parameters) {
    using policy = typename std::remove_cvref_t<decltype(parameters[0])>::policy;
    const std::size_t n = parameters.size();
    std::vector<std::int32_t> sums;
    for (std::size_t j = 0; j < n; ++j)
      sums.push_back(j % 5 == 0 ? INT32_MIN : j % 5 == 1 ? INT32_MAX : j % 5 == 2 ? -1 : 1 << j % 30);
    const std::span<const typename policy::parameters> all(parameters);
    for (const auto& [zero_point, low, high] : {std::array{0, 0, 255}, {255, 0, 255}, {128, 100, 100}, {3, 2, 200}}) {
      std::vector<std::uint8_t> y(n);
      store_tile(sums.data(), n, 1, n, 0, matrix_view<std::uint8_t>(y.data(), 1, n), {},
                 epilogue(requantize_to_codes<u8>(all, zero_point, low, high)));
      for (std::size_t j = 0; j < n; ++j)
        CHECK(y[j] == requantize_to<u8>(sums[j], parameters[j], zero_point, low, high));
    }
    for (const auto& [zero_point, low, high] : {std::array{0, -128, 127}, {-128, -128, 127}, {127, -128, 127}}) {
      std::vector<std::int8_t> y(n);
      store_tile(sums.data(), n, 1, n, 0, matrix_view<std::int8_t>(y.data(), 1, n), {},
                 epilogue(requantize_to_codes<s8>(all, zero_point, low, high)));
      for (std::size_t j = 0; j < n; ++j)
        CHECK(y[j] == requantize_to<s8>(sums[j], parameters[j], zero_point, low, high));
    }
  };
  std::vector<fp32_nearest_even::parameters> scales;
  std::vector<onnx::parameters> pairs;
  for (std::size_t j = 0; j < 39; ++j) {
    scales.push_back({std::array{255.0F, 1.0F, 0.5F, 1e-3F, 0x1p-32F}[j / 5 % 5]});
    pairs.push_back({std::array{255.0F, 1.0F, 0.5F, 1e-3F, 1e-9F}[j / 5 % 5], std::array{1.0F, 0.1F, 3.0F}[j % 3]});
  }
  check(scales);
  check(pairs);
}

TEST_CASE("requantize_stage: outputs of 1 to 8 bits are bounds of the stage, signed ones too") {
  for (int bits = 1; bits <= 8; ++bits) {
    const std::int32_t last = (1 << bits) - 1, half = 1 << (bits - 1);
    const std::vector<floor_shift::parameters> p = {{700, 12345, 14}, {-300, -999, 16}, {1, 0, 9}};
    const std::span<const floor_shift::parameters> all(p);
    check_epilogue<std::uint8_t>(9, 3, epilogue(requantize_to_codes<u8>(all, 0, 0, last)),
                                 [&](std::int32_t acc, std::size_t, std::size_t j, std::int32_t) {
                                   return requantize_to<u8>(acc, p[j], 0, 0, last);
                                 });
    check_epilogue<std::int8_t>(9, 21, epilogue(requantize_to_codes<s8>(p[1], 0, -half, half - 1)),
                                [&](std::int32_t acc, std::size_t, std::size_t, std::int32_t) {
                                  return requantize_to<s8>(acc, p[1], 0, -half, half - 1);
                                });
  }
}

TEST_CASE("requantize_stage: parameters that do not match Y are refused") {
  CHECK_FALSE(epilogue(requantize_to_codes<u8>(fp32_nearest_even::parameters{-1.0F})).check(1, 1).ok());
  CHECK_FALSE(epilogue(requantize_to_codes<u8>(fp32_nearest_even::parameters{1.0F}, 256)).check(1, 1).ok());
  CHECK_FALSE(epilogue(requantize_to_codes<s8>(fp32_nearest_even::parameters{1.0F}, 0, -200, 0)).check(1, 1).ok());
}
