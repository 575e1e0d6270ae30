// SPDX-License-Identifier: MIT
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/plan/estimate_columns.hpp>
#include <sparq/tensor/encode.hpp>

#include "tests/support/catch.hpp"

#include <vector>

using namespace sparq;

namespace {

template <format F, numeric N>
auto columns_of(const tensor<F, N>& w, std::size_t m, x_layout layout = x_layout::row_major) {
  return machine::columns_estimate<F, N, default_granularity<N>>(w.view(), m, layout);
}
tensor<csr, s8> every(std::size_t distance) {
  std::vector<float> weights(64 * 512);
  for (std::size_t i = 0; i < weights.size(); i += distance) weights[i] = 1;
  return encode<csr, s8>(weights, {64, 512});
}

}  // namespace

TEST_CASE("estimate_columns: weights are paid one by one, zeros are not, in every number of rows") {
  for (const std::size_t m : {1U, 2U, 3U, 16U, 17U, 100U}) {
    CAPTURE(m);
    CHECK(columns_of(every(17), m).columns() < columns_of(every(3), m).columns());
    CHECK(columns_of(every(17), m).dense() == columns_of(every(3), m).dense());
  }
}

TEST_CASE("estimate_columns: X by columns is packed in less time") {
  CHECK(columns_of(every(5), 100, x_layout::k_major).columns() < columns_of(every(5), 100).columns());
}

TEST_CASE("estimate_columns: rows are paid by blocks and by the eight that are turned together") {
  const auto cost = [](std::size_t m) { return columns_of(every(5), m).columns(); };
  CHECK(cost(9) == cost(16));
  CHECK(cost(16) < cost(128));
  CHECK(cost(3) <= cost(9));
  CHECK(cost(128) < cost(129));
}
