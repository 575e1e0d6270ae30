// SPDX-License-Identifier: MIT
#include <sparq/simd/rows/positions.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <cstddef>
#include <cstdint>

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

/// A selector whose control is the bytes themselves.
struct plain_selector {
  struct control {
    std::uint8_t bytes[64];
  };
  static control make(const std::uint8_t* p, std::size_t, std::size_t) {
    control all = {};
    for (std::size_t i = 0; i < 16; ++i) all.bytes[i] = p[i];
    return all;
  }
#if SPARQ_HAS_AVX512
  static control of_bytes(__m512i positions, std::size_t, std::size_t) {
    control all;
    _mm512_storeu_si512(all.bytes, positions);
    return all;
  }
#endif
};

template <std::size_t Bits, std::size_t Count, std::uint32_t First>
void check_shared(sparq_test::random_source& random) {
  std::uint8_t packed[Count];
  for (auto& byte : packed) byte = static_cast<std::uint8_t>(random.below(256));
  for (std::size_t start = 0; start < 8 / Bits; ++start) {
    sparq::machine::shared_positions<Bits, Count, First> positions;
    positions.read(packed, start);
    for (std::size_t f = start; f < 8 / Bits; ++f, positions.next()) {
      const auto control = positions.template control<plain_selector>(f, std::size_t{0}, std::size_t{0});
      for (std::size_t i = 0; i < Count; ++i) {
        INFO("bits " << Bits << ", count " << Count << ", from " << start << ", field " << f << ", position " << i);
        REQUIRE(control.bytes[i] == (packed[i] >> (f * Bits)) % (1U << Bits) + (First >> (8 * (i % 4)) & 255U));
      }
    }
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
    }(std::index_sequence<4, 8, 16, 32>{});
}

TEST_CASE("positions: groups that share bytes come one after the other, from any of them on") {
  sparq_test::random_source random;
  INFO(random.text());
#if SPARQ_HAS_AVX512
  check_shared<1, 64, 0x02020000>(random);
  check_shared<2, 64, 0>(random);
  check_shared<2, 64, 0x04040000>(random);
  check_shared<4, 64, 0x10100000>(random);
  check_shared<4, 64, 0x18100800>(random);  // spans that begin inside a field, of 1:8 and 1:3
  check_shared<2, 64, 0x09060300>(random);
#endif
  check_shared<1, 16, 0x02020000>(random);
  check_shared<2, 16, 0x04040000>(random);
  check_shared<4, 16, 0>(random);
}
