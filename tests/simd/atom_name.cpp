// SPDX-License-Identifier: MIT
#include <sparq/simd/atom_name.hpp>

#include <sparq/numeric/floating.hpp>
#include <sparq/numeric/integer.hpp>
#include <sparq/numeric/sign.hpp>

#include "tests/support/catch.hpp"

using namespace sparq;

TEST_CASE("atom_name: the operation, X, W and what the atom needs") {
  STATIC_REQUIRE(machine::atom_name<"fma1_", f32, bf16, "_avx2"> == "fma1_f32bf16_avx2");
  STATIC_REQUIRE(machine::atom_name<"dot4_", s16, s8, "_avx512"> == "dot4_s16s8_avx512");
}

TEST_CASE("atom_name: narrow codes are bytes") {
  STATIC_REQUIRE(machine::atom_name<"dot4_", u8, s4, "_scalar"> == "dot4_u8s8_scalar");
  STATIC_REQUIRE(machine::atom_name<"dot4_", s8, ternary, "cut_avx2"> == "dot4_s8s8cut_avx2");
}
