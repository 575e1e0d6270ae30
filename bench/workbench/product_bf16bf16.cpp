// SPDX-License-Identifier: MIT
#include "bench/workbench/product_case.hpp"

namespace workbench {

std::unique_ptr<product> make_bf16bf16(const product_request& request, std::span<const float> weights,
                                       sparq::weight_shape shape) {
  return make_for_numerics<sparq::bf16, sparq::bf16, bf16_formats>(request, weights, shape);
}

}  // namespace workbench
