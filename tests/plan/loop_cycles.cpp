// SPDX-License-Identifier: MIT
#include <sparq/plan/loop_cycles.hpp>

#include "tests/support/catch.hpp"

#include <cstdint>

using namespace sparq;

TEST_CASE("loop_cycles: nothing that a loop always does is free") {
  const auto check = [](const machine::loop_cycles& c) {
    for (const double cycles : {c.row, c.store, c.group, c.add, c.half_add, c.packed_k, c.column_sum, c.gathered_group, c.mask,
                                c.read_bytes, c.unasked_bytes, c.one_row_bytes, c.one_row_with_addresses, c.one_row_windows})
      CHECK(cycles > 0);
  };
  check(machine::cycles_of_codes<s8>());
  check(machine::cycles_of_codes<s7>());
  check(machine::cycles_of_codes<s4>());
  check(machine::cycles_of_codes<ternary>());
  check(machine::cycles_of_codes<f32>());
  check(machine::cycles_of_codes<s8, std::int16_t>());
  CHECK(machine::cycles_of_codes<s8, std::int16_t>().row >= machine::cycles_of_codes<s8>().row);
  CHECK(machine::narrow_gain<ternary>() >= machine::narrow_gain<s4>());
}
