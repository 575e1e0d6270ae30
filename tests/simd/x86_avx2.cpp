// SPDX-License-Identifier: MIT
#include <sparq/simd/x86_avx2.hpp>

#include "tests/support/atom_check.hpp"

using namespace sparq;

TEST_CASE("x86_avx2: atoms multiply every pair of signs exactly") {
#if SPARQ_HAS_AVX2
  for (const std::size_t groups : {2u, 8u, 64u}) {
    sparq_test::check_atom<dot4_avx2<u8, s8>, s8>(groups);
    sparq_test::check_atom<dot4_avx2<s8, s8>, s8>(groups);
    sparq_test::check_atom<dot4_avx2<s8, u8>, u8>(groups);
    sparq_test::check_atom<dot4_avx2<u8, u8>, u8>(groups);
    sparq_test::check_atom<dot4_avx2<s8, s8>, s4>(groups);
    if (groups % 8 == 0) sparq_test::check_atom<dot4_avx2<u8, s8>, binary>(groups);
    sparq_test::check_atom<fma1_f32f32_avx2, f32>(groups);
  }
#else
  CHECK_FALSE(native_isa.has(feature::avx2));
#endif
}

TEST_CASE("x86_avx2: narrow floats become f32") {
#if SPARQ_HAS_AVX2
  sparq_test::check_narrow_floats<fma1_avx2<f32, f16>, f16>();
  sparq_test::check_narrow_floats<fma1_avx2<f32, bf16>, bf16>();
#else
  CHECK_FALSE(native_isa.has(feature::avx2));
#endif
}

TEST_CASE("x86_avx2: permutes take what they are told from windows of every size") {
#if SPARQ_HAS_AVX2
  sparq_test::check_permutes<dot4_avx2<u8, s8>, s8>(sparq_test::byte_windows());
  sparq_test::check_permutes<dot4_avx2<s8, u8>, u8>(sparq_test::byte_windows());
  sparq_test::check_permutes<fma1_f32f32_avx2, f32>(sparq_test::float_windows());
#else
  CHECK_FALSE(native_isa.has(feature::avx2));
#endif
}
