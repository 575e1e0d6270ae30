// SPDX-License-Identifier: MIT
#include <sparq/simd/sum_of.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <vector>

namespace {

template <class Byte>
void check_bytes(sparq_test::random_source& random) {
  for (std::size_t count = 0; count < 140; ++count) {
    std::vector<Byte> x(count);
    std::int64_t want = 0;
    for (auto& v : x) {
      v = static_cast<Byte>(random.chance(0.3) ? 128 : random.below(256));
      want += v;
    }
    INFO(count << " bytes");
    REQUIRE(sparq::machine::sum_of(x.data(), count) == want);
  }
}

}  // namespace

TEST_CASE("sum_of: bytes add up exactly") {
  sparq_test::random_source random;
  INFO(random.text());
  check_bytes<std::uint8_t>(random);
  check_bytes<std::int8_t>(random);
}

TEST_CASE("sum_of: floats add up by sixteens, then by halves") {
  sparq_test::random_source random;
  INFO(random.text());
  for (std::size_t count = 0; count < 70; ++count) {
    std::vector<float> x(count);
    for (auto& v : x) v = static_cast<float>(random.between(-1000, 1000)) / 7.0F;
    float lanes[16] = {};
    for (std::size_t i = 0; i < count; ++i) lanes[i % 16] += x[i];
    for (std::size_t half = 8; half > 0; half /= 2)
      for (std::size_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
    INFO(count << " floats");
    REQUIRE(sparq::machine::sum_of(x.data(), count) == lanes[0]);
  }
}
