// SPDX-License-Identifier: MIT
#include "bench/workbench/product_sums.hpp"

namespace workbench {

template struct products<sparq::u8, sparq::pow2<4>>;
template struct products<sparq::u8, sparq::codebook<4>>;
template struct products<sparq::u8, sparq::codebook<4, sparq::s8, sparq::per_channel>, dense_format>;
template struct sums<sparq::f32, sparq::codebook<4, sparq::f32, sparq::per_channel>>;

}  // namespace workbench
