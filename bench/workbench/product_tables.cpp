// SPDX-License-Identifier: MIT
#include "bench/workbench/product_sums.hpp"

namespace workbench {

std::unique_ptr<product> make_u8pow2(const product_request& request, std::span<const float> weights,
                                     sparq::weight_shape shape) {
  return make_for_numerics<sparq::u8, sparq::pow2<4>, few_formats>(request, weights, shape);
}

std::unique_ptr<product> make_u8codebook(const product_request& request, std::span<const float> weights,
                                         sparq::weight_shape shape) {
  return make_for_numerics<sparq::u8, sparq::codebook<4>, few_formats>(request, weights, shape);
}

std::unique_ptr<product> make_u8codebook_per_channel(const product_request& request, std::span<const float> weights,
                                                     sparq::weight_shape shape) {
  using one_table_a_channel = sparq::codebook<4, sparq::s8, sparq::per_channel>;
  return make_for_numerics<sparq::u8, one_table_a_channel, dense_format>(request, weights, shape);
}

std::unique_ptr<product> make_f32codebook(const product_request& request, std::span<const float> weights,
                                          sparq::weight_shape shape) {
  return make_dense_sums<sparq::f32, sparq::codebook<4, sparq::f32, sparq::per_channel>>(request, weights, shape);
}

}  // namespace workbench
