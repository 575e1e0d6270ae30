// SPDX-License-Identifier: MIT
#include <sparq/numeric/granularity.hpp>
#include <sparq/numeric/integer.hpp>

#include "tests/support/catch.hpp"

TEST_CASE("granularity: every granularity counts and finds its scales") {
  using namespace sparq;
  STATIC_REQUIRE(unquantized::scale_count(3, 10) == 0);
  STATIC_REQUIRE(per_tensor::scale_count(3, 10) == 1);
  STATIC_REQUIRE(per_tensor::scale_index(2, 9, 10) == 0);
  STATIC_REQUIRE(per_channel::scale_count(3, 10) == 3);
  STATIC_REQUIRE(per_channel::scale_index(2, 9, 10) == 2);
  STATIC_REQUIRE(per_group<4>::scale_count(3, 10) == 9);
  STATIC_REQUIRE(per_group<4>::scale_count(3, 8) == 6);
  STATIC_REQUIRE(per_group<4>::scale_index(1, 3, 10) == 3);
  STATIC_REQUIRE(per_group<4>::scale_index(1, 4, 10) == 4);
  STATIC_REQUIRE(per_group<4>::scale_index(2, 9, 10) == 8);
  STATIC_REQUIRE(per_group<32>::scale_count(5, 7) == 5);
  STATIC_REQUIRE(per_block<2, 4>::scale_count(3, 10) == 6);
  STATIC_REQUIRE(per_block<2, 4>::scale_index(1, 4, 10) == 1);
  STATIC_REQUIRE(per_block<2, 4>::scale_index(2, 9, 10) == 5);
}

TEST_CASE("granularity: a granularity's name tells it from the others") {
  STATIC_REQUIRE(sparq::unquantized::name == "unquantized");
  STATIC_REQUIRE(sparq::per_tensor::name == "per_tensor");
  STATIC_REQUIRE(sparq::per_channel::name == "per_channel");
  STATIC_REQUIRE(sparq::per_group<7>::name == "per_group<7>");
  STATIC_REQUIRE(sparq::per_group<10>::name == "per_group<10>");
  STATIC_REQUIRE(sparq::per_group<128>::name == "per_group<128>");
  STATIC_REQUIRE(sparq::per_block<1, 32>::name == "per_block<1,32>");
}

TEST_CASE("granularity: the concept tells granularities from numeric types") {
  STATIC_REQUIRE(sparq::quantization_granularity<sparq::unquantized>);
  STATIC_REQUIRE(sparq::quantization_granularity<sparq::per_tensor>);
  STATIC_REQUIRE(sparq::quantization_granularity<sparq::per_channel>);
  STATIC_REQUIRE(sparq::quantization_granularity<sparq::per_group<64>>);
  STATIC_REQUIRE(!sparq::quantization_granularity<sparq::s8>);
}
