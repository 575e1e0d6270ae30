// SPDX-License-Identifier: MIT
// expect only: binary views binary, ternary and 2-bit weights in bit_panel_shape
#include <sparq/format/dense.hpp>
#include <sparq/op/gemm.hpp>

using weights = sparq::packed_view_of<sparq::tensor<sparq::dense, sparq::ternary>, sparq::bit_panel_shape>;

void multiply(sparq::matrix_view<const std::uint8_t> x, const weights& w, sparq::matrix_view<std::int32_t> y,
              sparq::workspace& scratch) {
  sparq::gemm(x, w, y, scratch);
}
