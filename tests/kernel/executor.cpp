// SPDX-License-Identifier: MIT
#include <sparq/kernel/executor.hpp>

#include "tests/support/catch.hpp"

#include <vector>

static_assert(sparq::executor<sparq::serial_executor>, "sparq: the serial executor is one");

TEST_CASE("executor: serial calls every part once, in order") {
  std::vector<std::size_t> parts;
  sparq::serial.parallel_for(5, [&](std::size_t part) { parts.push_back(part); });
  CHECK(parts == std::vector<std::size_t>{0, 1, 2, 3, 4});
}
