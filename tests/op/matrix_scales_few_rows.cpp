// SPDX-License-Identifier: MIT
// The matrix test of scales along k in the forms for few rows: windows, and weights packed as a bitmask. They give the
// bits of the rows loop.
#include <sparq/format/bitmask.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/n_m.hpp>

#include "tests/support/scales.hpp"

using namespace sparq;
using sparq_test::with;

namespace {

using rows_shape = default_panel_shape<s8>;
using bits_shape = default_bitmask_shape<s8>;

}  // namespace

TEST_CASE("matrix: scales along k in windows") {
  sparq_test::check_scales<csr, with<s8, s8>, per_group<64>, rows_shape, window_shape<16, 4, 32>,
                           window_shape<16, 4, 64>>();
  sparq_test::check_scales<csr, with<s8, u8>, per_group<64>, window_shape<32, 4, 64>, window_shape<16, 4, 64>>();
  sparq_test::check_scales<csr, with<s4, u8>, per_group<12>, rows_shape, window_shape<16, 4, 16>>();
  sparq_test::check_scales<bitmask, with<s8, u8>, per_block<4, 128>, window_shape<16, 4, 16>,
                           window_shape<16, 4, 32>>();
}

TEST_CASE("matrix: scales along k of weights packed as a bitmask") {
  sparq_test::check_scales<bitmask, with<s4, s8>, per_block<4, 128>, bits_shape, rows_shape>();
  sparq_test::check_scales<csr, with<s8, s8>, per_group<12>, bits_shape, window_shape<16, 4, 16>>();
  sparq_test::check_scales<n_m<2, 4>, with<ternary_dense5, u8>, per_group<320>, bits_shape,
                           rows_shape>();  // one group is a section
  sparq_test::check_scales<csr, with<s8, s16>, per_group<64>, bits_shape>();
  sparq_test::check_scales<csr, with<f32, f32>, per_group<10>, default_bitmask_shape<f32>, window_shape<16, 1, 8>>();
}

TEST_CASE("matrix: scales along k of codebooks in the forms for few rows") {
  sparq_test::check_scales<csr, with<codebook<4, s8, per_channel>, u8>, per_group<20>, window_shape<16, 4, 32>,
                           rows_shape>();
  sparq_test::check_scales<csr, with<codebook<4, s8, per_channel>, u8>, per_group<32>, bits_shape, rows_shape>();
  sparq_test::check_scales<bitmask, with<codebook<6, s8>, s8>, per_group<128>, bits_shape>();
}

TEST_CASE("matrix: damaged bitmasks with scales along k are refused or stay in bounds") {
  sparq_test::check_damaged_blocks<csr, with<s8, u8>, bits_shape, per_group<16>>();
}
