// SPDX-License-Identifier: MIT
#include <sparq/numeric/sign.hpp>
#include <sparq/tensor/packed_panel.hpp>

#include "tests/support/catch.hpp"

using namespace sparq;

TEST_CASE("packed_panel: narrow codes share words, bits have one for each plane, codebooks rows of their own") {
  STATIC_REQUIRE(strip_words<f32, panel_shape<16, 1>>(5) == 16 * 5);
  STATIC_REQUIRE(strip_words<s8, panel_shape<16, 4>>(5) == 16 * 5);
  STATIC_REQUIRE(strip_words<s4, panel_shape<16, 4>>(5) == 16 * 3);
  STATIC_REQUIRE(strip_words<ternary, panel_shape<16, 4>>(5) == 16 * 2);
  STATIC_REQUIRE(strip_words<ternary, bit_panel_shape>(5) == 16 * 2 * 5);
  STATIC_REQUIRE(strip_words<codebook<4>, panel_shape<16, 4>>(8) == 16 * 4);
}

TEST_CASE("packed_panel: a weight sum counts what X disagrees with where bits are counted") {
  STATIC_REQUIRE(weight_sum_term<ternary, panel_shape<16, 4>>(-1) == -1);
  STATIC_REQUIRE(weight_sum_term<ternary, bit_panel_shape>(-1) == 1);
  STATIC_REQUIRE(weight_sum_term<s2, bit_panel_shape>(-1) == -1);
}

TEST_CASE("packed_panel: scales along k cut panels into segments of whole words, windows and lists") {
  using detail::can_cut;
  STATIC_REQUIRE(detail::segment_k<per_group<32>>(100) == 32);
  STATIC_REQUIRE(detail::segment_k<per_channel>(100) == 100);
  STATIC_REQUIRE(detail::segment_k<per_channel>(0) == 1);
  STATIC_REQUIRE(can_cut<all, contiguous, s8, per_group<32>, panel_shape<16, 4>>());
  STATIC_REQUIRE(!can_cut<all, contiguous, s8, per_group<6>, panel_shape<16, 4>>());
  STATIC_REQUIRE(can_cut<all, contiguous, s8, per_channel, panel_shape<16, 4>>());
  STATIC_REQUIRE(can_cut<all, list, s4, per_group<8>, panel_shape<16, 4>>());
  STATIC_REQUIRE(!can_cut<all, list, s4, per_group<4>, panel_shape<16, 4>>());
  STATIC_REQUIRE(!can_cut<n_m_select<2, 4>, list, s8, per_group<32>, panel_shape<16, 4>>());
}
