// SPDX-License-Identifier: MIT
// The matrix test of binary16, as W and as X, in both loops.
#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_wise.hpp>

#include "tests/support/matrix.hpp"

using namespace sparq;
using sparq_test::with;

TEST_CASE("matrix: f16 weights equal the reference") {
  sparq_test::check_all_extents<dense, with<f16, f32>>();
  sparq_test::check_all_extents<n_m<2, 4>, with<f16, f32>>();
  sparq_test::check_all_extents<csr, with<f16, f32>, default_atoms, default_column_shape<f16>>();
}

TEST_CASE("matrix: f16 activations and weights equal the reference") {
  sparq_test::check_all_extents<block<16, 4>, with<f16, f16>>();
  sparq_test::check_all_extents<tile_wise<8>, with<f16, f16>>();
  sparq_test::check_all_extents<csr, with<f16, f16>, default_atoms, default_column_shape<f16>>();
}

TEST_CASE("matrix: f16 packs to the same bytes on every machine") {
  CHECK(sparq_test::packed_fingerprint<dense, f16>() == 0x29f69b84df615ee7);
}
