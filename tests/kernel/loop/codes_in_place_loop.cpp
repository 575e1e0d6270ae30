// SPDX-License-Identifier: MIT
// One row of bytes and weights of 4, 2 or 1 bits, few channels and many, against the reference; which products take
// codes as factors.
#include <sparq/format/dense.hpp>
#include <sparq/kernel/loop/codes_in_place_loop.hpp>
#include <sparq/numeric/integer.hpp>
#include <sparq/op/gemm.hpp>

#include "tests/support/one_row.hpp"

using namespace sparq;

namespace {

template <numeric W>
void check_codes(sparq_test::random_source& random) {
  workspace scratch;
  for (const std::size_t n : {1u, 15u, 16u, 17u, 63u, 64u, 65u, 81u, 127u, 128u, 130u, 200u})
    for (const std::size_t k : {0u, 1u, 3u, 31u, 32u, 33u, 63u, 64u, 65u, 255u, 257u, 1000u}) {
      sparq_test::check_one_row<u8, W>(n, k, random, scratch);
      sparq_test::check_one_row<s8, W>(n, k, random, scratch);
    }
}

template <numeric W>
std::string loop_of(std::size_t m, std::size_t n, std::size_t k, sparq_test::random_source& random) {
  const auto packed = pack<panel_shape<16, 4>>(sparq_test::random_dense<W>(n, k, random));
  return std::string(explain_gemm(matrix_view<const std::uint8_t>(nullptr, m, k), packed,
                                  matrix_view<std::int32_t>(nullptr, m, n)).loop);
}

}  // namespace

TEST_CASE("codes_in_place_loop: every size equals the reference") {
  sparq_test::random_source random;
  INFO(random.text());
  check_codes<s4>(random);
  check_codes<u4>(random);
  check_codes<s2>(random);
  check_codes<u2>(random);
  check_codes<ternary>(random);
  check_codes<binary>(random);
}

TEST_CASE("codes_in_place_loop: takes one row whose sums stay exact") {
  sparq_test::random_source random;
  INFO(random.text());
  const std::string in_place = SPARQ_HAS_AVX512VNNI ? "rows, codes in place" : "rows";
  CHECK(loop_of<s4>(1, 40, 70, random) == in_place);
  CHECK(loop_of<u4>(1, 40, 70, random) == in_place);
  CHECK(loop_of<ternary>(1, 40, 70, random) == in_place);
  CHECK(loop_of<binary>(1, 40, 70, random) == in_place);
  CHECK(loop_of<s8>(1, 40, 70, random) == "rows");
  CHECK(loop_of<s4>(2, 40, 70, random) == "rows");
  constexpr std::size_t most = std::size_t{1} << 17;
  CHECK(loop_of<s4>(1, 1, most, random) == in_place);
  CHECK(loop_of<s4>(1, 1, most + 1, random) == "rows");
  workspace scratch;
  for (const std::size_t k : {most, most + 1}) sparq_test::check_one_row<u8, s4>(1, k, random, scratch);
}
