// SPDX-License-Identifier: MIT
// expect only: sparq: weights that a format leaves out are 0 and have no zero point or offset; keep such weights in dense, packed in panel_shape
#include <sparq/format/n_m.hpp>
#include <sparq/op/gemm.hpp>

using weights = sparq::packed_view_of<sparq::tensor<sparq::n_m<2, 4>, sparq::u8>>;

void multiply(sparq::matrix_view<const std::uint8_t> x, const weights& w, std::span<const std::int32_t> sums,
              sparq::matrix_view<std::int32_t> y, sparq::workspace& scratch) {
  sparq::gemm(x, w, y, sparq::epilogue(sparq::subtract_weight_zero_point(sums, 128)), sparq::serial, scratch);
}
