// SPDX-License-Identifier: MIT
#include <sparq/tensor/packed_shape.hpp>

#include "tests/support/catch.hpp"

using namespace sparq;
using sparq::detail::window_of;

TEST_CASE("packed_shape: floats meet one by one, integers by four") {
  STATIC_REQUIRE(default_panel_shape<f32>::group_k == 1);
  STATIC_REQUIRE(default_panel_shape<s4>::group_k == 4);
}

TEST_CASE("packed_shape: groups take whole windows of a pattern, or several a window") {
  using two_of_four = window_of<n_m_select<2, 4>, contiguous, 4>;
  STATIC_REQUIRE(two_of_four::window == 8);
  STATIC_REQUIRE(two_of_four::groups == 1);
  STATIC_REQUIRE(two_of_four::groups_per_byte == 4);
  using eight_of_sixteen = window_of<n_m_select<8, 16>, contiguous, 4>;
  STATIC_REQUIRE(eight_of_sixteen::window == 16);
  STATIC_REQUIRE(eight_of_sixteen::groups == 2);
  STATIC_REQUIRE(window_of<all, runs, 4>::positions_per_group == 0);
}

TEST_CASE("packed_shape: positions of sixteen k's take half a byte, of more a byte") {
  STATIC_REQUIRE(window_of<window_select<16>, runs, 4>::groups_per_byte == 2);
  STATIC_REQUIRE(window_of<window_select<32>, runs, 4>::groups_per_byte == 1);
  STATIC_REQUIRE(window_of<window_select<128>, runs, 4>::position_reach == 128);
  STATIC_REQUIRE(window_shape<16, 4, 32>::window == 32);
  STATIC_REQUIRE(window_shape<16, 1, 8>::group_k == 1);
  STATIC_REQUIRE(window_of<window_select<16>, runs, 1>::groups_per_byte == 1);
}
