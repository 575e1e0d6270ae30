// SPDX-License-Identifier: MIT
#include <sparq/kernel/work_grid.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/matrix.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

using namespace sparq;

namespace {

/// Counts how often each strip of each row is run, and that the scratch suffices.
struct counting_loop {
  std::size_t rows, strip_count, fixed_bytes, row_bytes;
  std::vector<int>* runs;

  std::size_t strips() const { return strip_count; }
  std::size_t scratch_bytes(std::size_t m) const { return round_up(fixed_bytes + m * row_bytes, alignment); }
  void run(std::size_t m0, std::size_t m1, std::size_t s0, std::size_t s1, std::byte* scratch) const {
    for (std::size_t i = 0; i < scratch_bytes(m1 - m0); ++i) scratch[i] = std::byte{1};  // for the sanitizers
    for (std::size_t m = m0; m < m1; ++m)
      for (std::size_t s = s0; s < s1; ++s) ++(*runs)[m * strip_count + s];
  }
};

struct counting_executor {
  std::size_t parts;
  std::size_t calls = 0;
  std::size_t concurrency() const { return parts; }
  void parallel_for(std::size_t count, const auto& f) {
    for (; calls < count; ++calls) f(calls);
  }
};

}  // namespace

TEST_CASE("work_grid: every strip of every row is run once, in whatever scratch") {
  sparq_test::random_source random;
  INFO(random.text());
  for (int time = 0; time < 300; ++time) {
    const std::size_t rows = random.below(40), strips = random.below(9), block = 1 + random.below(7),
                      parts = 1 + random.below(12);
    std::vector<int> runs(rows * strips);
    const counting_loop loop{rows, strips, random.below(300), 1 + random.below(200), &runs};
    const std::size_t least = random.chance(0.5) ? 1 : block;
    sparq_test::scrambled_executor executor{parts, &random};
    const auto run_from = [&](std::size_t first_row) {
      const std::size_t m = rows - first_row;
      const auto grid = machine::work_grid::make(parts, m, block, strips);
      CHECK((grid.parts() >= 1 && grid.parts() <= parts));
      CHECK(grid.part_rows(m, block) % block == 0);
      const std::size_t enough = grid.parts() * loop.scratch_bytes((std::min)(least, m));
      std::vector<std::byte> scratch(enough + random.below(20000));
      machine::run_parts(loop, grid, m, block, least, scratch, executor, first_row);
    };
    run_from(0);
    REQUIRE(runs == std::vector<int>(rows * strips, 1));
    const std::size_t before = random.below(rows + 1);  // rows that are left alone
    run_from(before);
    for (std::size_t i = 0; i < runs.size(); ++i) REQUIRE(runs[i] == (i < before * strips ? 1 : 2));
  }
}

TEST_CASE("work_grid: ranges cover everything in order, one for each part, and differ by one at most") {
  for (std::size_t parts = 0; parts <= 9; ++parts)
    for (std::size_t count = 0; count <= 20; ++count) {
      INFO(parts << " parts of " << count);
      counting_executor executor{parts};
      std::size_t next = 0, shortest = count, longest = 0;
      machine::for_each_range(executor, count, [&](std::size_t first, std::size_t end) {
        REQUIRE((first == next && first < end));
        next = end;
        shortest = (std::min)(shortest, end - first);
        longest = (std::max)(longest, end - first);
      });
      CHECK(next == count);
      CHECK(executor.calls == (std::min)((std::max)(parts, std::size_t{1}), count));
      CHECK(longest <= shortest + 1);
    }
}

TEST_CASE("work_grid: as many rows as the scratch suffices for, in whole blocks") {
  std::vector<int> runs;
  const counting_loop loop{100, 1, 0, 64, &runs};
  CHECK(machine::rows_in(loop, 100, 6, 6, 6400) == 100);
  CHECK(machine::rows_in(loop, 100, 6, 6, 6399) == 96);
  CHECK(machine::rows_in(loop, 100, 6, 6, 383) == 0);
  CHECK(machine::rows_in(loop, 100, 6, 1, 383) == 5);
}

TEST_CASE("work_grid: strips that count through all panels are those of each panel, in order") {
  struct panel {
    std::size_t kept;
  };
  struct weights {
    std::vector<panel> list;
    const std::vector<panel>& panels() const { return list; }
  };
  const weights w{{{33}, {0}, {16}, {1}, {80}}};  // 3, 0, 1, 1 and 5 strips
  std::vector<std::size_t> first_of(w.list.size() + 1);
  for (std::size_t i = 0; i < w.list.size(); ++i)
    first_of[i + 1] = first_of[i] + ceil_div(w.list[i].kept, std::size_t{16});
  const std::size_t strips = first_of.back();
  REQUIRE(strips == 10);
  for (std::size_t s0 = 0; s0 <= strips; ++s0)
    for (std::size_t s1 = s0; s1 <= strips + 1; ++s1) {
      std::vector<std::size_t> visited, wanted;
      machine::for_strips(w, s0, s1, [&](const panel& one, std::size_t first, std::size_t last) {
        REQUIRE(first < last);
        for (std::size_t s = first; s < last; ++s)
          visited.push_back(first_of[static_cast<std::size_t>(&one - w.list.data())] + s);
      });
      for (std::size_t s = s0; s < (std::min)(s1, strips); ++s) wanted.push_back(s);
      REQUIRE(visited == wanted);
    }
}
