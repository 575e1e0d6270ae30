// SPDX-License-Identifier: MIT
#include "bench/workbench/product_case.hpp"

namespace workbench {

template struct products<sparq::u8, sparq::s4, format_list>;

}  // namespace workbench
