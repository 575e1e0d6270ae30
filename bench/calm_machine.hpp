// SPDX-License-Identifier: MIT
#pragma once
// Whether somebody else computes on the core that measures. Neighbours slow some loops more than others, so the best of
// many times does not tell loops apart that were timed while one was there.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <limits>
#include <numeric>

namespace workbench {

/// Times a fixed load, a few us of independent multiply-adds of floats in the first-level cache, and compares it with
/// the best time so far.
class calm_machine {
 public:
  static constexpr double margin = 0.04;

  calm_machine() {
    values_.fill(float{factor_});
    for (int i = 0; i < 60; ++i) is_calm();
  }

  /// The load now takes at most `margin` longer than at best.
  bool is_calm() {
    const double now = (std::min)({time_load(), time_load(), time_load()});
    best_ = (std::min)(best_, now);
    return now < (1 + margin) * best_;
  }

 private:
  double time_load() {
    const auto start = std::chrono::steady_clock::now();
    const float factor = factor_;  // volatile, as the result: the load stays between both looks at the clock
    std::array<float, 80> sums{};
    for (int round = 0; round < 12; ++round)
      for (std::size_t i = 0; i < values_.size(); i += sums.size())
        for (std::size_t lane = 0; lane < sums.size(); ++lane) sums[lane] += values_[i + lane] * factor;
    result_ = std::accumulate(sums.begin(), sums.end(), 0.0F);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  volatile float factor_ = 1e-3F, result_ = 0;
  std::array<float, 4000> values_{};
  double best_ = std::numeric_limits<double>::infinity();
};

}  // namespace workbench
