// SPDX-License-Identifier: MIT
// Scales for each group of 32 or 128 k's, and codes of u4 without.
#include "bench/workbench/product_sums.hpp"

namespace workbench {

template struct sums<sparq::u8, sparq::u4>;
template struct sums<sparq::u8, sparq::s8, sparq::per_group<32>>;
template struct sums<sparq::u8, sparq::s8, sparq::per_group<128>>;
template struct sums<sparq::u8, sparq::s4, sparq::per_group<32>>;
template struct sums<sparq::u8, sparq::s4, sparq::per_group<128>>;
template struct sums<sparq::u8, sparq::u4, sparq::per_group<32>>;
template struct sums<sparq::u8, sparq::u4, sparq::per_group<128>>;
template struct sums<sparq::u8, sparq::s2, sparq::per_group<32>>;
template struct sums<sparq::u8, sparq::s2, sparq::per_group<128>>;
template struct sums<sparq::u8, sparq::ternary, sparq::per_group<32>>;
template struct sums<sparq::u8, sparq::ternary, sparq::per_group<128>>;
template struct sums<sparq::u8, sparq::codebook<4>, sparq::per_group<32>>;
template struct sums<sparq::u8, sparq::codebook<4>, sparq::per_group<128>>;

}  // namespace workbench
