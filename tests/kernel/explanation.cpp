// SPDX-License-Identifier: MIT
#include <sparq/kernel/explanation.hpp>

#include "tests/support/catch.hpp"

TEST_CASE("explanation: one line names atom, blocks and layouts") {
  const sparq::explanation e{"dot4_u8s8_avx2", "avx2", "rows", "runs all s8", "widened to 16 bits", 6, 16, 96, 1, 4096};
  CHECK(
      sparq::to_string(e) ==
      "dot4_u8s8_avx2 (avx2), loop rows, block 6 x 16, weights runs all s8, X widened to 16 bits in blocks of 96 rows, "
      "1 part, 4096 bytes of workspace");
}
