// SPDX-License-Identifier: MIT
// The matrix test of scales along k: formats x numeric types x granularities, in both loops, against sums in double.
#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_n_m.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/format/tile_wise_n_m.hpp>

#include "tests/support/scales.hpp"

using namespace sparq;
using sparq_test::with;

namespace {

using rows_shape = default_panel_shape<s8>;
using columns_shape = default_column_shape<s8>;

}  // namespace

TEST_CASE("matrix: scales along k in the format that keeps everything") {
  sparq_test::check_scales<dense, with<s4, u8>, per_group<32>, rows_shape, columns_shape>();
  sparq_test::check_scales<dense, with<s8, s8>, per_group<128>, rows_shape>();
  sparq_test::check_scales<dense, with<s2, s8>, per_group<16>, rows_shape>();
  sparq_test::check_scales<dense, with<u4, u8>, per_group<20>, rows_shape>();
}

TEST_CASE("matrix: scales along k in lists and runs") {
  sparq_test::check_scales<tile_wise<8>, with<s8, u8>, per_group<32>, rows_shape, columns_shape>();
  sparq_test::check_scales<tile_wise<32>, with<s4, s8>, per_block<4, 64>, rows_shape>();
  sparq_test::check_scales<block<16, 4>, with<s4, u8>, per_group<12>, rows_shape>();
  sparq_test::check_scales<csr, with<s8, s8>, per_group<64>, rows_shape, columns_shape>();
}

TEST_CASE("matrix: scales along k in N:M patterns") {
  sparq_test::check_scales<n_m<2, 4>, with<s8, u8>, per_group<32>, rows_shape, columns_shape>();
  sparq_test::check_scales<n_m<1, 4>, with<s4, s8>, per_group<32>, rows_shape>();
  sparq_test::check_scales<n_m<2, 4>, with<s4, u8>, per_group<128>, rows_shape>();
  sparq_test::check_scales<tile_n_m<32, 2, 4>, with<s8, s8>, per_block<1, 32>, rows_shape>();
  sparq_test::check_scales<tile_n_m<32, 1, 4>, with<s2, u8>, per_group<32>,
                           rows_shape>();  // words end in groups without weights
  sparq_test::check_scales<tile_wise<32, n_m<2, 4>>, with<s8, u8>, per_group<32>, columns_shape>();
}
