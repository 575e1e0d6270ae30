// SPDX-License-Identifier: MIT
#include <sparq/plan/loop_costs.hpp>

#include "tests/support/catch.hpp"

#include <limits>
#include <string>

using namespace sparq;

TEST_CASE("loop_costs: the least wins, whichever loop it is, and loops that cannot run never do") {
  CHECK(loop_costs{1, 2, 3, 4, 5}.best() == loop_kind::rows);
  CHECK(loop_costs{3, 2, 3, 4, 5}.best() == loop_kind::columns);
  CHECK(loop_costs{3, 2, 1, 2}.best() == loop_kind::expand);
  CHECK(loop_costs{3, 2, 4, 2, 1}.best() == loop_kind::window);
  constexpr double never = std::numeric_limits<double>::infinity();
  CHECK(loop_costs{never, 2, never, never}.best() == loop_kind::columns);
}

TEST_CASE("loop_costs: dense is as fast where it takes no longer than the best of the others, and runs at all") {
  loop_costs costs{3, 2, 1, 2};
  CHECK_FALSE(costs.dense_is_as_fast());
  costs.dense = 0.5;
  CHECK(costs.dense_is_as_fast());
  costs.dense = 1;
  CHECK(costs.dense_is_as_fast());
  CHECK_FALSE(loop_costs{3, 2, 4, 2, 1}.dense_is_as_fast());
  constexpr double never = std::numeric_limits<double>::infinity();
  CHECK_FALSE(loop_costs{never, never, never, never, never}.dense_is_as_fast());
}

TEST_CASE("loop_costs: loops are close where another one is within a tenth of the best") {
  CHECK(loop_costs{1.09, 1, 3, 4, 5}.is_close());
  CHECK(loop_costs{3, 4, 1, 4, 1.09}.is_close());
  CHECK_FALSE(loop_costs{1.12, 1, 3, 1}.is_close());
  constexpr double never = std::numeric_limits<double>::infinity();
  CHECK_FALSE(loop_costs{never, 2, never, 2}.is_close());
}

TEST_CASE("loop_costs: loops have names") {
  CHECK(std::string(to_string(loop_kind::rows)) == "rows");
  CHECK(std::string(to_string(loop_kind::columns)) == "columns");
  CHECK(std::string(to_string(loop_kind::expand)) == "expand");
  CHECK(std::string(to_string(loop_kind::window)) == "window");
}
