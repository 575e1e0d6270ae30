// SPDX-License-Identifier: MIT
#include "bench/workbench/product_case.hpp"

namespace workbench {

std::unique_ptr<product> make_u7s8(const product_request& request, std::span<const float> weights,
                                   sparq::weight_shape shape) {
  return make_for_numerics<sparq::u8_up_to_127, sparq::s8, few_formats>(request, weights, shape);
}

std::unique_ptr<product> make_u8s6(const product_request& request, std::span<const float> weights,
                                   sparq::weight_shape shape) {
  return make_for_numerics<sparq::u8, sparq::s6, few_formats>(request, weights, shape);
}

std::unique_ptr<product> make_u8s5(const product_request& request, std::span<const float> weights,
                                   sparq::weight_shape shape) {
  return make_for_numerics<sparq::u8, sparq::s5, few_formats>(request, weights, shape);
}

std::unique_ptr<product> make_u8s3(const product_request& request, std::span<const float> weights,
                                   sparq::weight_shape shape) {
  return make_for_numerics<sparq::u8, sparq::s3, few_formats>(request, weights, shape);
}

}  // namespace workbench
