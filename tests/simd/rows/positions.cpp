// SPDX-License-Identifier: MIT
#include <sparq/simd/rows/positions.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

namespace {

template <std::size_t Bits, std::size_t Count>
void check_fields(sparq_test::random_source& random) {
  std::uint8_t packed[Count];
  for (auto& byte : packed) byte = static_cast<std::uint8_t>(random.below(256));
  const auto first = static_cast<std::uint32_t>(random.below(0x70707071)) & 0x70707070U;
  std::uint8_t out[8 / Bits][Count] = {};
  sparq::unpack_positions<Bits>(packed, first, out);
  for (std::size_t f = 0; f < 8 / Bits; ++f)
    for (std::size_t i = 0; i < Count; ++i) {
      INFO("bits " << Bits << ", count " << Count << ", field " << f << ", position " << i);
      REQUIRE(out[f][i] == (packed[i] >> (f * Bits)) % (1U << Bits) + (first >> (8 * (i % 4)) & 255U));
    }
}

}  // namespace

TEST_CASE("positions: every field of every register comes out as a byte") {
  sparq_test::random_source random;
  INFO(random.text());
  for (int trial = 0; trial < 20; ++trial)
    [&]<std::size_t... Count>(std::index_sequence<Count...>) {
      (check_fields<1, Count>(random), ...);
      (check_fields<2, Count>(random), ...);
      (check_fields<4, Count>(random), ...);
    }(std::index_sequence<4, 8, 16, 32, 64>{});
}
