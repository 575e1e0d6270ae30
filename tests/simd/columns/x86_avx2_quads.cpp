// SPDX-License-Identifier: MIT
#include <sparq/simd/columns/x86_avx2_quads.hpp>

#include "tests/support/column_atom_check.hpp"

using namespace sparq;

TEST_CASE("x86_avx2_quads: runs of four k's of every pair of types") {
#if SPARQ_HAS_AVX2
  sparq_test::check_column_atom<quads4_avx2<u8, s8>, s8>();
  sparq_test::check_column_atom<quads4_avx2<s8, s8>, s8>();
  sparq_test::check_column_atom<quads4_avx2<s8, u8>, u8>();
  sparq_test::check_column_atom<quads4_avx2<u8, u8>, u8>();
#else
  CHECK_FALSE(native_isa.has(feature::avx2));
#endif
}
