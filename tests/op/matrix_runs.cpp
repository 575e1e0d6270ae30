// SPDX-License-Identifier: MIT
// The matrix test of panels that list runs of k: three formats, one kernel for each pair of numeric types.
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

TEST_CASE("matrix: csr and blocks pack to the same bytes on every machine") {
  CHECK(sparq_test::packed_fingerprint<csr, s8>() == 0x9c98487ffd534a2e);
  CHECK(sparq_test::packed_fingerprint<csr, f32>() == 0x6feccafccb70d5b3);
  CHECK(sparq_test::packed_fingerprint<block<16, 4>, s8>() == 0x303626710864d835);
  CHECK(sparq_test::packed_fingerprint<block<16, 4>, s4>() == 0x70c6235b9c57bb28);
  CHECK(sparq_test::packed_fingerprint<block<3, 5>, s8>() == 0xb82ab2e7a4e47a7d);
  CHECK(sparq_test::packed_fingerprint<block<3, 5>, f32>() == 0xf0fe9b17e1c58a87);
}

TEST_CASE("matrix: damaged blocks of csr and blocks are refused or stay in bounds") {
  sparq_test::check_damaged_blocks<csr, with<s8, u8>>();
}
