// SPDX-License-Identifier: MIT
#include <sparq/simd/copy.hpp>

#include "tests/support/catch.hpp"

#include <cstdint>
#include <cstring>
#include <numeric>
#include <vector>

TEST_CASE("copy_elements: every length, and nothing beyond it") {
  std::vector<std::uint8_t> from(300);
  std::iota(from.begin(), from.end(), std::uint8_t{1});
  for (std::size_t count = 0; count <= 200; ++count) {
    INFO("count " << count);
    std::vector<std::uint8_t> to(count + 2, 0xcd);
    sparq::copy_elements(from.data(), count, to.data() + 1);
    REQUIRE(to.front() == 0xcd);
    REQUIRE(to.back() == 0xcd);
    REQUIRE(std::equal(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(count), to.begin() + 1));
  }
}

namespace {

template <std::size_t Stride, class T>
void check_chosen() {
  constexpr std::size_t lanes = 16 / sizeof(T);
  std::vector<T> from(lanes * Stride);
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<T>(250 - 7 * static_cast<int>(i));
  for (std::size_t first = 0; first <= lanes; ++first)
    for (std::size_t end = first; end <= lanes; ++end) {
      alignas(16) std::uint8_t mask[16] = {};
      std::uint8_t sum[16];
      T start[lanes], got[lanes];
      for (std::size_t i = 0; i < lanes; ++i) start[i] = i >= first && i < end ? T{} : static_cast<T>(99);
      std::memset(mask + first * sizeof(T), 0xff, (end - first) * sizeof(T));
      std::memcpy(sum, start, 16);
      sparq::machine::add_chosen<Stride>(from.data(), mask, sum);
      std::memcpy(got, sum, 16);
      for (std::size_t i = 0; i < lanes; ++i) REQUIRE(got[i] == (i >= first && i < end ? from[i * Stride] : start[i]));
    }
}

}  // namespace

TEST_CASE("add_chosen: the chosen lanes of neighbours, and of every second element") {
  check_chosen<1, std::uint8_t>();
  check_chosen<2, std::uint8_t>();
  check_chosen<1, std::uint16_t>();
  check_chosen<2, std::uint16_t>();
  check_chosen<1, float>();
  check_chosen<2, float>();
}
