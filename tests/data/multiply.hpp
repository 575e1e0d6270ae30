// SPDX-License-Identifier: MIT
#pragma once
// What the products_*.cpp share: packing weights in a format and calling gemm or conv2d.

#include "tests/data/products.hpp"
#include "tests/data/store.hpp"

#include <sparq/op/conv2d.hpp>
#include <sparq/op/gemm.hpp>
#include <sparq/tensor/pack.hpp>

#include <span>
#include <utility>
#include <vector>

namespace cases {

template <class Format, class Numeric>
using packed_weights = decltype(sparq::pack(std::declval<sparq::tensor<Format, Numeric, plain<Numeric>>>()));

/// The weights of each group, packed.
template <class Format, class Numeric, class X>
std::vector<packed_weights<Format, Numeric>> pack_groups(const product<X, typename Numeric::code>& p) {
  const sparq::weight_shape shape{p.n / p.groups, p.k()};
  std::vector<packed_weights<Format, Numeric>> result;
  for (std::size_t g = 0; g < p.groups; ++g) {
    const auto weights = std::span(p.weights).subspan(g * shape.size(), shape.size());
    result.push_back(pack(store<Format, Numeric>(weights, sparq::nonzero_mask(weights, shape)).value()));
  }
  return result;
}

/// Calls gemm or conv2d.
template <class Y, class X, class W, class View, class... Stages>
std::vector<Y> multiply(const product<X, W>& p, const std::vector<sparq::packed<View>>& groups,
                        const sparq::epilogue<Stages...>& stages) {
  std::vector<Y> y(p.outputs());
  sparq::workspace scratch;
  if (p.is_convolution()) {
    std::vector<View> views;
    for (const auto& group : groups) views.push_back(group.view());
    const sparq::image_view<const X> image(p.x.data(), p.x_shape[0], p.x_shape[1], p.x_shape[2], p.x_shape[3]);
    const sparq::image_view<Y> out(y.data(), p.x_shape[0], p.window.output_height(p.x_shape[1]),
                                   p.window.output_width(p.x_shape[2]), p.n);
    sparq::conv2d(image, std::span<const View>(views), out, p.window, p.padding, stages, sparq::serial, scratch);
  } else {
    sparq::gemm(sparq::matrix_view<const X>(p.x.data(), p.x_shape[0], p.x_shape[1]), groups[0],
                sparq::matrix_view<Y>(y.data(), p.x_shape[0], p.n), stages, sparq::serial, scratch);
  }
  return y;
}

}  // namespace cases
