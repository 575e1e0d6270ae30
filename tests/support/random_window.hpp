// SPDX-License-Identifier: MIT
#pragma once
// Windows of random extents for the tests of convolutions and pools.

#include <sparq/tensor/window_parameters.hpp>

#include <cstddef>

namespace sparq_test {

/// Kernels up to 4 x 4, strides up to 3, dilations up to 2, padding below `pad`.
/// - `random()`: random_source or std::mt19937
template <class Random>
sparq::window_parameters random_window(Random& random, std::size_t pad) {
  const auto up_to = [&](std::size_t most) { return 1 + random() % most; };
  sparq::window_parameters w;
  w.kernel_height = up_to(4);
  w.kernel_width = up_to(4);
  w.stride_y = up_to(3);
  w.stride_x = up_to(3);
  w.dilation_y = up_to(2);
  w.dilation_x = up_to(2);
  w.pad_top = random() % pad;
  w.pad_left = random() % pad;
  w.pad_bottom = random() % pad;
  w.pad_right = random() % pad;
  return w;
}

}  // namespace sparq_test
