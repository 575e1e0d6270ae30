// SPDX-License-Identifier: MIT
#pragma once
// An executor that shows that parts of the work need not come in order.

#include <cstddef>

namespace sparq_test {

/// Cuts the work into many parts and runs the last one first.
struct backwards {
  std::size_t parts;
  int concurrency() const { return static_cast<int>(parts); }  // as many executors of others count
  template <class F>
  void parallel_for(std::size_t count, F&& f) const {
    while (count-- > 0) f(count);
  }
};

}  // namespace sparq_test
