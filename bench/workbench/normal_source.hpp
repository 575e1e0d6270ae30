// SPDX-License-Identifier: MIT
#pragma once
// Normal numbers that are the same everywhere: std::normal_distribution is not specified to the value.

#include <cmath>
#include <cstdint>
#include <numbers>
#include <random>

namespace workbench {

/// Standard normal numbers by Box and Muller.
class normal_source {
 public:
  explicit normal_source(std::uint64_t seed) : random_(seed) {}

  double operator()() {
    if (has_spare_) {
      has_spare_ = false;
      return spare_;
    }
    const double radius = std::sqrt(-2 * std::log(uniform()));
    const double angle = 2 * std::numbers::pi * uniform();
    spare_ = radius * std::sin(angle);
    has_spare_ = true;
    return radius * std::cos(angle);
  }

 private:
  double uniform() { return (static_cast<double>(random_() >> 11) + 0.5) * 0x1p-53; }  // inside (0, 1)

  std::mt19937_64 random_;
  double spare_ = 0;
  bool has_spare_ = false;
};

}  // namespace workbench
