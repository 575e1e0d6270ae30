// SPDX-License-Identifier: MIT
#pragma once
// The timer of the explorer and of the baselines: medians, because other programs share the machine.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

namespace workbench {

/// The median time of one call f(i) in seconds: one call that is not timed, then at least 5 and about `budget` seconds.
template <class F>
double median_seconds(double budget, F&& f) {
  using clock = std::chrono::steady_clock;
  const auto seconds = [](clock::duration d) { return std::chrono::duration<double>(d).count(); };
  std::size_t call = 0;
  f(call++);
  std::vector<double> times;
  double total = 0;
  while (times.size() < 5 || (total < budget && times.size() < 10000)) {
    const auto start = clock::now();
    f(call++);
    times.push_back(seconds(clock::now() - start));
    total += times.back();
  }
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

}  // namespace workbench
