// SPDX-License-Identifier: MIT
// Few rows of X times codebooks: every number of rows and length, against the reference.
#include <sparq/format/dense.hpp>
#include <sparq/kernel/loop/look_up_loop.hpp>
#include <sparq/op/conv2d.hpp>

#include "tests/support/matrix.hpp"

using namespace sparq;
using sparq_test::with;

namespace {

template <class Combination>
void check_few_rows() {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  static constexpr std::size_t channels[] = {0, 1, 7, 8, 9, 15, 16, 17, 33, 50};
  for (std::size_t m = 0; m <= looked_up_rows + 1; ++m)
    for (const std::size_t n : channels)
      for (int time = 0; time < 8; ++time) {
        const sparq_test::gemm_extents e{m, n, time == 0 ? 64 : time == 1 ? 0 : random.below(200)};
        INFO("m " << e.m << ", n " << e.n << ", k " << e.k);
        REQUIRE(sparq_test::multiplication_problem<dense, Combination>(e, random, scratch) == "");
      }
}

}  // namespace

TEST_CASE("look_up_loop: few rows equal the reference") {
  check_few_rows<with<codebook<4, s8, per_channel>, u8>>();
  check_few_rows<with<codebook<4, s8, per_tensor>, s8>>();
  check_few_rows<with<codebook<2, s8, per_channel>, u8>>();
  check_few_rows<with<codebook<1, s8, per_tensor>, u8>>();
  check_few_rows<with<codebook<4, f32, per_channel>, f32>>();
  check_few_rows<with<codebook<3, f32, per_channel>, f32>>();
  check_few_rows<with<codebook<2, f32, per_channel>, f32>>();
}

TEST_CASE("look_up_loop: a row has the same sums of floats whatever rows come with it") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  const std::size_t n = 37, k = 211, m = looked_up_rows;
  const auto w = pack(sparq_test::random_tensor<dense, codebook<4, f32, per_channel>>(
      mask({n, k}, true), sparq_test::value_style::any, random));
  const auto x = sparq_test::random_x<f32>({m, n, k}, sparq_test::value_style::any, random);
  std::vector<float> together(m * n), apart(m * n);
  gemm(x.view(), w, matrix_view<float>(together.data(), m, n), scratch);
  for (std::size_t r = 0; r < m; ++r)
    gemm(matrix_view<const float>(x.view().row(r), 1, k), w, matrix_view<float>(apart.data() + r * n, 1, n), scratch);
  CHECK(together == apart);
}

TEST_CASE("look_up_loop: says where rows come from") {
  sparq_test::random_source random;
  const auto w = pack(sparq_test::random_tensor<dense, codebook<4, s8, per_channel>>(
      mask({5, 36}, true), sparq_test::value_style::any, random));
  window_parameters window;
  window.kernel_height = window.kernel_width = 3;
  const auto how = explain_conv2d(image_view<const std::uint8_t>(nullptr, 1, 3, 3, 4), w,
                                  image_view<std::int32_t>(nullptr, 1, 1, 1, 5), window);
  CHECK(how.loop == (SPARQ_HAS_AVX2 ? "rows, looking up" : "rows"));
  if (SPARQ_HAS_AVX2) CHECK(how.x_access == "gathered from patches, cut into halves of a byte");
}
