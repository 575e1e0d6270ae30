// SPDX-License-Identifier: MIT
#include "bench/workbench/product_case.hpp"

namespace workbench {

template struct products<sparq::u8, sparq::s2>;
template struct products<sparq::u8, sparq::ternary>;
template struct products<sparq::u8, sparq::binary>;

}  // namespace workbench
