// SPDX-License-Identifier: MIT
#include "examples/explore/metrics.hpp"

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

TEST_CASE("metrics: equal weights have infinite SQNR and no error") {
  const std::array<float, 3> weights{1.0f, -2.0f, 0.0f};
  CHECK(explore::sqnr_db(weights, weights) == std::numeric_limits<double>::infinity());
  CHECK(explore::max_error(weights, weights) == 0);
}

TEST_CASE("metrics: figures of a small case follow the formulas") {
  const std::array<float, 3> given{3.0f, -4.0f, 0.0f};
  const std::array<float, 3> stored{3.0f, -3.5f, 0.25f};
  CHECK(explore::sqnr_db(given, stored) == Approx(10 * std::log10(25.0 / (0.25 + 0.0625))));
  CHECK(explore::max_error(given, stored) == Approx(0.5 / 4.0));
}

TEST_CASE("metrics: weights that are all pruned have 0 dB and the whole error") {
  const std::array<float, 2> given{1.0f, -2.0f};
  const std::array<float, 2> stored{};
  CHECK(explore::sqnr_db(given, stored) == 0);
  CHECK(explore::max_error(given, stored) == 1);
}

TEST_CASE("metrics: SQNR does not depend on the scale, and grows by 20 dB for a tenth of the error") {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 engine(seed);
  std::uniform_int_distribution<int> whole(-1000, 1000);
  std::vector<float> given(257), coarse(257), fine(257), given_4(257), coarse_4(257);
  for (std::size_t i = 0; i < given.size(); ++i) {
    const int weight = whole(engine);
    const int error = whole(engine) | 1;
    given[i] = static_cast<float>(weight * 10000 + 1);
    coarse[i] = given[i] + static_cast<float>(error * 10);
    fine[i] = given[i] + static_cast<float>(error);
    given_4[i] = given[i] * 4;
    coarse_4[i] = coarse[i] * 4;
  }
  CHECK(explore::sqnr_db(given, fine) == Approx(explore::sqnr_db(given, coarse) + 20));
  CHECK(explore::sqnr_db(given_4, coarse_4) == Approx(explore::sqnr_db(given, coarse)));
  CHECK(explore::max_error(given_4, coarse_4) == Approx(explore::max_error(given, coarse)));
}
