// SPDX-License-Identifier: MIT
#include <sparq/compress/prune_remainder.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

using namespace sparq;

namespace {

template <class Format>
void check_remainder(const std::vector<float>& scores, weight_shape shape, double sparsity, double remainder) {
  INFO(Format::name() << ", " << to_string(shape) << ", sparsity " << sparsity << ", remainder " << remainder);
  remainder_pruning pruning = prune_with_remainder<Format>(scores, shape, sparsity, remainder);
  mask structured = prune<Format>(scores, shape, sparsity + remainder);
  std::size_t pruned_nonzeros = 0, kept = 0;
  float lowest = std::numeric_limits<float>::infinity(), highest_left = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    REQUIRE(pruning.structured.data()[i] == structured.data()[i]);
    const float score = std::abs(scores[i]);
    if (structured.data()[i] != 0) {
      REQUIRE(pruning.remainder.data()[i] == 0);
    } else if (pruning.remainder.data()[i] != 0) {
      ++kept;
      lowest = (std::min)(lowest, score);
    } else {
      highest_left = (std::max)(highest_left, score);
    }
    pruned_nonzeros += structured.data()[i] == 0 && score != 0;
  }
  const auto wanted = static_cast<std::size_t>(static_cast<double>(scores.size()) * remainder + 0.5);
  REQUIRE(kept == (std::min)(wanted, pruned_nonzeros));
  REQUIRE(lowest >= highest_left);
}

}  // namespace

TEST_CASE("prune_remainder: the best of what the format prunes, and as many as asked for") {
  sparq_test::random_source random;
  INFO(random.text());
  static constexpr double sparsities[] = {0.0, 0.5, 0.75, 0.94};
  for (int trial = 0; trial < 60; ++trial) {
    const weight_shape shape{1 + random.below(50), 1 + random.below(80)};
    std::vector<float> scores(shape.size());
    const bool ties = random.chance(0.3);
    for (float& score : scores)
      score = random.chance(0.1) ? 0.0F : ties ? static_cast<float>(random.below(4)) - 1.5F : random.real(-1, 1);
    for (const double remainder : {0.0, 0.01, 0.05}) {
      check_remainder<tile_wise<8>>(scores, shape, sparsities[random.below(4)], remainder);
      check_remainder<block<4, 1>>(scores, shape, sparsities[random.below(4)], remainder);
    }
  }
}

TEST_CASE("prune_remainder: half an element counts as one") {
  check_remainder<block<1, 1>>({5, 4, 3, 2, 1}, {1, 5}, 0.5, 0.1);
  check_remainder<block<1, 1>>({5, 4, 3, 2, 1}, {1, 5}, 0.0, 0.3);
}

TEST_CASE("prune_remainder: matrices without elements, and of zeros") {
  check_remainder<tile_wise<4>>({}, {0, 7}, 0.5, 0.05);
  check_remainder<tile_wise<4>>({}, {7, 0}, 0.5, 0.05);
  check_remainder<tile_wise<4>>(std::vector<float>(40), {4, 10}, 0.5, 0.05);
}

TEST_CASE("prune_remainder: refuses what cannot be had") {
  const std::vector<float> scores(8, 1.0F);
  const auto message = [&](double sparsity, double remainder) {
    return try_prune_with_remainder<csr>(scores, {2, 4}, sparsity, remainder).error().message();
  };
  CHECK(message(0.75, 0.25) ==
        "prune: sparsity 0.75 and a remainder of 0.25 leave nothing to csr");
  CHECK(message(-0.1, 0.2) == "prune: a sparsity of -0.1 is outside [0, 1)");
  CHECK(message(0.1, 1.0) == "prune: a sparsity of 1 is outside [0, 1)");
  CHECK_FALSE(try_prune_with_remainder<csr>(scores, {3, 4}, 0.5, 0.1).ok());
}
