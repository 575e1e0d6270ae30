// SPDX-License-Identifier: MIT
#pragma once
// A clock that stands still unless a test moves it.

#include <chrono>

namespace sparq_test {

struct fake_clock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<fake_clock>;
  static constexpr bool is_steady = true;
  static time_point now() { return time; }
  static inline time_point time{};
};

}  // namespace sparq_test
