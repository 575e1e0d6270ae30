// SPDX-License-Identifier: MIT
// The matrix test of panels that skip nothing.
#include <sparq/format/dense.hpp>

#include "tests/support/matrix.hpp"

using namespace sparq;
using sparq_test::with;

TEMPLATE_TEST_CASE("matrix: dense equals the reference", "", (with<s8, u8>), (with<s8, s8>), (with<u8, u8>),
                   (with<u8, s8>), (with<s4, u8>), (with<s4, s8>), (with<f32, f32>)) {
  sparq_test::check_all_extents<dense, TestType>();
}
