// SPDX-License-Identifier: MIT
// The matrix test of N:M patterns that the channels of a panel share.
#include <sparq/format/tile_n_m.hpp>

#include "tests/support/matrix.hpp"

using namespace sparq;
using sparq_test::with;

TEMPLATE_TEST_CASE("matrix: tile_n_m equals the reference", "", (with<s8, u8>), (with<s8, s8>), (with<u8, u8>),
                   (with<u8, s8>), (with<s4, u8>), (with<s4, s8>), (with<f32, f32>)) {
  sparq_test::check_all_extents<tile_n_m<32, 2, 4>, TestType>();
}

TEMPLATE_TEST_CASE("matrix: tile_n_m equals the reference for ragged tiles and odd patterns", "", (with<s8, u8>),
                   (with<s4, s8>), (with<f32, f32>)) {
  sparq_test::check_all_extents<tile_n_m<20, 3, 8>, TestType>();
}

TEST_CASE("matrix: tile_n_m equals the reference where windows are several groups, reach far, or hold the whole of n") {
  sparq_test::check_all_extents<tile_n_m<16, 9, 16>, with<s8, u8>>();
  sparq_test::check_all_extents<tile_n_m<200, 1, 32>, with<s8, s8>>();
  sparq_test::check_all_extents<tile_n_m<48, 17, 32>, with<s2, u8>>();
  sparq_test::check_all_extents<tile_n_m<64, 5, 7>, with<f32, f32>>();
}

TEST_CASE("matrix: tile_n_m packs to the same bytes on every machine") {
  CHECK(sparq_test::packed_fingerprint<tile_n_m<32, 2, 4>, s8>() == 0xb71c8dbf1ff2bf39);
  CHECK(sparq_test::packed_fingerprint<tile_n_m<20, 3, 8>, s8>() == 0x40c15692b4709d93);
  CHECK(sparq_test::packed_fingerprint<tile_n_m<20, 3, 8>, s4>() == 0xc7284255d66770ea);
}

TEST_CASE("matrix: damaged blocks of tile_n_m are refused or stay in bounds") {
  sparq_test::check_damaged_blocks<tile_n_m<32, 2, 4>, with<s8, u8>>();
}
