// SPDX-License-Identifier: MIT
#include <sparq/simd/scaled_sums.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <cmath>
#include <vector>

#if SPARQ_HAS_AVX2

namespace {

template <int Bits, bool IsSigned, std::size_t Registers>
void check_scaled_sums(sparq_test::random_source& random) {
  constexpr std::size_t columns = 8 * Registers;
  std::vector<float> want(columns), got(columns);
  sparq::machine::scaled_sums<Registers> sums;
  for (int row = 0; row < 5; ++row) {
    std::vector<std::byte> codes(columns * Bits / 8);
    for (auto& byte : codes) byte = static_cast<std::byte>(random.below(256));
    const auto scale = static_cast<float>(random.between(1, 99)) / 32.0F,
               offset = static_cast<float>(random.between(-99, 99));
    sums.template add<Bits, IsSigned>(codes.data(), scale, offset);
    for (std::size_t j = 0; j < columns; ++j) {
      const auto byte = std::to_integer<unsigned>(codes[j * Bits / 8]);
      const float code = Bits == 4   ? static_cast<float>(byte >> (j % 2 * 4) & 15U)
                         : IsSigned ? static_cast<float>(static_cast<std::int8_t>(byte))
                                    : static_cast<float>(byte);
      want[j] = std::fma(scale, code, want[j] + offset);
    }
  }
  sums.store(got.data());
  REQUIRE(got == want);
}

}  // namespace

TEST_CASE("scaled_sums: rows of codes add up in the order in which they come") {
  sparq_test::random_source random;
  INFO(random.text());
  check_scaled_sums<8, true, 1>(random);
  check_scaled_sums<8, false, 4>(random);
  check_scaled_sums<4, false, 8>(random);
}

#else

TEST_CASE("scaled_sums: this build has no registers for them") { CHECK_FALSE(SPARQ_HAS_AVX2); }

#endif
