// SPDX-License-Identifier: MIT
#pragma once
// Convolutions, pointwise convolutions and linear layers of the cube, for one type of weights.

#include <sparq/format/dense.hpp>
#include <sparq/op/conv2d.hpp>
#include <sparq/op/gemm.hpp>
#include <sparq/tensor/encode.hpp>

#include "tests/cube/cube.hpp"
#include "tests/support/catch.hpp"

namespace cube {

template <sparq::integer_numeric W>
auto packed_weights(const std::vector<std::int32_t>& values, sparq::weight_shape shape) {
  const std::vector<typename W::code> codes(values.begin(), values.end());
  return sparq::pack(sparq::encode_codes<sparq::dense, W, sparq::per_tensor>(codes, shape, {1.0F}));
}

/// X of one type and W: all types of Y.
template <sparq::integer_numeric X, sparq::integer_numeric W>
void check_convolutions(const layer& l, sparq_test::random_source& random) {
  const std::size_t k = l.window.taps() * l.channels;
  const auto x = random_codes<X>(l.inputs(), random);
  const auto w = random_codes<W>(l.outputs * k, random);
  const auto zero_point = random.between(X::min_code, X::max_code);
  const auto sums = convolution_sums(l, x, zero_point, w);
  const auto packed = packed_weights<W>(w, {l.outputs, k});
  const stored_codes<X> stored(l.inputs() / l.channels, l.channels, x);
  sparq::workspace scratch;
  for_each_activation([&]<class Y>() {
    INFO((combination<X, W, Y>()));
    const auto channels = random_requantization(sums, l.outputs, Y::min_code, Y::max_code, random);
    const std::int32_t y_zero_point = random.between(Y::min_code, Y::max_code);
    stored_codes<Y> y(l.output_pixels(), l.outputs);
    sparq::conv2d(stored.image(l.images, l.image_height, l.image_width), packed,
                  y.image(l.images, l.output_height(), l.output_width()), l.window,
                  static_cast<typename X::code>(zero_point),
                  sparq::epilogue(sparq::subtract_zero_point(zero_point),
                                  sparq::requantize_to_codes<Y>(
                                      std::span<const sparq::floor_shift::parameters>(channels), y_zero_point)),
                  sparq::serial, scratch);
    REQUIRE(y.values() == requantized(sums, channels, y_zero_point, Y::min_code, Y::max_code));
  });
}

/// m rows of k inputs and n outputs.
template <sparq::integer_numeric X, sparq::integer_numeric W>
void check_linear(std::size_t m, std::size_t n, std::size_t k, sparq_test::random_source& random) {
  const layer l{m, 1, 1, k, n, {}};
  const auto x = random_codes<X>(m * k, random);
  const auto w = random_codes<W>(n * k, random);
  const auto sums = convolution_sums(l, x, 0, w);
  const auto packed = packed_weights<W>(w, {n, k});
  const stored_codes<X> stored(m, k, x);
  sparq::workspace scratch;
  for_each_activation([&]<class Y>() {
    INFO((combination<X, W, Y>()));
    const auto channels = random_requantization(sums, n, Y::min_code, Y::max_code, random);
    stored_codes<Y> y(m, n);
    sparq::gemm(stored.matrix(), packed, y.matrix(),
                sparq::epilogue(sparq::requantize_to_codes<Y>(
                    std::span<const sparq::floor_shift::parameters>(channels))),
                sparq::serial, scratch);
    REQUIRE(y.values() == requantized(sums, channels, 0, Y::min_code, Y::max_code));
  });
}

template <sparq::integer_numeric W>
void check_all_convolutions() {
  sparq_test::random_source random;
  INFO(random.text());
  for (const layer& l : layers()) {
    INFO("layer " << &l - layers().data());
    for_each_activation([&]<class X>() { check_convolutions<X, W>(l, random); });
  }
}

template <sparq::integer_numeric W>
void check_all_linear() {
  sparq_test::random_source random;
  INFO(random.text());
  for (const std::size_t m : {1u, 2u, 7u, 13u})
    for_each_activation([&]<class X>() { check_linear<X, W>(m, 1 + random.below(40), 1 + random.below(100), random); });
}

}  // namespace cube
