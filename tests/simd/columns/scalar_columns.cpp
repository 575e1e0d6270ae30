// SPDX-License-Identifier: MIT
#include <sparq/simd/columns/scalar_columns.hpp>

#include "tests/support/column_atom_check.hpp"

using namespace sparq;

TEST_CASE("scalar_columns: atoms add groups of every pair of types") {
  sparq_test::check_column_atom<columns4_scalar<u8, s8>, s8>();
  sparq_test::check_column_atom<columns4_scalar<s8, s8>, s8>();
  sparq_test::check_column_atom<columns4_scalar<s8, u8>, u8>();
  sparq_test::check_column_atom<columns4_scalar<u8, u8>, u8>();
  sparq_test::check_column_atom<columns1_scalar<f32, f32>, f32>();
  sparq_test::check_column_atom<columns1_scalar<f32, bf16>, bf16>();
  sparq_test::check_column_atom<columns1_scalar<bf16, f32>, f32>();
  sparq_test::check_column_atom<columns1_scalar<bf16, bf16>, bf16>();
  sparq_test::check_column_atom<columns1_scalar<f16, f16>, f16>();
}
