// SPDX-License-Identifier: MIT
// The matrix test of panels that list single k's, with pruned channels in between.
#include <sparq/format/tile_wise.hpp>

#include "tests/support/matrix.hpp"

using namespace sparq;
using sparq_test::with;

TEMPLATE_TEST_CASE("matrix: tile_wise equals the reference", "", (with<s8, u8>), (with<s8, s8>), (with<u8, u8>),
                   (with<u8, s8>), (with<s4, u8>), (with<s4, s8>), (with<f32, f32>)) {
  sparq_test::check_all_extents<tile_wise<4>, TestType>();
  sparq_test::check_all_extents<tile_wise<32>, TestType>();
}
