// SPDX-License-Identifier: MIT
#include <sparq/simd/expand.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <vector>

namespace {

template <class T>
void check_all_counts() {
  sparq_test::random_source random;
  INFO(random.text());
  for (std::size_t trial = 0; trial < 200; ++trial) {
    const std::size_t count = trial % 9;
    const double density = 0.125 * static_cast<double>(random.below(9));
    std::vector<std::uint64_t> mask(count);
    std::vector<T> values, want(64 * count);
    for (std::size_t i = 0; i < want.size(); ++i) {
      if (!random.chance(density)) continue;
      mask[i / 64] |= std::uint64_t{1} << (i % 64);
      values.push_back(want[i] = static_cast<T>(random.between(0, 255)));
    }
    const std::size_t kept = values.size();
    values.resize(kept + sparq::expand_slack / sizeof(T), T{77});
    std::vector<T> out(64 * count + 1, T{99});
    INFO("count " << count << ", density " << density);
    REQUIRE(sparq::expand(values.data(), mask.data(), count, out.data()) == values.data() + kept);
    REQUIRE(out.back() == T{99});
    out.pop_back();
    REQUIRE(out == want);
  }
}

}  // namespace

TEST_CASE("expand: bytes of every density go to their places") { check_all_counts<std::uint8_t>(); }
TEST_CASE("expand: floats of every density go to their places") { check_all_counts<float>(); }
TEST_CASE("expand: sums of every density go to their places") {
  check_all_counts<std::int32_t>();
  check_all_counts<std::int64_t>();
}
