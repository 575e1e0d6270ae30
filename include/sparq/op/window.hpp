// SPDX-License-Identifier: MIT
#pragma once
// What operations share that slide a window over every channel of an image by itself: their arguments' checks, and the
// cutting of their work into rows of the output.

#include <sparq/base/config.hpp>
#include <sparq/base/error.hpp>
#include <sparq/kernel/work_grid.hpp>
#include <sparq/tensor/image.hpp>
#include <sparq/tensor/window_parameters.hpp>

#include <cstddef>
#include <string>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Extents of a Y with one pixel for each position of the window. @pre window.check(x.image_height, x.image_width)
inline image_extents output_extents(const image_extents& x, const window_parameters& window, std::size_t channels) {
  image_extents y = x;
  y.image_height = window.output_height(x.image_height);
  y.image_width = window.output_width(x.image_width);
  y.channels = channels;
  return y;
}

inline status check_output(const char* op, const image_extents& y, const image_extents& wanted) {
  if (y.images == wanted.images && y.image_height == wanted.image_height && y.image_width == wanted.image_width &&
      y.channels == wanted.channels)
    return {};
  return status::failure(std::string(op) + ": Y is " + extent_text(y) + ", it needs to be " + extent_text(wanted));
}

/// The window fits into X, and Y has one pixel for each of its positions; channels are the operation's own business.
inline status check_window(const char* op, const image_extents& x, const image_extents& y,
                           const window_parameters& window) {
  if (status s = window.check(x.image_height, x.image_width); !s.ok())
    return status::failure(std::string(op) + ": " + s.message());
  return check_output(op, y, output_extents(x, window, y.channels));
}

/// f(image, y) for every row of the output's pixels; each part of the work is a range of rows.
template <class Executor, class F>
void for_each_output_row(const image_extents& out, Executor& executor, const F& f) {
  for_each_range(executor, out.images * out.image_height, [&](std::size_t first, std::size_t end) {
    for (std::size_t row = first; row < end; ++row) f(row / out.image_height, row % out.image_height);
  });
}

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
