// SPDX-License-Identifier: MIT
#include "bench/workbench/product_sums.hpp"

namespace workbench {

namespace {

template <class W>
constexpr product_maker make_dense_bits =
    make_dense_sums<sparq::binary, W, sparq::default_granularity<W>, sparq::bit_panel_shape>;

}  // namespace

std::unique_ptr<product> make_b1b1(const product_request& request, std::span<const float> weights,
                                   sparq::weight_shape shape) {
  using tiles = sparq::tile_wise<128>;
  if (request.format == tiles::name())
    return std::make_unique<sums_product<tiles, sparq::binary, sparq::binary, sparq::default_granularity<sparq::binary>,
                                         sparq::bit_panel_shape>>(request, weights, shape);
  return make_dense_bits<sparq::binary>(request, weights, shape);
}

std::unique_ptr<product> make_b1ternary(const product_request& request, std::span<const float> weights,
                                        sparq::weight_shape shape) {
  return make_dense_bits<sparq::ternary>(request, weights, shape);
}

std::unique_ptr<product> make_b1s2(const product_request& request, std::span<const float> weights,
                                   sparq::weight_shape shape) {
  return make_dense_bits<sparq::s2>(request, weights, shape);
}

}  // namespace workbench
