// SPDX-License-Identifier: MIT
// expect only: sparq: no kernel multiplies this type of X by these weights; floats meet f32, bytes and 16 bits meet integer weights packed in panel_shape<16, 4>
#include <sparq/format/dense.hpp>
#include <sparq/op/gemm.hpp>

using weights = sparq::packed_view_of<sparq::tensor<sparq::dense, sparq::s8>, sparq::panel_shape<16, 3>>;

void multiply(sparq::matrix_view<const std::uint8_t> x, const weights& w, sparq::matrix_view<std::int32_t> y,
              sparq::workspace& scratch) {
  sparq::gemm(x, w, y, scratch);
}
