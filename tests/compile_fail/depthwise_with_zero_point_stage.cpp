// SPDX-License-Identifier: MIT
// expect only: sparq: depthwise_conv2d subtracts the zero point of X itself; leave subtract_zero_point out
#include <sparq/op/depthwise.hpp>

void convolve(sparq::image_view<const std::uint8_t> x, std::span<const std::int8_t> w,
              sparq::image_view<std::int32_t> y) {
  sparq::depthwise_conv2d(x, w, y, {}, 128, sparq::epilogue(sparq::subtract_zero_point(128)), sparq::serial);
}
