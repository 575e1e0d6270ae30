// SPDX-License-Identifier: MIT
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/kernel/reference.hpp>

#include "tests/support/catch.hpp"

#include <cstdint>
#include <vector>

using namespace sparq;

TEST_CASE("reference: a product worked out by hand") {
  const std::vector<std::int8_t> codes = {1, 0, -2, 0, -128, 3};  // 2 x 3
  const std::vector<std::uint8_t> x = {255, 1, 2, 0, 10, 100};    // 2 x 3
  const std::vector<std::int32_t> want = {251, -122, -200, -980};
  const matrix_view<const std::uint8_t> rows(x.data(), 2, 3);
  CHECK(reference_gemm(rows, encode_codes<dense, s8, per_tensor>(codes, {2, 3}, {1.0F}).view()) == want);
  CHECK(reference_gemm(rows, encode_codes<csr, s8, per_tensor>(codes, {2, 3}, {1.0F}).view()) == want);
}

TEST_CASE("reference: of a pair of bf16 the second product is added first") {
  const std::vector<brain_float> x(5, brain_float(1.0F));
  const auto sum_of = [&](const std::vector<float>& weights) {
    const matrix_view<const brain_float> row(x.data(), 1, weights.size());
    return reference_gemm_in_pairs(row, encode<dense, bf16>(weights, {1, weights.size()}).view());
  };
  CHECK(sum_of({0x1p24F, 0.0F, 1.0F, -0x1p24F}) == std::vector<float>{1.0F});
  CHECK(sum_of({0x1p24F, 0.0F, -0x1p24F, 1.0F}) == std::vector<float>{0.0F});
  CHECK(sum_of({1.0F, 2.0F, 3.0F, 4.0F, 5.0F}) == std::vector<float>{15.0F});  // half a pair
}
