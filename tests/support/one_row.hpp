// SPDX-License-Identifier: MIT
#pragma once
// One row of bytes and weights of one or two bits against the reference, for the loops that take such rows.

#include <sparq/format/dense.hpp>

#include "tests/support/matrix.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sparq_test {

template <sparq::numeric W = sparq::binary>
auto random_dense(std::size_t n, std::size_t k, random_source& random) {
  return random_tensor<sparq::dense, W>(sparq::mask({n, k}, true), random_style(random), random);
}

template <sparq::numeric X, sparq::numeric W = sparq::binary>
void check_one_row(std::size_t n, std::size_t k, random_source& random, sparq::workspace& scratch) {
  INFO(X::name << " x " << W::name << ", n " << n << ", k " << k);
  const auto w = random_dense<W>(n, k, random);
  const auto packed = sparq::pack<sparq::panel_shape<16, 4>>(w);
  const auto x = random_x<X>({1, n, k}, random_style(random), random);
  const auto want = sparq::reference_gemm(x.view(), w.view());
  const std::size_t parts = random.chance(0.5) ? 1 : 1 + random.below(5);
  guarded_output<std::int32_t> y(1, n, random);
  sparq::gemm(x.view(), packed, y.view(), sparq::epilogue<>(), scrambled_executor{parts, &random}, scratch);
  REQUIRE(y.elements() == want);
  REQUIRE(y.surroundings_intact());

  const std::int32_t zero_point = random.between(0, 100);
  std::vector<float> scaled(n);
  sparq::gemm(x.view(), packed, sparq::matrix_view<float>(scaled.data(), 1, n),
              sparq::epilogue(sparq::subtract_zero_point(zero_point), sparq::scale(0.5F)), sparq::serial, scratch);
  const std::int32_t* sums = packed.view().weight_sums().data();
  for (std::size_t c = 0; c < n; ++c) REQUIRE(scaled[c] == 0.5F * static_cast<float>(want[c] - zero_point * sums[c]));
}

}  // namespace sparq_test
