// SPDX-License-Identifier: MIT
#include <sparq/simd/rows/scalar.hpp>

#include "tests/support/atom_check.hpp"

using namespace sparq;

TEST_CASE("scalar: atoms multiply every pair of signs exactly") {
  for (const std::size_t groups : {2u, 8u, 64u}) {
    sparq_test::check_atom<dot4_scalar<u8, s8>, s8>(groups);
    sparq_test::check_atom<dot4_scalar<s8, s8>, s8>(groups);
    sparq_test::check_atom<dot4_scalar<s8, u8>, u8>(groups);
    sparq_test::check_atom<dot4_scalar<u8, u8>, u8>(groups);
    sparq_test::check_atom<dot4_scalar<u8, s8>, s4>(groups);
    sparq_test::check_atom<fma1_f32f32_scalar, f32>(groups);
  }
}

TEST_CASE("scalar: narrow floats become f32") {
  sparq_test::check_narrow_floats<fma1_scalar<f32, f16>, f16>();
  sparq_test::check_narrow_floats<fma1_scalar<f32, bf16>, bf16>();
}

TEST_CASE("scalar: permutes take what they are told from windows of every size") {
  sparq_test::check_permutes<dot4_scalar<u8, s8>, s8>(sparq_test::byte_windows());
  sparq_test::check_permutes<fma1_f32f32_scalar, f32>(sparq_test::float_windows());
}
