// SPDX-License-Identifier: MIT
// expect only: sparq: X or Y by columns needs weights packed for the columns loop
#include <sparq/format/dense.hpp>
#include <sparq/op/conv2d.hpp>

using weights = sparq::packed_view_of<sparq::tensor<sparq::dense, sparq::s8>>;

void convolve(sparq::plane_view<const std::uint8_t> x, const weights& w, sparq::plane_view<std::int32_t> y,
              sparq::workspace& scratch) {
  sparq::conv2d(x, w, y, sparq::window_parameters{}, std::uint8_t{}, sparq::epilogue<>(), sparq::serial, scratch);
}
