// SPDX-License-Identifier: MIT
#include <sparq/kernel/source/source.hpp>

#include "tests/support/catch.hpp"

using namespace sparq;

TEST_CASE("source: rows come one after another, from any row on") {
  const float x[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  const strided_rows<float> source{matrix_view<const float>(x, 3, 2, 4)};
  auto cursor = source.start(1);
  CHECK(cursor.next(nullptr) == x + 4);
  CHECK(cursor.next(nullptr) == x + 8);
  STATIC_REQUIRE_FALSE(strided_rows<float>::is_k_major);
  STATIC_REQUIRE(k_major_rows<float>::is_k_major);
}
