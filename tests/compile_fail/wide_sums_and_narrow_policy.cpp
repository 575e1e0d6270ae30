// SPDX-License-Identifier: MIT
// expect only: sparq: this policy takes int32 sums; use tflite_16x8, or the stage saturate_to_integer before it
#include <sparq/format/dense.hpp>
#include <sparq/op/gemm.hpp>

using weights = sparq::packed_view_of<sparq::tensor<sparq::dense, sparq::s8>>;

void multiply(sparq::matrix_view<const std::int16_t> x, const weights& w, sparq::matrix_view<std::int16_t> y,
              sparq::workspace& scratch) {
  sparq::gemm(x, w, y,
              sparq::epilogue(sparq::requantize_to_codes<sparq::s16>(sparq::tflite_double::parameters{1 << 30, 0})),
              sparq::serial, scratch);
}
