// SPDX-License-Identifier: MIT
// expect: sparq: of a window floats take one k at a time, integers four; use window_shape<16, 1, 8> for floats
#include <sparq/format/csr.hpp>
#include <sparq/tensor/pack.hpp>

std::size_t bytes(const sparq::tensor_view<sparq::csr, sparq::f32>& w) {
  return sparq::packed_bytes<sparq::window_shape<16, 4, 32>>(w);
}
