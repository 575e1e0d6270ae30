// SPDX-License-Identifier: MIT
#include <sparq/base/math.hpp>
#include <sparq/simd/compact.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <vector>

namespace {

template <class T>
void check_all_lengths() {
  sparq_test::random_source random;
  INFO(random.text());
  for (std::size_t k = 0; k <= 200; ++k) {
    const double density = random.chance(0.2) ? 0.03 : 0.25 * static_cast<double>(random.below(5));
    std::vector<T> x(k), want;
    std::vector<std::uint64_t> mask(sparq::ceil_div(k, 64));
    for (std::size_t i = 0; i < k; ++i) {
      x[i] = static_cast<T>(random.between(-128, 127));
      if (!random.chance(density)) continue;
      mask[i / 64] |= std::uint64_t{1} << (i % 64);
      want.push_back(x[i]);
    }
    INFO("k " << k << ", density " << density);
    std::vector<typename sparq::row_compaction<T>::part> parts(sparq::row_compaction<T>::parts(k));
    for (const std::size_t rows : {std::size_t{1}, std::size_t{8}}) {
      const sparq::row_compaction<T> of_rows(mask.data(), k, rows, parts.data());
      for (std::size_t row = 0; row < rows; ++row) {
        std::vector<T> kept(want.size() + sparq::compact_slack);
        const T* end = of_rows(x.data(), kept.data());
        REQUIRE(std::vector<T>(static_cast<const T*>(kept.data()), end) == want);
      }
    }
  }
}

}  // namespace

TEST_CASE("compact: bytes of every row length and density") { check_all_lengths<std::int8_t>(); }
TEST_CASE("compact: halves of every row length and density") { check_all_lengths<std::int16_t>(); }
TEST_CASE("compact: floats of every row length and density") { check_all_lengths<float>(); }
