// SPDX-License-Identifier: MIT
#include <sparq/numeric/thresholds.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

using namespace sparq;

TEST_CASE("thresholds: rising, falling and constant channels equal the affine form") {
  sparq_test::random_source random;
  INFO(random.text());
  for (int bits = 1; bits <= 8; ++bits) {
    std::vector<floor_shift::parameters> channels = {
        {0, 5 << 4, 4}, {0, -1, 4}, {INT32_MAX, 0, 40}, {INT32_MIN, 7, 40}};
    for (int c = 0; c < 30; ++c)
      channels.push_back({random.between(-5000, 5000), random.between(INT32_MIN, INT32_MAX), random.between(0, 30)});
    const threshold_table table = thresholds_of(channels, bits);
    for (std::size_t c = 0; c < channels.size(); ++c) {
      for (std::size_t p = 1; p < static_cast<std::size_t>(table.count); ++p)
        REQUIRE(table.values[p * table.channels + c] >= table.values[(p - 1) * table.channels + c]);
      for (int i = 0; i < 2000; ++i) {
        std::int32_t acc = random.between(INT32_MIN + 1, INT32_MAX - 1) >> random.below(31);
        if (random.chance(0.5)) {  // a threshold and its neighbours
          const std::int32_t t = table.values[random.below(static_cast<std::size_t>(table.count)) * table.channels + c];
          const std::int64_t beside = std::int64_t{t ^ table.flips[c]} + random.between(-1, 1);
          acc = static_cast<std::int32_t>(std::clamp<std::int64_t>(beside, INT32_MIN + 1, INT32_MAX - 1));
        }
        const std::int32_t want = (std::min)((std::max)(floor_shift::apply(acc, channels[c]), 0), table.count);
        REQUIRE(table.apply(acc, c) == want);
      }
    }
  }
}

TEST_CASE("thresholds: what cannot be one is refused") {
  const std::vector<floor_shift::parameters> good = {{1, 0, 3}}, shift = {{1, 0, 3}, {1, 0, 54}},
                                             invalid = {{1, 0, 64}};
  CHECK(try_thresholds(good, 9).error().message() == "thresholds: 9 bits are not in [1, 8]");
  CHECK(try_thresholds(shift, 2).error().message() == "thresholds: channel 1: shift 54 is not in [0, 53]");
  CHECK(try_thresholds(invalid, 2).error().message() ==
        "thresholds: channel 0: floor_shift: shift 64 is not in [0, 63]");
}
