// SPDX-License-Identifier: MIT
#include <sparq/simd/wrapping.hpp>

#include "tests/support/catch.hpp"

#include <cstdint>
#include <limits>

using namespace sparq;

TEST_CASE("wrapping: int32 wraps around, wider integers and floats are left alone") {
  const std::int32_t most = std::numeric_limits<std::int32_t>::max(), least = std::numeric_limits<std::int32_t>::min();
  CHECK(machine::plus(most, 1) == least);
  CHECK(machine::minus(least, 1) == most);
  CHECK(machine::minus(machine::plus(most, 100), 100) == most);
  CHECK(machine::times(1 << 16, (1 << 16) + 5) == 5 << 16);
  CHECK(machine::times(least, -1) == least);
  CHECK(machine::plus(std::int64_t{most}, std::int64_t{1}) == std::int64_t{1} << 31);
  CHECK(machine::times(std::int64_t{least}, std::int64_t{-1}) == std::int64_t{1} << 31);
  CHECK(machine::minus(0.5F, 2.0F) == -1.5F);
}
