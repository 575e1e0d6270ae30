// SPDX-License-Identifier: MIT
#include "bench/workbench/product_case.hpp"

namespace workbench {

std::unique_ptr<product> make_u8s8(const product_request& request, std::span<const float> weights,
                                   sparq::weight_shape shape) {
  return make_for_numerics<sparq::u8, sparq::s8, byte_formats>(request, weights, shape);
}

}  // namespace workbench
