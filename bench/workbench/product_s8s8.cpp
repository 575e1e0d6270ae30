// SPDX-License-Identifier: MIT
#include "bench/workbench/product_case.hpp"

namespace workbench {

template struct products<sparq::s8, sparq::s8>;

}  // namespace workbench
