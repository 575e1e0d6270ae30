// SPDX-License-Identifier: MIT
#include <sparq/simd/strips_ahead.hpp>

#include "tests/support/catch.hpp"

#include <cstddef>
#include <set>

using namespace sparq;

TEST_CASE("strips_ahead: every line but the first ones is asked for once, before it is read") {
  for (const std::size_t strips : {1u, 4u, 8u})
    for (const std::size_t count : {16u, 17u, 40u, 100u}) {
      INFO("strips " << strips << ", count " << count);
      std::multiset<std::size_t> asked;
      for (std::size_t block = 0; block < 3; ++block)
        for (std::size_t i = 0; i < count; ++i)
          for (std::size_t s = 0; s < strips; ++s)
            asked.insert((block * strips + s) * count + i + machine::strip_lines_ahead(strips, i, count));
      for (std::size_t line = 0; line < 3 * strips * count; ++line) {
        const bool is_first = line < strips * count && line % count < machine::lines_ahead;
        REQUIRE(asked.count(line) == (is_first ? 0 : 1));
      }
    }
}

TEST_CASE("strips_ahead: asking reads nothing") {
  machine::fetch_ahead(static_cast<const int*>(nullptr), 12345);
  SUCCEED();
}
