// SPDX-License-Identifier: MIT
#include <sparq/kernel/executor.hpp>
#include <sparq/kernel/executor_threads.hpp>

#include "tests/support/catch.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <set>
#include <thread>
#include <vector>

using sparq::thread_executor;

namespace {

/// How often each part ran.
template <class Executor>
std::vector<int> runs_of(Executor& executor, std::size_t parts) {
  std::vector<int> runs(parts, 0);
  executor.parallel_for(parts, [&](std::size_t part) { ++runs[part]; });
  return runs;
}

}  // namespace

TEST_CASE("executor_threads: models the executor concept") { STATIC_REQUIRE(sparq::executor<thread_executor>); }

TEST_CASE("executor_threads: every part runs once, whatever the number of threads and parts") {
  for (std::size_t threads = 1; threads <= 5; ++threads) {
    thread_executor executor(threads);
    CHECK(executor.concurrency() == threads);
    for (const std::size_t parts : {0u, 1u, 2u, 3u, 7u, 100u}) {
      INFO(threads << " threads, " << parts << " parts");
      REQUIRE(runs_of(executor, parts) == std::vector<int>(parts, 1));
    }
  }
}

TEST_CASE("executor_threads: what parts wrote is there when the call returns, a thousand times over") {
  thread_executor executor(3);
  std::vector<std::size_t> values(8);
  for (std::size_t round = 1; round <= 1000; ++round) {
    executor.parallel_for(values.size(), [&](std::size_t part) { values[part] += part + round; });
    std::size_t sum = 0;
    for (const std::size_t value : values) sum += value;
    REQUIRE(sum == 28 * round + 8 * (round * (round + 1) / 2));
  }
}

TEST_CASE("executor_threads: parts run in several threads at the same time") {
  thread_executor executor(3);
  std::atomic<int> here{0};
  std::vector<std::thread::id> ids(3);
  executor.parallel_for(3, [&](std::size_t part) {
    ids[part] = std::this_thread::get_id();
    ++here;
    while (here < 3) std::this_thread::yield();  // ends only if all three are here together
  });
  CHECK(std::set<std::thread::id>(ids.begin(), ids.end()).size() == 3);
  CHECK(std::count(ids.begin(), ids.end(), std::this_thread::get_id()) == 1);
}

TEST_CASE("executor_threads: a call from inside a part runs in that part's thread") {
  thread_executor executor(3);
  std::vector<std::vector<int>> inner(6, std::vector<int>(4, 0));
  std::atomic<int> strangers{0};
  executor.parallel_for(inner.size(), [&](std::size_t outer) {
    const auto self = std::this_thread::get_id();
    executor.parallel_for(4, [&](std::size_t part) {
      ++inner[outer][part];
      if (std::this_thread::get_id() != self) ++strangers;
    });
  });
  CHECK(inner == std::vector<std::vector<int>>(6, std::vector<int>(4, 1)));
  CHECK(strangers == 0);
}

TEST_CASE("executor_threads: two callers at the same time both get their work done") {
  thread_executor executor(2);
  std::vector<int> first(200, 0), second(200, 0);
  std::thread other([&] {
    for (int i = 0; i < 100; ++i) executor.parallel_for(second.size(), [&](std::size_t part) { ++second[part]; });
  });
  for (int i = 0; i < 100; ++i) executor.parallel_for(first.size(), [&](std::size_t part) { ++first[part]; });
  other.join();
  CHECK(first == std::vector<int>(200, 100));
  CHECK(second == std::vector<int>(200, 100));
}

TEST_CASE("executor_threads: functions may be constant, and are not copied") {
  struct function {
    std::vector<int>* runs;
    explicit function(std::vector<int>* to) : runs(to) {}
    function(const function&) = delete;
    void operator()(std::size_t part) const { ++(*runs)[part]; }
  };
  std::vector<int> runs(9, 0);
  const function f(&runs);
  thread_executor executor(2);
  executor.parallel_for(9, f);
  executor.parallel_for(9, function(&runs));
  CHECK(runs == std::vector<int>(9, 2));
}

TEST_CASE("executor_threads: no threads are the calling thread") {
  thread_executor executor(0);
  CHECK(executor.concurrency() == 1);
  CHECK(runs_of(executor, 7) == std::vector<int>(7, 1));
}
