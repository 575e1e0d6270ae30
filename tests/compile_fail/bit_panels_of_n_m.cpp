// SPDX-License-Identifier: MIT
// expect: bits are counted 32 k's at a time
#include <sparq/format/n_m.hpp>
#include <sparq/tensor/pack.hpp>

auto bits_of(const sparq::tensor<sparq::n_m<2, 4>, sparq::binary>& w) { return sparq::pack<sparq::bit_panel_shape>(w); }
