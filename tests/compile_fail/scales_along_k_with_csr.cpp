// SPDX-License-Identifier: MIT
// expect: sparq: scales along k need all k's in order; use dense, or scales per channel
#include <sparq/format/csr.hpp>
#include <sparq/op/gemm.hpp>

using weights = sparq::packed_view_of<sparq::tensor<sparq::csr, sparq::s4, sparq::per_group<32>>>;

void multiply(sparq::matrix_view<const std::uint8_t> x, const weights& w, sparq::matrix_view<float> y,
              sparq::workspace& scratch) {
  sparq::gemm(x, w, y, scratch);
}
