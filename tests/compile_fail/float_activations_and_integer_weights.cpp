// SPDX-License-Identifier: MIT
// expect only: sparq: no kernel multiplies this type of X by these weights; floats meet f32, bytes and 16 bits meet integer weights
#include <sparq/format/dense.hpp>
#include <sparq/op/gemm.hpp>

using weights = sparq::packed_view_of<sparq::tensor<sparq::dense, sparq::s8>>;

void multiply(sparq::matrix_view<const float> x, const weights& w, sparq::matrix_view<float> y,
              sparq::workspace& scratch) {
  sparq::gemm(x, w, y, scratch);
}
