// SPDX-License-Identifier: MIT
// expect: sparq: scales along k cut N:M patterns in a list of k's anywhere; pack for the columns loop with column_shape, or in windows with window_shape
#include <sparq/format/tile_wise_n_m.hpp>
#include <sparq/op/gemm.hpp>

using weights = sparq::packed_view_of<sparq::tensor<sparq::tile_wise<32, sparq::n_m<2, 4>>, sparq::s8, sparq::per_group<32>>>;

void multiply(sparq::matrix_view<const std::uint8_t> x, const weights& w, sparq::matrix_view<float> y,
              sparq::workspace& scratch) {
  sparq::gemm(x, w, y, scratch);
}
