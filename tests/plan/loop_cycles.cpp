// SPDX-License-Identifier: MIT
#include <sparq/plan/loop_cycles.hpp>

#include "tests/support/catch.hpp"

#include <cstdint>

using namespace sparq;

TEST_CASE("loop_cycles: nothing that a loop always does is free") {
  const auto check = [](const machine::loop_cycles& c) {
    for (const double cycles : {c.rows.plain.row, c.rows.store, c.rows.call, c.columns.group, c.columns.add, c.columns.half_add,
                                c.columns.packed_k, c.columns.sum, c.gather.group, c.expand.mask, c.read.asked,
                                c.read.bitmask, c.read.unasked, c.read.one_row, c.read.one_row_addresses,
                                c.read.one_row_windows})
      CHECK(cycles > 0);
  };
  check(machine::cycles_of_codes<s8>());
  check(machine::cycles_of_codes<s7>());
  check(machine::cycles_of_codes<s4>());
  check(machine::cycles_of_codes<ternary>());
  check(machine::cycles_of_codes<f32>());
  check(machine::cycles_of_codes<bf16>());
  check(machine::cycles_of_codes<bf16, brain_float>());
  check(machine::cycles_of_codes<s8, std::int16_t>());
  CHECK(machine::cycles_of_codes<s8, std::int16_t>().rows.plain.row >= machine::cycles_of_codes<s8>().rows.plain.row);
  CHECK(machine::narrow_gain<ternary>() >= machine::narrow_gain<s4>());
}

TEST_CASE("loop_cycles: a block of few rows costs as much as of the least") {
  constexpr machine::block_cycles of{2, 3, 4};
  CHECK(of(1) == 14);
  CHECK(of(4) == 14);
  CHECK(of(6) == 20);
}
