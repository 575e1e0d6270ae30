// SPDX-License-Identifier: MIT
#include <sparq/simd/rows/x86_avx2_one_row.hpp>

#include "tests/support/atom_check.hpp"

using namespace sparq;

TEST_CASE("x86_avx2_one_row: atoms multiply exactly for as many groups as they promise") {
#if SPARQ_HAS_AVX2
  STATIC_REQUIRE(dot4_cut_avx2<u8, s8>::max_groups == 8);
  STATIC_REQUIRE(dot4_cut_avx2<s8, u8>::max_groups == 4);
  for (const std::size_t groups : {1u, 8u}) {
    sparq_test::check_atom<dot4_cut_avx2<u8, s8>, s8>(groups);
    sparq_test::check_atom<dot4_cut_avx2<s8, s8>, s8>(groups);
  }
  sparq_test::check_atom<dot4_cut_avx2<u8, u8>, u8>(4);
  sparq_test::check_atom<dot4_cut_avx2<s8, u8>, u8>(4);
#else
  CHECK_FALSE(native_isa.has(feature::avx2));
#endif
}
