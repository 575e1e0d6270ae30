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
