// SPDX-License-Identifier: MIT
#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/plan/loop_shapes.hpp>

#include "tests/support/catch.hpp"

#include <type_traits>

using namespace sparq;

TEST_CASE("loop_shapes: windows are for scattered k's and for codes that few instructions look up") {
  CHECK(takes_windows_v<csr, s8, per_channel>);
  CHECK(takes_windows_v<csr, codebook<4>, per_channel>);
  CHECK(takes_windows_v<csr, codebook<4, f32>, unquantized>);
  CHECK_FALSE(takes_windows_v<csr, codebook<6>, per_channel>);
  CHECK_FALSE(takes_windows_v<dense, s8, per_channel>);
  CHECK_FALSE(takes_windows_v<block<16, 4>, s8, per_channel>);
}

TEST_CASE("loop_shapes: windows of integers do not reach over scales along k that end sooner") {
  CHECK(native_window_shape<s8, per_group<64>>::window <= 64);
  CHECK(native_window_shape<s8, per_group<64>>::window <= native_window_shape<s8, per_group<128>>::window);
  CHECK(native_window_shape<f32>::window == (SPARQ_HAS_AVX512 ? 16 : 8));
  CHECK(native_window_shape<s8>::group_k == 4);
  CHECK(native_window_shape<f32>::group_k == 1);
}

TEST_CASE("loop_shapes: every loop has a shape, and runs that scales along k would cut are packed k by k") {
  using machine::shape_of_loop;
  CHECK(std::is_same_v<shape_of_loop<loop_kind::rows, csr, s8, per_channel>, default_panel_shape<s8>>);
  CHECK(std::is_same_v<shape_of_loop<loop_kind::expand, csr, s8, per_channel>, default_bitmask_shape<s8>>);
  CHECK(std::is_same_v<shape_of_loop<loop_kind::window, csr, s8, per_channel>, native_window_shape<s8, per_channel>>);
  CHECK(shape_of_loop<loop_kind::columns, block<1, 4>, s8, per_channel>::run == 4);
  CHECK(shape_of_loop<loop_kind::columns, csr, s8, per_channel>::run == 1);
  CHECK(shape_of_loop<loop_kind::columns, block<1, 4>, s8, per_group<2>>::run == 1);
}

TEST_CASE("loop_shapes: scales along k that cut what the rows loop takes at once leave it out") {
  CHECK(packs_for_v<loop_kind::rows, dense, s8, per_group<32>>);
  CHECK(packs_for_v<loop_kind::rows, csr, s8, per_channel>);
  CHECK_FALSE(packs_for_v<loop_kind::window, dense, s8, per_channel>);
  CHECK(packs_for_v<loop_kind::columns, csr, s8, per_channel>);
}
