// SPDX-License-Identifier: MIT
// expect only: sparq: X or Y by columns needs weights packed for the columns loop
#include <sparq/format/dense.hpp>
#include <sparq/op/gemm.hpp>

using weights = sparq::packed_view_of<sparq::tensor<sparq::dense, sparq::s8>>;

void multiply(sparq::k_major_view<const std::uint8_t> x, const weights& w, sparq::matrix_view<std::int32_t> y,
              sparq::workspace& scratch) {
  sparq::gemm(x, w, y, scratch);
}
