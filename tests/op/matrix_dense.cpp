// SPDX-License-Identifier: MIT
// The matrix test of panels that skip nothing.
#include <sparq/format/dense.hpp>

#include "tests/support/matrix.hpp"

using namespace sparq;
using sparq_test::with;

TEMPLATE_TEST_CASE("matrix: dense equals the reference", "", (with<s8, u8>), (with<s8, s8>), (with<u8, u8>),
                   (with<u8, s8>), (with<s4, u8>), (with<s4, s8>), (with<f32, f32>), (with<bf16, f32>),
                   (with<f32, bf16>), (with<bf16, bf16>)) {
  sparq_test::check_all_extents<dense, TestType>();
}

TEST_CASE("matrix: dense packs to the same bytes on every machine") {
  CHECK(sparq_test::packed_fingerprint<dense, s8>() == 0x1da2bfa8c5009787);
  CHECK(sparq_test::packed_fingerprint<dense, s4>() == 0x735deb039b0c0b49);
  CHECK(sparq_test::packed_fingerprint<dense, f32>() == 0xe93abcea2078f38e);
}

TEST_CASE("matrix: damaged blocks of dense are refused or stay in bounds") {
  sparq_test::check_damaged_blocks<dense, with<s8, u8>>();
}
