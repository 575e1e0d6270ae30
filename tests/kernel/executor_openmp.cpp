// SPDX-License-Identifier: MIT
#include "tests/support/catch.hpp"

#ifdef _OPENMP

#include <sparq/kernel/executor.hpp>
#include <sparq/kernel/executor_openmp.hpp>

#include <cstddef>
#include <vector>

using sparq::openmp_executor;

TEST_CASE("executor_openmp: models the executor concept") {
  STATIC_REQUIRE(sparq::executor<openmp_executor>);
  STATIC_REQUIRE(sparq::executor<const openmp_executor>);
}

TEST_CASE("executor_openmp: every part runs once, whatever the number of threads and parts") {
  for (int threads = 1; threads <= 5; ++threads) {
    const openmp_executor executor(threads);
    CHECK(executor.concurrency() == static_cast<std::size_t>(threads));
    for (const std::size_t parts : {0U, 1U, 2U, 3U, 7U, 100U}) {
      INFO(threads << " threads, " << parts << " parts");
      std::vector<int> runs(parts, 0);
      executor.parallel_for(parts, [&](std::size_t part) { ++runs[part]; });
      REQUIRE(runs == std::vector<int>(parts, 1));
    }
  }
}

TEST_CASE("executor_openmp: a call from inside a part does its work, too") {
  const openmp_executor executor(2);
  std::vector<std::vector<int>> inner(5, std::vector<int>(4, 0));
  executor.parallel_for(inner.size(), [&](std::size_t outer) {
    executor.parallel_for(4, [&](std::size_t part) { ++inner[outer][part]; });
  });
  CHECK(inner == std::vector<std::vector<int>>(5, std::vector<int>(4, 1)));
}

TEST_CASE("executor_openmp: takes OpenMP's number of threads, and never less than one") {
  CHECK(openmp_executor().concurrency() == static_cast<std::size_t>(omp_get_max_threads()));
  CHECK(openmp_executor(0).concurrency() == 1);
  CHECK(openmp_executor(-3).concurrency() == 1);
}

#else

#include <iostream>

TEST_CASE("executor_openmp: needs OpenMP") { std::cout << "skipped: built without OpenMP\n"; }

#endif
