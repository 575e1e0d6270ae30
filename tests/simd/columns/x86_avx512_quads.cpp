// SPDX-License-Identifier: MIT
#include <sparq/simd/columns/x86_avx512_quads.hpp>

#include "tests/support/column_atom_check.hpp"

using namespace sparq;

TEST_CASE("x86_avx512_quads: runs of four k's of every pair of types") {
#if SPARQ_HAS_AVX512VNNI
  sparq_test::check_column_atom<quads4_avx512vnni<u8, s8>, s8>();
  sparq_test::check_column_atom<quads4_avx512vnni<s8, s8>, s8>();
  sparq_test::check_column_atom<quads4_avx512vnni<s8, u8>, u8>();
  sparq_test::check_column_atom<quads4_avx512vnni<u8, u8>, u8>();
  sparq_test::check_column_atom<quads4_avx512vnni<u8, s8, 1>, s8>();
  sparq_test::check_column_atom<quads4_avx512vnni<s8, s8, 1>, s8>();
  sparq_test::check_column_atom<quads4_avx512vnni<s8, u8, 1>, u8>();
  sparq_test::check_column_atom<quads4_avx512vnni<u8, u8, 1>, u8>();
#else
  CHECK_FALSE(native_isa.has(feature::avx512vnni));
#endif
}
