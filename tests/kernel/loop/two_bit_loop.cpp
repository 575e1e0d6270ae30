// SPDX-License-Identifier: MIT
// One row of bytes and weights of 2 bits: which products run in place, and every size, type of X and cut of the work
// against the reference.
#include <sparq/format/dense.hpp>
#include <sparq/kernel/loop/two_bit_loop.hpp>
#include <sparq/numeric/integer.hpp>

#include "tests/support/one_row.hpp"

using namespace sparq;

TEST_CASE("two_bit_loop: every size equals the reference") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (const std::size_t n : {64u, 65u, 79u, 80u, 81u, 95u, 96u, 108u})
    for (const std::size_t k : {0u, 1u, 3u, 15u, 16u, 17u, 32u, 79u, 80u, 81u, 160u, 257u, 1000u}) {
      sparq_test::check_one_row<u8, s2>(n, k, random, scratch);
      sparq_test::check_one_row<s8, s2>(n, k, random, scratch);
      sparq_test::check_one_row<u8, ternary>(n, k, random, scratch);
      sparq_test::check_one_row<s8, ternary>(n, k, random, scratch);
    }
}

TEST_CASE("two_bit_loop: takes one row and more than a few channels") {
  sparq_test::random_source random;
  const auto loop_of = [&](std::size_t m, std::size_t n) {
    const auto packed = pack<panel_shape<16, 4>>(sparq_test::random_dense<ternary>(n, 70, random));
    return std::string(explain_gemm(matrix_view<const std::uint8_t>(nullptr, m, 70), packed,
                                    matrix_view<std::int32_t>(nullptr, m, n)).loop);
  };
  constexpr bool is_avx2 = native_isa.has(feature::avx2) && !SPARQ_HAS_AVX512;
  const std::string other = SPARQ_HAS_AVX512VNNI ? "rows, codes in place" : "rows";
  CHECK(loop_of(1, 64) == (is_avx2 ? "rows, two bits in place" : other));
  CHECK(loop_of(1, 63) == other);
  CHECK(loop_of(2, 64) == "rows");
}
