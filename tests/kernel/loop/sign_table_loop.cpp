// SPDX-License-Identifier: MIT
// One row of bytes and weights of -1 and 1: which products take tables of sums, and every size, type of X and cut of
// the work against the reference.
#include <sparq/format/dense.hpp>
#include <sparq/kernel/loop/sign_table_loop.hpp>
#include <sparq/op/gemm.hpp>

#include "tests/support/one_row.hpp"

using namespace sparq;

namespace {

constexpr bool has_tables_of_sums =
    machine::has_wide_sign_tables || (native_isa.has(feature::avx2) && !SPARQ_HAS_AVX512);

}  // namespace

TEST_CASE("sign_table_loop: every size equals the reference") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (const std::size_t n : {256u, 257u, 271u, 272u, 273u, 287u, 288u, 300u, 384u, 401u})
    for (const std::size_t k : {0u, 1u, 3u, 31u, 32u, 33u, 64u, 255u, 256u, 257u, 1000u}) {
      sparq_test::check_one_row<u8>(n, k, random, scratch);
      sparq_test::check_one_row<s8>(n, k, random, scratch);
    }
}

TEST_CASE("sign_table_loop: takes one row and as many channels as pay for tables") {
  sparq_test::random_source random;
  const auto loop_of = [&](std::size_t m, std::size_t n) {
    const auto packed = pack<panel_shape<16, 4>>(sparq_test::random_dense(n, 70, random));
    return std::string(explain_gemm(matrix_view<const std::uint8_t>(nullptr, m, 70), packed,
                                    matrix_view<std::int32_t>(nullptr, m, n)).loop);
  };
  const std::string other = SPARQ_HAS_AVX512VNNI ? "rows, codes in place" : "rows";
  CHECK(loop_of(1, 256) == (has_tables_of_sums ? "rows, sums by tables" : other));
  CHECK(loop_of(1, 255) == other);
  CHECK(loop_of(2, 256) == "rows");
}
