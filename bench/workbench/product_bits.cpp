// SPDX-License-Identifier: MIT
#include "bench/workbench/product_sums.hpp"

namespace workbench {

template struct sums<sparq::binary, sparq::binary, sparq::default_granularity<sparq::binary>, sparq::bit_panel_shape,
                     bit_formats>;
template struct sums<sparq::binary, sparq::ternary, sparq::default_granularity<sparq::ternary>, sparq::bit_panel_shape>;
template struct sums<sparq::binary, sparq::s2, sparq::default_granularity<sparq::s2>, sparq::bit_panel_shape>;

}  // namespace workbench
