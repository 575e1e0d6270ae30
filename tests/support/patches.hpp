// SPDX-License-Identifier: MIT
#pragma once
// Convolutions over pixels, by what their windows cover, against a plain loop over taps.

#include <sparq/op/conv2d.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/convolution.hpp"
#include "tests/support/matrix.hpp"

#include <span>

namespace sparq_test {

/// One convolution by random weights equals the plain one, in parts of any number.
template <class Format, class X, sparq::numeric W, class Shape = sparq::default_panel_shape<W>>
void check_patches(const convolution_problem<X>& p, random_source& random, sparq::workspace& scratch) {
  INFO(Format::name() << ", " << X::name << " x " << W::name << ", " << p.text());
  using sum_type = convolution_sum<X, W>;
  const convolution_weights<Format, W, Shape> w(p, random);
  const auto want = plain_convolution<X, sum_type>(p, w.codes);
  guarded_output<sum_type> y(p.pixels(), p.n, 0, random.below(20));
  sparq::conv2d(p.image(), std::span(w.views),
                sparq::image_view<sum_type>(y.view().data, p.images, p.out_height(), p.out_width(), p.n), p.window,
                p.padding, sparq::epilogue<>(), scrambled_executor{1 + random.below(5), &random}, scratch);
  REQUIRE(first_difference(y.elements(), want, p.n, 0) == "");
  REQUIRE(y.surroundings_intact());
}

}  // namespace sparq_test
