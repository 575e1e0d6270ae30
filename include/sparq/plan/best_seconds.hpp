// SPDX-License-Identifier: MIT
#pragma once
// How long functions take. Other programs share the machine, its clock and often the very core, and they only ever slow
// things down: the best time says most of the function itself, and what is compared runs in turns.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <limits>
#include <vector>

namespace sparq {

/// The best times in seconds of one call of each of `count` functions; f(i, call) calls the i-th, `call` counting its
/// calls. They are called in turns: at least 5 rounds, and about `budget` seconds for each function. A call before the
/// timed one brings the data of short calls back to the caches.
template <class Clock = std::chrono::steady_clock, class F>
std::vector<double> best_seconds_of(std::size_t count, double budget, F&& f) {
  constexpr double long_call = 2e-3;  // seconds; brings its data itself
  const auto since = [](typename Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  std::vector<double> best(count, std::numeric_limits<double>::infinity());
  std::vector<std::size_t> calls(count);
  const auto start = Clock::now();
  for (std::size_t rounds = 0; rounds < 5 || since(start) < budget * static_cast<double>(count); ++rounds)
    for (std::size_t i = 0; i < count; ++i) {
      if (calls[i] == 0 || best[i] < long_call) f(i, calls[i]++);
      const auto call_start = Clock::now();
      f(i, calls[i]++);
      best[i] = (std::min)(best[i], since(call_start));
    }
  return best;
}

/// The same of the given functions; f(call) calls one.
template <class Clock = std::chrono::steady_clock, class... F>
std::array<double, sizeof...(F)> best_seconds(double budget, F&&... functions) {
  const auto in_turns = [&](std::size_t which, std::size_t call) {
    std::size_t i = 0;
    (..., (i++ == which ? static_cast<void>(functions(call)) : void()));
  };
  const std::vector<double> best = best_seconds_of<Clock>(sizeof...(F), budget, in_turns);
  std::array<double, sizeof...(F)> result;
  std::copy(best.begin(), best.end(), result.begin());
  return result;
}

}  // namespace sparq
