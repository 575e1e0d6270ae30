// SPDX-License-Identifier: MIT
// expect only: sparq: there is no such k_map or row_select; take one of format/policy.hpp
#include <sparq/tensor/packed.hpp>

struct diagonals {};

std::string layout() {
  return sparq::packed_view<diagonals, sparq::all, sparq::s8, sparq::per_channel, sparq::panel_shape<16, 4>>::layout_name();
}
