// SPDX-License-Identifier: MIT
// Scales for each group of 32 or 128 k's.
#include "bench/workbench/product_sums.hpp"

namespace workbench {

template <class W>
std::unique_ptr<product> make_groups(const product_request& request, std::span<const float> weights,
                                     sparq::weight_shape shape) {
  return request.numerics.ends_with(":32")
             ? make_dense_sums<sparq::u8, W, sparq::per_group<32>>(request, weights, shape)
             : make_dense_sums<sparq::u8, W, sparq::per_group<128>>(request, weights, shape);
}
std::unique_ptr<product> make_u8u4(const product_request& request, std::span<const float> weights,
                                   sparq::weight_shape shape) {
  return make_dense_sums<sparq::u8, sparq::u4>(request, weights, shape);
}

template std::unique_ptr<product> make_groups<sparq::s8>(const product_request&, std::span<const float>, sparq::weight_shape);
template std::unique_ptr<product> make_groups<sparq::s4>(const product_request&, std::span<const float>, sparq::weight_shape);
template std::unique_ptr<product> make_groups<sparq::u4>(const product_request&, std::span<const float>, sparq::weight_shape);
template std::unique_ptr<product> make_groups<sparq::s2>(const product_request&, std::span<const float>, sparq::weight_shape);
template std::unique_ptr<product> make_groups<sparq::ternary>(const product_request&, std::span<const float>,
                                                              sparq::weight_shape);
template std::unique_ptr<product> make_groups<sparq::codebook<4>>(const product_request&, std::span<const float>,
                                                                  sparq::weight_shape);

}  // namespace workbench
