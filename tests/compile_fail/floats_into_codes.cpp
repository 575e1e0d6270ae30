// SPDX-License-Identifier: MIT
// expect only: sparq: the epilogue's last stage does not yield what Y holds; end with requantize, round_to_integer or a scale
#include <sparq/format/dense.hpp>
#include <sparq/op/gemm.hpp>

using weights = sparq::packed_view_of<sparq::tensor<sparq::dense, sparq::s8>>;

void multiply(sparq::matrix_view<const std::uint8_t> x, const weights& w, sparq::matrix_view<std::uint8_t> y,
              sparq::workspace& scratch) {
  sparq::gemm(x, w, y, sparq::epilogue(sparq::scale(0.5F)), sparq::serial, scratch);
}
