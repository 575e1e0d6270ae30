// SPDX-License-Identifier: MIT
// expect: sparq: scales along k leave no sums from which zero points of rows can be taken; use std::int8_t
#include <sparq/format/dense.hpp>
#include <sparq/op/gemm_dynamic.hpp>

void multiply(const sparq::tensor<sparq::dense, sparq::s8, sparq::per_group<32>>& w, sparq::matrix_view<const float> x,
              sparq::matrix_view<float> y, sparq::workspace& scratch) {
  sparq::gemm_dynamic<std::uint8_t>(x, sparq::pack(w), y, sparq::epilogue<>{}, sparq::serial, scratch);
}
