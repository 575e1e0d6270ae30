// SPDX-License-Identifier: MIT
#include <sparq/simd/columns/x86_avx512_columns.hpp>

#include "tests/support/column_atom_check.hpp"

using namespace sparq;

TEST_CASE("x86_avx512_columns: atoms add groups of every pair of types") {
#if SPARQ_HAS_AVX512VNNI
  sparq_test::check_column_atom<columns4_avx512vnni<u8, s8>, s8>();
  sparq_test::check_column_atom<columns4_avx512vnni<s8, s8>, s8>();
  sparq_test::check_column_atom<columns4_avx512vnni<s8, u8>, u8>();
  sparq_test::check_column_atom<columns4_avx512vnni<u8, u8>, u8>();
#endif
#if SPARQ_HAS_AVX512VNNI && SPARQ_HAS_AVX512VBMI
  sparq_test::check_column_atom<columns4_few_avx512vbmi<u8, s8>, s8>();
  sparq_test::check_column_atom<columns4_few_avx512vbmi<s8, s8>, s8>();
  sparq_test::check_column_atom<columns4_few_avx512vbmi<s8, u8>, u8>();
  sparq_test::check_column_atom<columns4_few_avx512vbmi<u8, u8>, u8>();
#endif
#if SPARQ_HAS_AVX512
  sparq_test::check_column_atom<columns1_avx512<f32, f32>, f32>();
  sparq_test::check_column_atom<columns1_avx512<f32, bf16>, bf16>();
  sparq_test::check_column_atom<columns1_avx512<bf16, f32>, f32>();
  sparq_test::check_column_atom<columns1_avx512<bf16, bf16>, bf16>();
  sparq_test::check_column_atom<columns1_avx512<f16, f16>, f16>();
#else
  CHECK_FALSE(native_isa.has(feature::avx512));
#endif
}
