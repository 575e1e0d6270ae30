// SPDX-License-Identifier: MIT
// The matrix test of panels that list single k's, with pruned channels in between.
#include <sparq/format/tile_wise_n_m.hpp>

#include "tests/support/matrix.hpp"

using namespace sparq;
using sparq_test::with;

TEMPLATE_TEST_CASE("matrix: tile_wise equals the reference", "", (with<s8, u8>), (with<s8, s8>), (with<u8, u8>),
                   (with<u8, s8>), (with<s4, u8>), (with<s4, s8>), (with<f32, f32>), (with<bf16, bf16>)) {
  sparq_test::check_all_extents<tile_wise<4>, TestType>();
  sparq_test::check_all_extents<tile_wise<32>, TestType>();
}

TEMPLATE_TEST_CASE("matrix: tile_wise holding n_m equals the reference", "", (with<s8, u8>), (with<s8, s8>),
                   (with<s4, u8>), (with<ternary, s8>), (with<f32, f32>), (with<bf16, bf16>)) {
  sparq_test::check_all_extents<tile_wise<32, n_m<2, 4>>, TestType>();
}

TEST_CASE("matrix: tile_wise holding any n_m equals the reference") {
  sparq_test::check_all_extents<tile_wise<4, n_m<3, 7>>, with<s8, u8>>();
  sparq_test::check_all_extents<tile_wise<20, n_m<5, 16>>, with<s8, u8>>();
  sparq_test::check_all_extents<tile_wise<48, n_m<1, 32>>, with<s8, u8>>();  // windows wider than what is behind a row
  sparq_test::check_all_extents<tile_wise<4, n_m<1, 8>>, with<f32, f32>>();
}

TEST_CASE("matrix: tile_wise packs to the same bytes on every machine") {
  CHECK(sparq_test::packed_fingerprint<tile_wise<4>, s8>() == 0x9105c37f9e4e589f);
  CHECK(sparq_test::packed_fingerprint<tile_wise<32>, s8>() == 0xea60609115ff7e4f);
  CHECK(sparq_test::packed_fingerprint<tile_wise<32>, u8>() == 0x4f0874e9633a52a5);
}

TEST_CASE("matrix: damaged blocks of tile_wise are refused or stay in bounds") {
  sparq_test::check_damaged_blocks<tile_wise<4>, with<s8, u8>>();
  sparq_test::check_damaged_blocks<tile_wise<4, n_m<2, 4>>, with<s8, u8>>();
}
