// SPDX-License-Identifier: MIT
#include "bench/workbench/product_case.hpp"

namespace workbench {

template struct products<sparq::bf16, sparq::bf16, bf16_formats>;

}  // namespace workbench
