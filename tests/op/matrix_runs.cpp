// SPDX-License-Identifier: MIT
// The matrix test of panels that list runs of k: three formats, one kernel for each pair of numeric types. (csr only
// when it is packed for the rows loop.)
#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>

#include "tests/support/matrix.hpp"

using namespace sparq;
using sparq_test::with;

TEMPLATE_TEST_CASE("matrix: csr and blocks equal the reference", "", (with<s8, u8>), (with<s8, s8>), (with<u8, u8>),
                   (with<u8, s8>), (with<s4, u8>), (with<s4, s8>), (with<f32, f32>)) {
  sparq_test::check_all_extents<csr, TestType>();
  sparq_test::check_all_extents<block<16, 4>, TestType>();
  sparq_test::check_all_extents<block<3, 5>, TestType>();
}

TEST_CASE("matrix: blocks pack to the same bytes on every machine") {
  CHECK(sparq_test::packed_fingerprint<block<16, 4>, s8>() == 0x847289c9e55544e4);
  CHECK(sparq_test::packed_fingerprint<block<16, 4>, s4>() == 0x2cda304d40e95f85);
}

TEST_CASE("matrix: damaged blocks of blocks are refused or stay in bounds") {
  sparq_test::check_damaged_blocks<block<16, 4>, with<s8, u8>>();
}
