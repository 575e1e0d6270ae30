// SPDX-License-Identifier: MIT
#include <sparq/plan/loop_cycles.hpp>

#include "tests/support/catch.hpp"

using namespace sparq;

TEST_CASE("loop_cycles: nothing that a loop always does is free") {
  const auto check = [](const machine::loop_cycles& c) {
    for (const double cycles : {c.row, c.store, c.column_rows, c.group, c.add, c.half_add, c.packed_k, c.column_sum, c.gathered_group, c.mask})
      CHECK(cycles > 0);
  };
  check(machine::cycles_of_codes<s8>());
  check(machine::cycles_of_codes<s7>());
  check(machine::cycles_of_codes<s4>());
  check(machine::cycles_of_codes<ternary>());
  check(machine::cycles_of_codes<f32>());
  CHECK(machine::narrow_gain<ternary>() >= machine::narrow_gain<s4>());
}
