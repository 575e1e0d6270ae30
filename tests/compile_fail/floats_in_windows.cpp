// SPDX-License-Identifier: MIT
// expect: sparq: windows hold integers; pack codebooks and floats as panel_shape or column_shape
#include <sparq/format/csr.hpp>
#include <sparq/tensor/pack.hpp>

std::size_t bytes(const sparq::tensor_view<sparq::csr, sparq::f32>& w) {
  return sparq::packed_bytes<sparq::window_shape<16, 4, 32>>(w);
}
