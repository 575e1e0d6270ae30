// SPDX-License-Identifier: MIT
// One row of bytes and weights of -1 and 1, few channels and many, against the reference; which products take bits of W
// as factors.
#include <sparq/format/dense.hpp>
#include <sparq/kernel/loop/sign_mask_loop.hpp>
#include <sparq/op/gemm.hpp>

#include "tests/support/one_row.hpp"

using namespace sparq;

TEST_CASE("sign_mask_loop: every size equals the reference") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (const std::size_t n : {1u, 15u, 16u, 17u, 63u, 64u, 65u, 80u, 81u, 127u, 130u, 200u})
    for (const std::size_t k : {0u, 1u, 3u, 31u, 32u, 33u, 63u, 64u, 65u, 255u, 257u, 1000u}) {
      sparq_test::check_one_row<u8>(n, k, random, scratch);
      sparq_test::check_one_row<s8>(n, k, random, scratch);
    }
}

TEST_CASE("sign_mask_loop: takes one row") {
  sparq_test::random_source random;
  const auto loop_of = [&](std::size_t m) {
    const auto packed = pack<panel_shape<16, 4>>(sparq_test::random_dense(40, 70, random));
    return std::string(explain_gemm(matrix_view<const std::uint8_t>(nullptr, m, 70), packed,
                                    matrix_view<std::int32_t>(nullptr, m, 40)).loop);
  };
  CHECK(loop_of(1) == (SPARQ_HAS_AVX512VNNI ? "rows, sums by bits" : "rows"));
  CHECK(loop_of(2) == "rows");
}
