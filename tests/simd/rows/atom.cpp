// SPDX-License-Identifier: MIT
#include <sparq/simd/rows/atom.hpp>

#include "tests/support/catch.hpp"

TEST_CASE("atom: the codes of a widened word move to the top of their half") {
  using bytes = sparq::machine::half_word_field<8, 2>;
  CHECK(bytes::left_shift(0) == 8);  // the low byte of a half
  CHECK(bytes::left_shift(1) == 0);  // the high byte
  using nibbles = sparq::machine::half_word_field<4, 2>;
  CHECK(nibbles::left_shift(0) == 12);  // group 0, low byte
  CHECK(nibbles::left_shift(1) == 4);   // group 0, high byte
  CHECK(nibbles::left_shift(2) == 8);   // group 1, low byte
  CHECK(nibbles::left_shift(3) == 0);   // group 1, high byte
}
