// SPDX-License-Identifier: MIT
// expect: sparq: kernels take scales along k in groups of a multiple of 32; use per_group<32>
#include <sparq/format/dense.hpp>
#include <sparq/op/gemm.hpp>

using weights = sparq::packed_view_of<sparq::tensor<sparq::dense, sparq::s8, sparq::per_group<20>>>;

void multiply(sparq::matrix_view<const std::uint8_t> x, const weights& w, sparq::matrix_view<float> y,
              sparq::workspace& scratch) {
  sparq::gemm(x, w, y, scratch);
}
