// SPDX-License-Identifier: MIT
// expect: scales along k cut the k's that a bitmask multiplies at once
#include <sparq/format/csr.hpp>
#include <sparq/tensor/pack.hpp>

auto bitmask_of(const sparq::tensor<sparq::csr, sparq::s8, sparq::per_group<6>>& w) {
  return sparq::pack<sparq::bitmask_shape<16, 4>>(w);
}
