// SPDX-License-Identifier: MIT
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/plan/estimate_rows.hpp>
#include <sparq/tensor/encode.hpp>

#include "tests/support/catch.hpp"

#include <vector>

using namespace sparq;

namespace {

template <format F, numeric N>
auto rows_of(const tensor<F, N>& w, std::size_t m) {
  return machine::rows_estimate<F, N, default_granularity<N>>(w.view(), m);
}

}  // namespace

TEST_CASE("estimate_rows: a dense tensor costs what its own format says") {
  for (const std::size_t m : {1U, 7U, 100U}) {
    const auto w = encode<dense, s8>(std::vector<float>(48 * 200, 0.5F), {48, 200});
    CHECK(rows_of(w, m).rows() == Approx(rows_of(w, m).dense()).epsilon(0.1));  // sums of weights are read besides
  }
}

TEST_CASE("estimate_rows: channels are paid by strips of sixteen, k's by groups") {
  const auto cost = [](std::size_t n, std::size_t k) {
    return rows_of(encode<dense, s8>(std::vector<float>(n * k, 0.5F), {n, k}), 12).rows();
  };
  CHECK(cost(17, 64) == cost(32, 64));
  CHECK(cost(16, 64) < cost(17, 64));
  CHECK(cost(16, 64) < cost(16, 65));
  CHECK(cost(32, 64) < 2 * cost(16, 64));  // X is packed once, and the call is one
}

TEST_CASE("estimate_rows: windows cost less with fewer weights, dense weights and a bitmask's places the same") {
  const auto with = [](std::size_t every) {
    std::vector<float> weights(64 * 512);
    for (std::size_t i = 0; i < weights.size(); i += every) weights[i] = 1;
    return encode<csr, s8>(weights, {64, 512});
  };
  const auto many = with(3), few = with(17);
  CHECK(rows_of(few, 4).windows() < rows_of(many, 4).windows());
  CHECK(rows_of(few, 4).expand() < rows_of(many, 4).expand());
  CHECK(rows_of(few, 4).dense() == rows_of(many, 4).dense());
}
