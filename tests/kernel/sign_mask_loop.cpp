// SPDX-License-Identifier: MIT
// One row of bytes and weights of -1 and 1, few channels and many, against the reference; which products take bits of W as
// factors.
#include <sparq/format/dense.hpp>
#include <sparq/kernel/sign_mask_loop.hpp>
#include <sparq/op/gemm.hpp>

#include "tests/support/matrix.hpp"

using namespace sparq;

namespace {

auto random_weights(std::size_t n, std::size_t k, sparq_test::random_source& random) {
  return sparq_test::random_tensor<dense, binary>(mask({n, k}, true), sparq_test::random_style(random), random);
}

template <numeric X>
void check(std::size_t n, std::size_t k, sparq_test::random_source& random, workspace& scratch) {
  INFO(X::name << ", n " << n << ", k " << k);
  const auto w = random_weights(n, k, random);
  const auto packed = pack<panel_shape<16, 4>>(w);
  const auto x = sparq_test::random_x<X>({1, n, k}, sparq_test::random_style(random), random);
  const std::size_t parts = random.chance(0.5) ? 1 : 1 + random.below(5);
  sparq_test::guarded_output<std::int32_t> y(1, n, random);
  gemm(x.view(), packed, y.view(), epilogue<>(), sparq_test::scrambled_executor{parts, &random}, scratch);
  REQUIRE(y.elements() == reference_gemm(x.view(), w.view()));
  REQUIRE(y.surroundings_intact());
}

}  // namespace

TEST_CASE("sign_mask_loop: every size equals the reference") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (const std::size_t n : {1u, 15u, 16u, 17u, 63u, 64u, 65u, 80u, 81u, 127u, 130u, 200u})
    for (const std::size_t k : {0u, 1u, 3u, 31u, 32u, 33u, 63u, 64u, 65u, 255u, 257u, 1000u}) {
      check<u8>(n, k, random, scratch);
      check<s8>(n, k, random, scratch);
    }
}

TEST_CASE("sign_mask_loop: takes one row") {
  sparq_test::random_source random;
  const auto loop_of = [&](std::size_t m) {
    const auto packed = pack<panel_shape<16, 4>>(random_weights(40, 70, random));
    return std::string(explain_gemm(matrix_view<const std::uint8_t>(nullptr, m, 70), packed,
                                    matrix_view<std::int32_t>(nullptr, m, 40)).loop);
  };
  CHECK(loop_of(1) == (SPARQ_HAS_AVX512VNNI ? "rows, sums by bits" : "rows"));
  CHECK(loop_of(2) == "rows");
}
