// SPDX-License-Identifier: MIT
#include <sparq/plan/best_seconds.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/fake_clock.hpp"

#include <algorithm>
#include <vector>

using namespace sparq;
using namespace std::chrono_literals;
using sparq_test::fake_clock;

TEST_CASE("best_seconds: the least of each function's times, which take turns") {
  std::vector<std::size_t> order, calls;
  const auto taking = [&](std::size_t which, std::chrono::microseconds least) {
    return [&, which, least](std::size_t call) {
      if (std::ranges::find(order, which) == order.end()) order.push_back(which);
      calls.push_back(call);
      fake_clock::time += call == 4 ? least : least + 7us;  // disturbed but once
    };
  };
  const auto [first, second] = best_seconds<fake_clock>(0, taking(0, 30us), taking(1, 20us));
  CHECK(first == 37e-6);  // calls 1, 3, 5, ... are timed
  CHECK(second == 27e-6);
  CHECK(order == std::vector<std::size_t>{0, 1});
  CHECK(calls == std::vector<std::size_t>{0, 1, 0, 1, 2, 3, 2, 3, 4, 5, 4, 5, 6, 7, 6, 7, 8, 9, 8, 9});
  const auto [odd] = best_seconds<fake_clock>(0, [&](std::size_t call) { fake_clock::time += call == 5 ? 3us : 9us; });
  CHECK(odd == 3e-6);
}

TEST_CASE("best_seconds: long calls warm up once; rounds go on until the time is spent") {
  std::size_t calls = 0;
  const auto lasting = [&](std::chrono::microseconds time) {
    calls = 0;
    return [&, time](std::size_t call) {
      CHECK(call == calls++);
      fake_clock::time += time;
    };
  };
  static_cast<void>(best_seconds<fake_clock>(0, lasting(3ms)));
  CHECK(calls == 6);
  static_cast<void>(best_seconds<fake_clock>(0.030, lasting(3ms)));
  CHECK(calls == 10);
  static_cast<void>(best_seconds<fake_clock>(0.030, lasting(1ms)));
  CHECK(calls == 30);
}

TEST_CASE("best_seconds: as many functions as are counted at run time, or none") {
  const std::vector<double> best =
      best_seconds_of<fake_clock>(3, 0, [](std::size_t i, std::size_t) { fake_clock::time += (i + 1) * 1us; });
  CHECK(best == std::vector<double>{1e-6, 2e-6, 3e-6});
  CHECK(best_seconds_of<fake_clock>(0, 1, [](std::size_t, std::size_t) { FAIL(); }).empty());
}
