// SPDX-License-Identifier: MIT
// The matrix test of codebooks: every width, tables of every granularity, every kind of panel, both loops.
#include <sparq/format/bitmask.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_n_m.hpp>
#include <sparq/format/tile_wise_n_m.hpp>
#include <sparq/tensor/encode_codebook.hpp>

#include "tests/support/matrix.hpp"

using namespace sparq;
using sparq_test::with;

namespace {

using code16 = codebook<4, s8, per_tensor>;
using code16_of_channel = codebook<4, s8, per_channel>;
using floats_of_channel = codebook<4, f32, per_channel>;

}  // namespace

TEMPLATE_TEST_CASE("matrix: codebooks of every width equal the reference", "", (codebook<1, s8, per_channel>),
                   (codebook<2, s8, per_tensor>), (codebook<3, s8, per_channel>), (codebook<4, s8, per_bucket<256>>),
                   (codebook<5, s8, per_channel>), (codebook<6, s8, per_tensor>), (codebook<7, s8, per_channel>),
                   (codebook<8, s8, per_tensor>)) {
  sparq_test::check_all_extents<dense, with<TestType, u8>>();
}

TEST_CASE("matrix: codebooks meet signed bytes and floats") {
  sparq_test::check_all_extents<dense, with<code16_of_channel, s8>>();
  sparq_test::check_all_extents<dense, with<floats_of_channel, f32>>();
  sparq_test::check_all_extents<dense, with<codebook<4, f32, per_bucket<256>>, f32>>();
  sparq_test::check_all_extents<dense, with<codebook<2, f32>, f32>>();
  sparq_test::check_all_extents<dense, with<codebook<7, f32, per_channel>, f32>>();
}

TEST_CASE("matrix: codebooks equal the reference in every kind of panel") {
  sparq_test::check_all_extents<tile_wise<8>, with<code16_of_channel, u8>>();
  sparq_test::check_all_extents<n_m<2, 4>, with<code16_of_channel, u8>>();
  sparq_test::check_all_extents<tile_n_m<32, 2, 4>, with<code16, u8>>();
  sparq_test::check_all_extents<tile_wise<20, n_m<2, 4>>, with<code16_of_channel, u8>>();
  sparq_test::check_all_extents<csr, with<code16_of_channel, u8>>();
  sparq_test::check_all_extents<tile_wise<8>, with<floats_of_channel, f32>>();
}

TEST_CASE("matrix: codebooks equal the reference in the columns loop") {
  sparq_test::check_all_extents<csr, with<code16_of_channel, u8>, default_atoms, column_shape<4, 4>>();
  sparq_test::check_all_extents<bitmask, with<codebook<5, s8, per_tensor>, s8>, default_atoms, column_shape<4, 4>>();
  sparq_test::check_all_extents<csr, with<floats_of_channel, f32>, default_atoms, column_shape<4, 1>>();
}

TEST_CASE("matrix: codebooks packed as a bitmask equal the reference") {
  sparq_test::check_all_extents<csr, with<code16_of_channel, u8>, default_atoms, bitmask_shape<16, 4>>();
  sparq_test::check_all_extents<n_m<2, 4>, with<codebook<1, s8, per_tensor>, s8>, default_atoms,
                                bitmask_shape<16, 4>>();
  sparq_test::check_all_extents<csr, with<codebook<6, s8, per_channel>, u8>, default_atoms, bitmask_shape<16, 4>>();
  sparq_test::check_all_extents<dense, with<codebook<4, s8, per_bucket<256>>, u8>, default_atoms,
                                bitmask_shape<16, 4>>();
  sparq_test::check_all_extents<csr, with<floats_of_channel, f32>, default_atoms, bitmask_shape<16, 1>>();
}

TEST_CASE("matrix: codebooks packed in windows equal the reference") {
  sparq_test::check_all_extents<csr, with<code16_of_channel, u8>, default_atoms, window_shape<16, 4, 32>>();
  sparq_test::check_all_extents<n_m<2, 4>, with<codebook<2, s8>, s8>, default_atoms, window_shape<16, 4, 16>>();
  sparq_test::check_all_extents<csr, with<codebook<6, s8, per_channel>, u8>, default_atoms, window_shape<16, 4, 64>>();
  sparq_test::check_all_extents<csr, with<floats_of_channel, f32>, default_atoms, window_shape<16, 1, 8>>();
}

TEST_CASE("matrix: a table without 0 is not packed in windows") {
  const std::vector<std::uint8_t> codes(6, 1);
  const auto w = encode_codes<dense, code16, per_tensor>(codes, {2, 3}, mask({2, 3}, true),
                                                         std::vector<std::int8_t>(16, 5), {1.0F});
  aligned_buffer block(packed_bytes<window_shape<16, 4, 32>>(w.view()));
  CHECK(try_pack_into<window_shape<16, 4, 32>>(w.view(), block.bytes()).error().message() ==
        "pack: table 0 has no entry of 0, with which windows are filled up; pack for the rows loop");
}

TEST_CASE("matrix: damaged blocks of codebooks are refused or stay in bounds") {
  sparq_test::check_damaged_blocks<tile_wise<4>, with<codebook<3, s8, per_channel>, u8>>();
  sparq_test::check_damaged_blocks<csr, with<codebook<3, s8, per_channel>, u8>>();
  sparq_test::check_damaged_blocks<csr, with<codebook<3, s8, per_channel>, u8>, bitmask_shape<16, 4>>();
  sparq_test::check_damaged_blocks<csr, with<codebook<8, s8, per_channel>, u8>, bitmask_shape<16, 4>>();
  sparq_test::check_damaged_blocks<dense, with<codebook<4, s8, per_bucket<256>>, u8>>();
  sparq_test::check_damaged_blocks<csr, with<codebook<3, s8, per_channel>, u8>, window_shape<16, 4, 16>>();
}
