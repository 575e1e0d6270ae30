// SPDX-License-Identifier: MIT
#include "bench/workbench/product_case.hpp"

namespace workbench {

template struct products<sparq::u8, sparq::s8, byte_formats>;

}  // namespace workbench
