// SPDX-License-Identifier: MIT
// expect only: sparq: weights that a plan packed have one of several forms; call this operation from their visit
#include <sparq/format/csr.hpp>
#include <sparq/op/conv2d.hpp>
#include <sparq/plan/planned.hpp>

void convolve(sparq::image_view<const std::uint8_t> x, const sparq::planned<sparq::tensor<sparq::csr, sparq::s8>>& w,
              sparq::image_view<std::int32_t> y, sparq::workspace& scratch) {
  sparq::conv2d(x, w, y, sparq::window_parameters{}, std::uint8_t{0}, sparq::epilogue<>(), sparq::serial, scratch);
}
