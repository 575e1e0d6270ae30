// SPDX-License-Identifier: MIT
// expect only: sparq: a product that is measured returns a status; call try_gemm in it and return what that returns
#include <sparq/format/csr.hpp>
#include <sparq/plan/measure_loops.hpp>

auto measure(const sparq::tensor<sparq::csr, sparq::s8>& w, sparq::matrix_view<const std::uint8_t> x,
             sparq::matrix_view<std::int32_t> y, sparq::workspace& scratch) {
  return sparq::pack_fastest(
      w, x.rows, [&](const auto& weights) { gemm(x, weights, y, sparq::epilogue<>{}, sparq::serial, scratch); });
}
