// SPDX-License-Identifier: MIT
#include <sparq/base/joined_name.hpp>

#include "tests/support/catch.hpp"

#include <cstddef>
#include <limits>
#include <string>
#include <string_view>

using sparq::detail::joined_name;

TEST_CASE("joined_name: parts in a row, also one alone and an empty one") {
  constexpr std::string_view text = "ternary";
  STATIC_REQUIRE(joined_name<"popcnt32_b1", text, "_avx512vpopcntdq"> == "popcnt32_b1ternary_avx512vpopcntdq");
  STATIC_REQUIRE(joined_name<"add", ""> == "add");
  STATIC_REQUIRE(joined_name<"add">.size() == 3);
}

TEST_CASE("joined_name: numbers are decimal") {
  constexpr auto most = std::numeric_limits<std::size_t>::max();
  STATIC_REQUIRE(joined_name<"<", std::size_t{7}, ",", std::size_t{10}, ",", std::size_t{1090}, ">"> == "<7,10,1090>");
  STATIC_REQUIRE(joined_name<"g", std::size_t{0}> == "g0");
  CHECK(joined_name<most> == std::to_string(most));
}
