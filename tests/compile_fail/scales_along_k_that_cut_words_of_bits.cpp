// SPDX-License-Identifier: MIT
// expect: use larger groups (of bits: multiples of 32)
#include <sparq/format/dense.hpp>
#include <sparq/op/gemm.hpp>

using weights =
    sparq::packed_view_of<sparq::tensor<sparq::dense, sparq::ternary, sparq::per_group<16>>, sparq::bit_panel_shape>;

void multiply(sparq::narrow_matrix_view<const sparq::binary> x, const weights& w, sparq::matrix_view<float> y,
              sparq::workspace& scratch) {
  sparq::gemm(x, w, y, scratch);
}
