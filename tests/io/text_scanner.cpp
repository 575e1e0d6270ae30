// SPDX-License-Identifier: MIT
#include <sparq/io/text_scanner.hpp>

#include "tests/support/catch.hpp"

#include <cstdint>
#include <vector>

using namespace sparq;

TEST_CASE("text_scanner: lines are cut into words at spaces, tabs, commas and returns") {
  detail::text_scanner text("a, b\r\n\n \t\nc");
  CHECK(text.word().empty());
  REQUIRE(text.next_line());
  CHECK(text.word() == "a");
  CHECK(text.line() == ", b\r");
  CHECK(text.word() == "b");
  CHECK_FALSE(text.more_words());
  CHECK(text.word().empty());
  REQUIRE(text.next_filled_line());
  CHECK(text.line_number() == 4);
  CHECK(text.word() == "c");
  CHECK(text.remaining() == 0);
  CHECK_FALSE(text.next_filled_line());
  CHECK(text.failure("the end").message() == "line 4: the end");
}

TEST_CASE("text_scanner: counts are whole numbers up to a limit, and say what else they are") {
  detail::text_scanner text("1 2 x\n7 -1 99999999999999999999999\n1 2 3");
  REQUIRE(text.next_line());
  std::size_t value = 0;
  CHECK(detail::read_count(text, "n", 9, value).ok());
  CHECK(value == 1);
  CHECK(detail::read_count(text, "k", 1, value).message() == "line 1: k is 2; at most 1 is possible here");
  CHECK(detail::read_count(text, "k", 9, value).message() == "line 1: k is \"x\", not a non-negative integer");
  CHECK(detail::read_count(text, "k", 9, value).message() == "line 1: k is missing");
  std::vector<std::uint32_t> values;
  CHECK(detail::read_counts(text, "numbers", 3, 9, values).message() ==
        "line 2: numbers[1] is \"-1\", not a non-negative integer");
  CHECK(detail::read_counts(text, "numbers", 2, 9, values).message() == "line 3: \"3\" follows the 2 numbers");
  CHECK(detail::read_counts(text, "numbers", 1, 9, values).message() ==
        "line 3: the text ends before the line of numbers");
}
