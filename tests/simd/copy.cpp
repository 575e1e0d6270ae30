// SPDX-License-Identifier: MIT
#include <sparq/simd/copy.hpp>

#include "tests/support/catch.hpp"

#include <cstdint>
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
