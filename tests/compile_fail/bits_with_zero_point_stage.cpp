// SPDX-License-Identifier: MIT
// expect only: sparq: codes of -1 and 1 have no zero point; leave subtract_zero_point out
#include <sparq/format/dense.hpp>
#include <sparq/op/gemm.hpp>

using weights = sparq::packed_view_of<sparq::tensor<sparq::dense, sparq::ternary>, sparq::bit_panel_shape>;

void multiply(sparq::narrow_matrix_view<const sparq::binary> x, const weights& w, sparq::matrix_view<std::int32_t> y,
              sparq::workspace& scratch) {
  sparq::gemm(x, w, y, sparq::epilogue(sparq::subtract_zero_point(3)), sparq::serial, scratch);
}
