// SPDX-License-Identifier: MIT
#include <sparq/simd/byte_product.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <array>
#include <cstdint>
#include <limits>
#include <random>

TEMPLATE_TEST_CASE("byte_product: every difference times every weight is exact", "", std::int8_t, std::uint8_t) {
  constexpr int low = std::numeric_limits<TestType>::lowest();
  constexpr int high = std::numeric_limits<TestType>::max();
  int wrong = 0;
  for (int zero_point = low; zero_point <= high; zero_point += 51)
    for (int x = low; x <= high; ++x)
      for (int w = -128; w <= 127; ++w)
        wrong += sparq::byte_product(static_cast<TestType>(x), static_cast<TestType>(zero_point),
                                     static_cast<std::int8_t>(w)) != (x - zero_point) * w;
  CHECK(wrong == 0);
}

TEMPLATE_TEST_CASE("byte_product: sixteen lanes add what one lane would", "", std::int8_t, std::uint8_t, std::int16_t) {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  constexpr TestType extremes[] = {std::numeric_limits<TestType>::lowest(), std::numeric_limits<TestType>::max()};
  for (int trial = 0; trial < 500; ++trial) {
    std::array<TestType, 17> x;  // from the second on: no alignment
    std::array<std::int8_t, 17> w;
    std::array<std::int32_t, 16> sums;
    for (auto& value : x) value = random() % 3 == 0 ? extremes[random() % 2] : static_cast<TestType>(random());
    for (auto& value : w) value = random() % 3 == 0 ? std::int8_t{-128} : static_cast<std::int8_t>(random());
    for (auto& value : sums) value = static_cast<std::int32_t>(random() % 2000000) - 1000000;
    const auto zero_point = random() % 3 == 0 ? extremes[random() % 2] : static_cast<TestType>(random());

    std::array<std::int32_t, 16> got;
    sparq::multiply_add(sparq::vec<std::int32_t>::load(sums.data()), x.data() + 1, zero_point, w.data() + 1)
        .store(got.data());
    for (std::size_t i = 0; i < 16; ++i) {
      INFO("lane " << i);
      REQUIRE(got[i] == sums[i] + (x[i + 1] - zero_point) * w[i + 1]);
    }
  }
}

TEST_CASE("byte_product: floats multiply and add, too") {
  std::array<float, 16> x, w, sums, got;
  for (std::size_t i = 0; i < 16; ++i) {
    x[i] = static_cast<float>(i);
    w[i] = 2.0F - static_cast<float>(i);
    sums[i] = static_cast<float>(100 * i);
  }
  sparq::multiply_add(sparq::vec<float>::load(sums.data()), x.data(), 0.5F, w.data()).store(got.data());
  for (std::size_t i = 0; i < 16; ++i) CHECK(got[i] == sums[i] + (x[i] - 0.5F) * w[i]);
}
