// SPDX-License-Identifier: MIT
#include <sparq/simd/x86_registers.hpp>

#include "tests/support/catch.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#if SPARQ_HAS_AVX2

using namespace sparq;

TEST_CASE("x86_registers: numbers of 16 bits come apart in their order") {
  const std::uint16_t from[] = {7, 65535, 0, 32768, 12345};
  for (std::size_t at = 0; at < 2; ++at) {
    const machine::loaded_shorts<4> four(from + at);
    for (std::size_t i = 0; i < 4; ++i) CHECK(four[i] == from[at + i]);
    const machine::loaded_shorts<2> two(from + at);
    for (std::size_t i = 0; i < 2; ++i) CHECK(two[i] == from[at + i]);
  }
}

TEST_CASE("x86_registers: bytes anywhere come back, and no others are written") {
  std::array<std::uint8_t, 33> from{};
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<std::uint8_t>(i + 1);
  const auto check = [&](auto copy, std::size_t written, std::size_t repeats) {
    std::array<std::uint8_t, 34> to{};
    copy(to.data() + 1);
    for (std::size_t i = 0; i < to.size(); ++i)
      REQUIRE(to[i] == (i >= 1 && i <= written ? (i - 1) % repeats + 2 : 0));
  };
  const std::uint8_t* p = from.data() + 1;
  check([&](void* to) { machine::store_64(to, machine::load_64(p)); }, 8, 8);
  check([&](void* to) { machine::store_128(to, machine::load_128(p)); }, 16, 16);
  check([&](void* to) { machine::store_256(to, machine::load_256(p)); }, 32, 32);
  check([&](void* to) { machine::store_256(to, machine::load_128_twice(p)); }, 32, 16);
}

TEST_CASE("x86_registers: a register of 64 bits is zero above them") {
  const std::array<std::int64_t, 2> ones{-1, -1};
  std::array<std::int64_t, 2> got{};
  machine::store_128(got.data(), machine::load_64(ones.data()));
  CHECK(got[0] == -1);
  CHECK(got[1] == 0);
}

TEST_CASE("x86_registers: up to sixteen or thirty-two bytes, zeros behind them") {
  for (std::size_t count = 1; count <= 32; ++count) {
    std::vector<std::uint8_t> from(count);
    std::iota(from.begin(), from.end(), std::uint8_t{220});
    std::array<std::uint8_t, 32> got{};
    machine::store_256(got.data(), machine::load_256(from.data(), count));
    for (std::size_t i = 0; i < 32; ++i) REQUIRE(got[i] == (i < count ? from[i] : 0));
    if (count > 16) continue;
    machine::store_128(got.data(), machine::load_128(from.data(), count));
    for (std::size_t i = 0; i < 16; ++i) REQUIRE(got[i] == (i < count ? from[i] : 0));
  }
}

TEST_CASE("x86_registers: two halves lie where they are told") {
  const std::array<std::int64_t, 4> from{1, 2, 3, 4};
  std::array<std::int64_t, 4> got{};
  machine::store_256(got.data(), machine::load_halves(from.data() + 2, from.data()));
  CHECK(got == std::array<std::int64_t, 4>{3, 4, 1, 2});
}

TEST_CASE("x86_registers: sums in memory wrap around") {
  std::array<std::int32_t, 9> sums{INT32_MAX, -3, 0, 1, 2, 3, 4, 5, 6};
  machine::add_eight(sums.data(), _mm256_setr_epi32(1, 3, -1, 0, 0, 0, 0, 10));
  CHECK(sums == std::array<std::int32_t, 9>{INT32_MIN, 0, -1, 1, 2, 3, 4, 15, 6});
}

#else

TEST_CASE("x86_registers: on AVX2 only") { SUCCEED("this program is compiled without AVX2"); }

#endif
