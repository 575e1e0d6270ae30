// SPDX-License-Identifier: MIT
#pragma once
// What the products_*.cpp share: storing weights in a format and calling gemm or conv2d.

#include "tests/data/products.hpp"

#include <sparq/op/conv2d.hpp>
#include <sparq/op/gemm.hpp>
#include <sparq/tensor/pack.hpp>
#include <sparq/tensor/tensor.hpp>

#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace cases {

/// The granularity that plain codes have: one scale, which is 1.
template <class Numeric>
using plain = std::conditional_t<Numeric::is_integer, sparq::per_tensor, sparq::unquantized>;

/// A tensor that stores what `keep` keeps, zeros included.
template <class Format, class Numeric>
sparq::expected<sparq::tensor<Format, Numeric, plain<Numeric>>> store(std::span<const typename Numeric::code> weights,
                                                                     sparq::mask_view keep) {
  auto index = Format::from_mask(keep);
  if (!index) return index.error();
  sparq::aligned_buffer values(sparq::storage_bytes<Numeric>(index->slots()));
  for (std::size_t panel = 0; panel < index->panels(); ++panel)
    index->for_each_slot(panel, [&](std::size_t slot, std::size_t n, std::size_t k) {
      sparq::store_code<Numeric>(values.data(), slot, weights[n * keep.shape.k + k]);
    });
  return sparq::tensor<Format, Numeric, plain<Numeric>>::try_make(
      *std::move(index), std::move(values), std::vector<float>(Numeric::is_integer ? 1 : 0, 1.0F));
}

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
