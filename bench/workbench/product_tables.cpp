// SPDX-License-Identifier: MIT
#include "bench/workbench/product_case.hpp"

namespace workbench {

std::unique_ptr<product> make_u8pow2(const product_request& request, std::span<const float> weights,
                                     sparq::weight_shape shape) {
  return make_for_numerics<sparq::u8, sparq::pow2<4>, few_formats>(request, weights, shape);
}

std::unique_ptr<product> make_u8codebook(const product_request& request, std::span<const float> weights,
                                         sparq::weight_shape shape) {
  return make_for_numerics<sparq::u8, sparq::codebook<4>, few_formats>(request, weights, shape);
}

}  // namespace workbench
