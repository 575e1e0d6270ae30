// SPDX-License-Identifier: MIT
// The matrix test of N:M patterns that are private to a channel.
#include <sparq/format/n_m.hpp>

#include "tests/support/matrix.hpp"

using namespace sparq;
using sparq_test::with;

TEMPLATE_TEST_CASE("matrix: n_m equals the reference", "", (with<s8, u8>), (with<s8, s8>), (with<u8, u8>),
                   (with<u8, s8>), (with<s4, u8>), (with<s4, s8>), (with<f32, f32>)) {
  sparq_test::check_all_extents<n_m<2, 4>, TestType>();
}

TEST_CASE("matrix: n_m packs to the same bytes on every machine") {
  CHECK(sparq_test::packed_fingerprint<n_m<2, 4>, s8>() == 0x5e0bbba06ac7c317);
  CHECK(sparq_test::packed_fingerprint<n_m<2, 4>, s4>() == 0x7242ad57e42b10db);
  CHECK(sparq_test::packed_fingerprint<n_m<2, 4>, f32>() == 0xef46f2e43d81c97a);
}

TEST_CASE("matrix: damaged blocks of n_m are refused or stay in bounds") {
  sparq_test::check_damaged_blocks<n_m<2, 4>, with<s8, u8>>();
}
