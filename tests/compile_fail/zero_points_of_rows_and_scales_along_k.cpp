// SPDX-License-Identifier: MIT
// expect only: sparq: scales along k leave no integer sum that zero points of rows could be taken from; quantize the rows to std::int8_t
#include <sparq/format/dense.hpp>
#include <sparq/op/gemm.hpp>

void multiply(const sparq::tensor<sparq::dense, sparq::s8, sparq::per_group<32>>& w,
              sparq::matrix_view<const std::uint8_t> x, std::span<const std::int32_t> zero_points,
              sparq::matrix_view<float> y, sparq::workspace& scratch) {
  sparq::gemm(x, sparq::pack(w), y, sparq::epilogue(sparq::subtract_zero_point_per_row(zero_points)), sparq::serial,
              scratch);
}
