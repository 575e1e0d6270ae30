// SPDX-License-Identifier: MIT
// expect only: sparq: scales along k leave no integer sum that a zero point of W could be taken from; use group_sums, or subtract it from the codes before they are encoded
#include <sparq/format/dense.hpp>
#include <sparq/op/gemm.hpp>

using weights = sparq::packed_view_of<sparq::tensor<sparq::dense, sparq::u4, sparq::per_group<32>>>;

void multiply(sparq::matrix_view<const std::uint8_t> x, const weights& w, std::span<const std::int32_t> sums,
              sparq::matrix_view<float> y, sparq::workspace& scratch) {
  sparq::gemm(x, w, y, sparq::epilogue(sparq::subtract_weight_zero_point(sums, 8)), sparq::serial, scratch);
}
