// SPDX-License-Identifier: MIT
#include <sparq/simd/x86_avx512.hpp>

#include "tests/support/atom_check.hpp"

using namespace sparq;

TEST_CASE("x86_avx512: atoms multiply every pair of signs exactly") {
#if SPARQ_HAS_AVX512
  for (const std::size_t groups : {2, 8, 64}) {
    sparq_test::check_atom<dot4_avx512<u8, s8>, s8>(groups);
    sparq_test::check_atom<dot4_avx512<u8, u8>, u8>(groups);
    sparq_test::check_atom<dot4_avx512<s8, s8>, s4>(groups);
    sparq_test::check_atom<fma1_f32f32_avx512, f32>(groups);
  }
#else
  CHECK_FALSE(native_isa.has(feature::avx512));
#endif
}

TEST_CASE("x86_avx512: byte dot products multiply every pair of signs exactly") {
#if SPARQ_HAS_AVX512VNNI
  for (const std::size_t groups : {2, 8, 64}) {
    sparq_test::check_atom<dot4_avx512vnni<u8, s8>, s8>(groups);
    sparq_test::check_atom<dot4_avx512vnni<s8, s8>, s8>(groups);
    sparq_test::check_atom<dot4_avx512vnni<s8, u8>, u8>(groups);
    sparq_test::check_atom<dot4_avx512vnni<u8, u8>, u8>(groups);
    sparq_test::check_atom<dot4_avx512vnni<u8, s8>, s4>(groups);
  }
#else
  CHECK_FALSE(native_isa.has(feature::avx512vnni));
#endif
}
