// SPDX-License-Identifier: MIT
// expect: sparq: scales along k leave no sum to correct; use activations with zero point 0
#include <sparq/format/dense.hpp>
#include <sparq/op/gemm.hpp>

using weights = sparq::packed_view_of<sparq::tensor<sparq::dense, sparq::s4, sparq::per_group<32>>>;

void multiply(sparq::matrix_view<const std::uint8_t> x, const weights& w, sparq::matrix_view<float> y,
              sparq::workspace& scratch) {
  sparq::gemm(x, w, y, sparq::epilogue(sparq::subtract_zero_point(128)), sparq::serial, scratch);
}
