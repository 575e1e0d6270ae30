// SPDX-License-Identifier: MIT
#include <sparq/compress/rank.hpp>

#include "../support/catch.hpp"
#include "../support/random.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace {

struct entry {
  float score;
  std::uint64_t weight;
};

std::vector<bool> selected(const std::vector<entry>& entries, std::uint64_t target, std::uint64_t at_least = 0) {
  const auto each = [&](auto&& visit) {
    for (const entry& e : entries) visit(e.score, e.weight);
  };
  sparq::rank_selection selection(each, target, at_least);
  std::vector<bool> kept;
  each([&](float score, std::uint64_t weight) { kept.push_back(selection.keeps(score, weight)); });
  return kept;
}

/// By sorting: from the highest |score| down, earlier entries first, up to the nearest sum.
std::vector<bool> selected_by_sorting(const std::vector<entry>& entries, std::uint64_t target, std::uint64_t at_least) {
  std::vector<std::size_t> order(entries.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::fabs(entries[a].score) > std::fabs(entries[b].score);
  });
  std::vector<bool> kept(entries.size());
  std::uint64_t taken = 0;
  for (const std::size_t i : order) {
    if (taken >= at_least && 2 * taken + entries[i].weight > 2 * target) break;
    taken += entries[i].weight;
    kept[i] = true;
  }
  return kept;
}

}  // namespace

TEST_CASE("rank: exactly as many entries are kept as asked for; of equal scores the first ones") {
  CHECK(selected({{1, 1}, {3, 1}, {-2, 1}, {0, 1}}, 2) == std::vector<bool>{false, true, true, false});
  CHECK(selected({{5, 1}, {5, 1}, {5, 1}, {5, 1}}, 3) == std::vector<bool>{true, true, true, false});
  CHECK(selected({{0, 1}, {0, 1}}, 1) == std::vector<bool>{true, false});
  CHECK(selected({{1, 1}, {2, 1}}, 0) == std::vector<bool>{false, false});
  CHECK(selected({{1, 1}, {2, 1}}, 5) == std::vector<bool>{true, true});
  CHECK(selected({}, 1).empty());
}

TEST_CASE("rank: the highest float, denormals and signed zeros have their place") {
  CHECK(selected({{1e-45F, 1}, {-0.0F, 1}, {3.4028235e38F, 1}, {0.0F, 1}}, 3) ==
        std::vector<bool>{true, true, true, false});
}

TEST_CASE("rank: with weights the sum comes as near to the target as the order allows") {
  CHECK(selected({{3, 10}, {2, 10}, {1, 10}}, 14) == std::vector<bool>{true, false, false});
  CHECK(selected({{3, 10}, {2, 10}, {1, 10}}, 15) == std::vector<bool>{true, true, false});
  CHECK(selected({{3, 10}, {2, 10}, {1, 10}}, 4) == std::vector<bool>{false, false, false});
}

TEST_CASE("rank: at_least is reached whatever the target") {
  CHECK(selected({{3, 10}, {2, 10}, {1, 10}}, 4, 1) == std::vector<bool>{true, false, false});
  CHECK(selected({{3, 10}, {2, 10}, {1, 10}}, 4, 11) == std::vector<bool>{true, true, false});
  CHECK(selected({{3, 10}}, 4, 100) == std::vector<bool>{true});
}

TEST_CASE("rank: the threshold is the lowest score kept") {
  const std::vector<float> scores = {4, -7, 1, 3};
  const auto each = [&](auto&& visit) {
    for (const float score : scores) visit(score, std::uint64_t{1});
  };
  CHECK(sparq::rank_selection(each, 2).threshold() == 4);
  CHECK(sparq::rank_selection(each, 3).threshold() == 3);
}

TEST_CASE("rank: agrees with sorting for scores with and without ties") {
  sparq_test::random_source random;
  INFO(random.text());
  for (int round = 0; round < 400; ++round) {
    const std::size_t count = random.below(200);
    const bool ties = round % 2 == 0;
    const std::uint64_t heaviest = round % 3 == 0 ? 1 : 9;
    std::vector<entry> entries;
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const float score = ties ? static_cast<float>(random.below(5)) - 2
                               : std::ldexp(random.real(-1, 1), static_cast<int>(random.below(60)) - 30);
      entries.push_back({score, 1 + random.below(heaviest)});
      total += entries.back().weight;
    }
    const std::uint64_t target = random.below(total + 2);
    const std::uint64_t at_least = round % 5 == 0 ? random.below(total + 2) : 0;
    CAPTURE(round, count, target, at_least);
    CHECK(selected(entries, target, at_least) == selected_by_sorting(entries, target, at_least));
  }
}
