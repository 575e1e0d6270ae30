// SPDX-License-Identifier: MIT
#pragma once
// The timer of benchmarks and explorer. Other programs share the machine, its clock and often the very core, and they
// only ever slow things down: the best time says most of the program itself, and what is compared runs in turns.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <limits>
#include <utility>

namespace workbench {

/// The best times in seconds of one call f(i) of each function, i counting its calls. They are called in turns: at
/// least 5 rounds, and about `budget` seconds for each function. A call before the timed one brings short calls' data
/// back to the caches.
template <class... F>
std::array<double, sizeof...(F)> best_seconds(double budget, F&&... functions) {
  using clock = std::chrono::steady_clock;
  constexpr double long_call = 2e-3;  // seconds; brings its data itself
  const auto since = [](clock::time_point start) {
    return std::chrono::duration<double>(clock::now() - start).count();
  };
  std::array<double, sizeof...(F)> best;
  best.fill(std::numeric_limits<double>::infinity());
  std::array<std::size_t, sizeof...(F)> calls{};
  const auto turn = [&](std::size_t which, auto& f) {
    if (calls[which] == 0 || best[which] < long_call) f(calls[which]++);
    const auto start = clock::now();
    f(calls[which]++);
    best[which] = std::min(best[which], since(start));
  };
  const auto round = [&]<std::size_t... I>(std::index_sequence<I...>) { (turn(I, functions), ...); };
  const auto start = clock::now();
  for (std::size_t rounds = 0; rounds < 5 || since(start) < budget * sizeof...(F); ++rounds)
    round(std::index_sequence_for<F...>{});
  return best;
}

}  // namespace workbench
