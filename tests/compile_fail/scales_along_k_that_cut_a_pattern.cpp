// SPDX-License-Identifier: MIT
// expect: sparq: scales along k cut a word of codes, or a group of an N:M pattern, in two; use larger groups (of bits: multiples of 32), or pack for the columns loop with column_shape
#include <sparq/format/n_m.hpp>
#include <sparq/op/gemm.hpp>

using weights = sparq::packed_view_of<sparq::tensor<sparq::n_m<2, 4>, sparq::s8, sparq::per_group<20>>>;

void multiply(sparq::matrix_view<const std::uint8_t> x, const weights& w, sparq::matrix_view<float> y,
              sparq::workspace& scratch) {
  sparq::gemm(x, w, y, scratch);
}
