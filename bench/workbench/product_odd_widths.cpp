// SPDX-License-Identifier: MIT
#include "bench/workbench/product_case.hpp"

namespace workbench {

template struct products<sparq::u8_up_to_127, sparq::s8>;
template struct products<sparq::u8, sparq::s7>;
template struct products<sparq::u8, sparq::s6>;
template struct products<sparq::u8, sparq::s5>;
template struct products<sparq::u8, sparq::s3>;

}  // namespace workbench
