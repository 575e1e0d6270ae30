// SPDX-License-Identifier: MIT
#include <sparq/simd/rows/x86_avx2_narrow.hpp>

#include "tests/support/atom_check.hpp"

using namespace sparq;

TEST_CASE("x86_avx2_narrow: atoms multiply exactly for as many groups as they promise") {
#if SPARQ_HAS_AVX2
  STATIC_REQUIRE(dot4_narrow_avx2<u8, s4>::max_groups == 8);
  STATIC_REQUIRE(dot4_narrow_avx2<u8, ternary>::max_groups == 64);
  for (const std::size_t groups : {4u, 8u}) {
    sparq_test::check_atom<dot4_narrow_avx2<u8, s4>, s4>(groups);
    sparq_test::check_atom<dot4_narrow_avx2<s8, s4>, s4>(groups);
  }
  sparq_test::check_atom<dot4_narrow_avx2<u8, u4>, u4>(4);
  for (const std::size_t groups : {4u, 32u}) {
    sparq_test::check_atom<dot4_narrow_avx2<u8, s2>, s2>(groups);
    sparq_test::check_atom<dot4_narrow_avx2<s8, s2>, s2>(groups);
  }
  sparq_test::check_atom<dot4_narrow_avx2<s8, u2>, u2>(20);
  sparq_test::check_atom<dot4_narrow_avx2<u8, ternary>, ternary>(64);
  sparq_test::check_atom<dot4_narrow_avx2<s8, binary>, binary>(64);
#else
  CHECK_FALSE(native_isa.has(feature::avx2));
#endif
}

TEST_CASE("x86_avx2_narrow: weights up to 64 do not saturate pairs of products") {
#if SPARQ_HAS_AVX2
  STATIC_REQUIRE(machine::narrow_groups<s8_up_to_64> == 1);
  STATIC_REQUIRE(machine::narrow_groups<s8> == 0);
  for (const std::size_t groups : {1u, 5u, 64u}) {
    sparq_test::check_atom<dot4_pairs_avx2<u8, s8_up_to_64>, s8_up_to_64>(groups);
    sparq_test::check_atom<dot4_pairs_avx2<s8, s8_up_to_64>, s8_up_to_64>(groups);
  }
#else
  CHECK_FALSE(native_isa.has(feature::avx2));
#endif
}
