// SPDX-License-Identifier: MIT
#include "bench/workbench/product_case.hpp"

namespace workbench {

std::unique_ptr<product> make_u8s2(const product_request& request, std::span<const float> weights,
                                   sparq::weight_shape shape) {
  return make_for_numerics<sparq::u8, sparq::s2, few_formats>(request, weights, shape);
}

std::unique_ptr<product> make_u8ternary(const product_request& request, std::span<const float> weights,
                                        sparq::weight_shape shape) {
  return make_for_numerics<sparq::u8, sparq::ternary, few_formats>(request, weights, shape);
}

std::unique_ptr<product> make_u8binary(const product_request& request, std::span<const float> weights,
                                       sparq::weight_shape shape) {
  return make_for_numerics<sparq::u8, sparq::binary, few_formats>(request, weights, shape);
}

}  // namespace workbench
