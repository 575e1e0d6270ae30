// SPDX-License-Identifier: MIT
#include <sparq/base/schedule.hpp>

#include "tests/support/catch.hpp"

TEST_CASE("schedule: what forbids an order changes no value") {
  float sum = 1.5F, other = 2.5F;
  const int values[] = {1, 2, 3, 4};
  const int* pointer = values;
  SPARQ_ALIGN_FRAME;
  SPARQ_KEEP_ORDER(sum);
  SPARQ_KEEP_TURN(sum, other);
  SPARQ_LOAD_AFTER(other, pointer);
  SPARQ_LOAD_AGAIN(pointer);
  CHECK(sum == 1.5F);
  CHECK(other == 2.5F);
  CHECK(*pointer == 1);
  SPARQ_ROW_IN_TURN(pointer);
  CHECK(*pointer == 1);
}
