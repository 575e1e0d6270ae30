// SPDX-License-Identifier: MIT
// expect only: sparq: operations take packed weights; call sparq::pack(w) once and keep the result
#include <sparq/format/dense.hpp>
#include <sparq/op/gemm.hpp>

void multiply(sparq::matrix_view<const std::uint8_t> x, const sparq::tensor<sparq::dense, sparq::s8>& w,
              sparq::matrix_view<std::int32_t> y, sparq::workspace& scratch) {
  sparq::gemm(x, w, y, scratch);
}
