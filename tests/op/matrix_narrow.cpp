// SPDX-License-Identifier: MIT
// The matrix test of narrow weights, in both loops and in panels of every kind.
#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_n_m.hpp>
#include <sparq/format/tile_wise.hpp>

#include "tests/support/matrix.hpp"

using namespace sparq;
using sparq_test::with;

TEMPLATE_TEST_CASE("matrix: narrow weights equal the reference", "", (with<u4, u8>), (with<u4, s8>), (with<s2, u8>),
                   (with<s2, s8>), (with<u2, u8>), (with<ternary, u8>), (with<ternary, s8>), (with<binary, u8>),
                   (with<binary, s8>)) {
  sparq_test::check_all_extents<dense, TestType>();
  sparq_test::check_all_extents<csr, TestType, default_atoms, default_column_shape<typename TestType::weight_type>>();
}

TEMPLATE_TEST_CASE("matrix: signs equal the reference in every kind of panel", "", ternary, binary) {
  sparq_test::check_all_extents<block<16, 4>, with<TestType, u8>>();
  sparq_test::check_all_extents<tile_wise<8>, with<TestType, u8>>();
  sparq_test::check_all_extents<n_m<2, 4>, with<TestType, u8>>();
  sparq_test::check_all_extents<tile_n_m<32, 2, 4>, with<TestType, u8>>();
}

TEST_CASE("matrix: weights that are packed as others equal the reference") {
  sparq_test::check_all_extents<dense, with<s3, s8>>();
  sparq_test::check_all_extents<csr, with<u3, u8>, default_atoms, column_shape<4, 4>>();
  sparq_test::check_all_extents<tile_wise<8>, with<pow2<3>, u8>>();
  sparq_test::check_all_extents<n_m<2, 4>, with<ternary_dense5, u8>>();
}

TEST_CASE("matrix: weights of 5 to 7 bits equal the reference") {
  sparq_test::check_all_extents<dense, with<s7, u8>>();
  sparq_test::check_all_extents<dense, with<s6, s8>>();
  sparq_test::check_all_extents<block<16, 4>, with<s5, u8>>();
  sparq_test::check_all_extents<tile_wise<8>, with<s7, s8>>();
  sparq_test::check_all_extents<n_m<2, 4>, with<s7, u8>>();
  sparq_test::check_all_extents<csr, with<s7, u8>, default_atoms, column_shape<4, 4>>();
}

TEST_CASE("matrix: narrow weights pack to the same bytes on every machine") {
  CHECK(sparq_test::packed_fingerprint<dense, s2>() == 0xb68eaa3360713fb7);
  CHECK(sparq_test::packed_fingerprint<csr, ternary>() == 0xa4e80da6870c2537);
  CHECK(sparq_test::packed_fingerprint<tile_wise<8>, u4>() == 0xec6c657166224376);
  CHECK(sparq_test::packed_fingerprint<dense, binary>() == 0x248fa3dbb0ae8aa7);
}
