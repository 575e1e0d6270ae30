// SPDX-License-Identifier: MIT
#include <sparq/op/depthwise.hpp>

#include "tests/cube/cube.hpp"
#include "tests/support/catch.hpp"

namespace cube {
namespace {

/// Weights as depthwise_conv2d takes them: bytes for s8, taps that elements share otherwise.
template <sparq::integer_numeric W>
auto tap_weights(const stored_codes<W>& stored) {
  if constexpr (W::bits == 8)
    return std::span<const typename W::code>(stored.matrix().data, stored.matrix().rows * stored.matrix().columns);
  else
    return stored.matrix();
}

template <sparq::integer_numeric X, sparq::integer_numeric W>
void check_depthwise(layer l, std::size_t multiplier, sparq_test::random_source& random) {
  l.outputs = l.channels * multiplier;
  const auto x = random_codes<X>(l.inputs(), random);
  const auto w = random_codes<W>(l.outputs * l.window.taps(), random);
  const auto zero_point = random.between(X::min_code, X::max_code);
  const auto sums = depthwise_sums(l, x, zero_point, w);
  const stored_codes<X> stored(l.inputs() / l.channels, l.channels, x);
  const stored_codes<W> weights(l.window.taps(), l.outputs, w);
  for_each_activation([&]<class Y>() {
    INFO((combination<X, W, Y>()));
    const auto channels = random_requantization(sums, l.outputs, Y::min_code, Y::max_code, random);
    stored_codes<Y> y(l.output_pixels(), l.outputs);
    sparq::depthwise_conv2d(stored.image(l.images, l.image_height, l.image_width), tap_weights<W>(weights),
                            y.image(l.images, l.output_height(), l.output_width()), l.window,
                            static_cast<typename X::code>(zero_point),
                            sparq::epilogue(sparq::requantize_to_codes<Y>(
                                std::span<const sparq::floor_shift::parameters>(channels))),
                            sparq::serial);
    REQUIRE(y.values() == requantized(sums, channels, 0, Y::min_code, Y::max_code));
  });
}

template <sparq::integer_numeric W>
void check_all() {
  sparq_test::random_source random;
  INFO(random.text());
  for (const layer& l : layers()) {
    INFO("layer " << &l - layers().data());
    for_each_activation([&]<class X>() {
      check_depthwise<X, W>(l, 1, random);
      if (l.channels < 20) check_depthwise<X, W>(l, 2, random);
    });
  }
}

}  // namespace
}  // namespace cube

TEST_CASE("cube: depthwise convolutions with s8 weights, every X and Y") { cube::check_all<sparq::s8>(); }
TEST_CASE("cube: depthwise convolutions with s4 weights, every X and Y") { cube::check_all<sparq::s4>(); }
TEST_CASE("cube: depthwise convolutions with s2 weights, every X and Y") { cube::check_all<sparq::s2>(); }
TEST_CASE("cube: depthwise convolutions with ternary weights, every X and Y") { cube::check_all<sparq::ternary>(); }
TEST_CASE("cube: depthwise convolutions with binary weights, every X and Y") { cube::check_all<sparq::binary>(); }

TEST_CASE("depthwise: more taps of narrow weights than are kept unpacked") {
  sparq_test::random_source random;
  cube::layer l{1, 12, 13, 3, 3, {8, 7, 1, 1, 1, 1, 0, 0, 0, 0}};
  cube::check_depthwise<sparq::u8, sparq::s4>(l, 1, random);
}
