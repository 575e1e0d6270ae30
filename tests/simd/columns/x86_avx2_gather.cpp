// SPDX-License-Identifier: MIT
#include <sparq/simd/columns/x86_avx2_gather.hpp>

#include "tests/support/column_atom_check.hpp"

using namespace sparq;

TEST_CASE("x86_avx2_gather: atoms sum steps of every kind") {
#if SPARQ_HAS_AVX2
  sparq_test::check_gather_atom<gather4_avx2<u8, s8>, s8>();
  sparq_test::check_gather_atom<gather4_avx2<s8, s8>, s8>();
  sparq_test::check_gather_atom<gather4_avx2<s8, u8>, u8>();
  sparq_test::check_gather_atom<gather4_avx2<u8, u8>, u8>();
  sparq_test::check_gather_atom<gather1_avx2<f32, f32>, f32>();
  sparq_test::check_gather_atom<gather1_avx2<f32, bf16>, bf16>();
  sparq_test::check_gather_atom<gather1_avx2<bf16, f32>, f32>();
  sparq_test::check_gather_atom<gather1_avx2<bf16, bf16>, bf16>();
  sparq_test::check_gather_atom<gather1_avx2<f16, f16>, f16>();
#else
  CHECK_FALSE(native_isa.has(feature::avx2));
#endif
}
