// SPDX-License-Identifier: MIT
#include <sparq/compress/prune.hpp>

#include "../support/catch.hpp"
#include "../support/masks.hpp"

#include <numeric>

using sparq::mask;
using sparq::weight_shape;
using sparq_test::picture_of;

namespace {

std::vector<float> random_scores(std::size_t count, sparq_test::random_source& random, bool ties = false) {
  std::vector<float> scores(count);
  for (float& score : scores) score = ties ? static_cast<float>(random.below(4)) - 1.5F : random.real(-1, 1);
  return scores;
}

/// The places of the `count` highest, ties to the first.
std::vector<bool> highest(const std::vector<double>& scores, std::size_t count) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  std::vector<bool> kept(scores.size());
  for (std::size_t i = 0; i < (std::min)(count, order.size()); ++i) kept[order[i]] = true;
  return kept;
}

/// The mask that keeps whole blocks of r x c, chosen from `group` neighbouring blocks of a row of blocks (0: of all).
mask pruned_by_sorting(const std::vector<float>& scores, weight_shape shape, std::size_t r, std::size_t c,
                       std::size_t group, double sparsity_or_kept) {
  mask keep(shape, false);
  const std::size_t across = sparq::ceil_div(shape.k, c);
  std::vector<double> norms(sparq::ceil_div(shape.n, r) * across);
  for (std::size_t n = 0; n < shape.n; ++n)
    for (std::size_t k = 0; k < shape.k; ++k) {
      const double score = scores[n * shape.k + k];
      norms[n / r * across + k / c] += score * score;
    }
  for (double& norm : norms) norm = static_cast<double>(static_cast<float>(std::sqrt(norm)));
  std::vector<bool> kept;
  if (group == 0) {
    kept = highest(norms, sparq::kept_count(norms.size(), sparsity_or_kept));
  } else {
    for (std::size_t row = 0; row < norms.size(); row += across)
      for (std::size_t first = 0; first < across; first += group) {
        const auto begin = norms.begin() + static_cast<std::ptrdiff_t>(row + first);
        const auto end = begin + static_cast<std::ptrdiff_t>((std::min)(group, across - first));
        const std::vector<bool> of_group = highest({begin, end}, static_cast<std::size_t>(sparsity_or_kept));
        kept.insert(kept.end(), of_group.begin(), of_group.end());
      }
  }
  for (std::size_t n = 0; n < shape.n; ++n)
    for (std::size_t k = 0; k < shape.k; ++k) keep.set(n, k, kept[n / r * across + k / c]);
  return keep;
}

template <class Check>
void for_random_matrices(std::size_t most_n, std::size_t most_k, Check&& check) {
  sparq_test::random_source random;
  INFO(random.text());
  for (int round = 0; round < 60; ++round) {
    const weight_shape shape{random.below(most_n + 1), random.below(most_k + 1)};
    const double sparsity = static_cast<double>(random.below(1000)) / 1000;
    const std::vector<float> scores = random_scores(shape.size(), random, round % 3 == 0);
    CAPTURE(round, shape.n, shape.k, sparsity);
    check(scores, shape, sparsity);
  }
}

}  // namespace

TEST_CASE("prune: csr and dense keep exactly round(n k (1 - sparsity)) of the highest") {
  for_random_matrices(40, 40, [](const std::vector<float>& scores, weight_shape shape, double sparsity) {
    const mask keep = sparq::prune<sparq::csr>(scores, shape, sparsity);
    CHECK(keep.kept() == sparq::kept_count(shape.size(), sparsity));
    CHECK(picture_of(keep) == picture_of(pruned_by_sorting(scores, shape, 1, 1, 0, sparsity)));
    CHECK(picture_of(sparq::prune<sparq::dense>(scores, shape, sparsity)) == picture_of(keep));
  });
}

TEST_CASE("prune: plateaus of equal scores are cut where the number is reached") {
  const std::vector<float> scores(12, -1.0F);
  CHECK(picture_of(sparq::prune<sparq::csr>(scores, {3, 4}, 0.5)) == std::vector<std::string>{"xxxx", "xx..", "...."});
  CHECK(sparq::prune<sparq::csr>(scores, {3, 4}, 0).kept() == 12);
  CHECK(picture_of(sparq::prune<sparq::bitmask>(scores, {3, 4}, 0.5)) ==
        std::vector<std::string>{"xxxx", "xx..", "...."});
}

TEST_CASE("prune: blocks rank by their L2 norm, at every leftover") {
  for_random_matrices(20, 20, [](const std::vector<float>& scores, weight_shape shape, double sparsity) {
    const auto agrees = [&]<std::size_t R, std::size_t C>(sparq::block<R, C>) {
      const mask keep = sparq::prune<sparq::block<R, C>>(scores, shape, sparsity);
      CHECK(picture_of(keep) == picture_of(pruned_by_sorting(scores, shape, R, C, 0, sparsity)));
      CHECK(picture_of(sparq_test::visited_mask(sparq::block<R, C>::from_mask(keep).value())) == picture_of(keep));
    };
    agrees(sparq::block<1, 4>{});
    agrees(sparq::block<4, 1>{});
    agrees(sparq::block<3, 5>{});
    agrees(sparq::block<16, 16>{});
  });
}

TEST_CASE("prune: n_m keeps the N highest of every group, a short last group as many as it has") {
  for_random_matrices(6, 70, [](const std::vector<float>& scores, weight_shape shape, double) {
    const auto agrees = [&]<std::size_t N, std::size_t M>(sparq::n_m<N, M>) {
      const mask keep = sparq::prune<sparq::n_m<N, M>>(scores, shape);
      CHECK(picture_of(keep) == picture_of(pruned_by_sorting(scores, shape, 1, 1, M, static_cast<double>(N))));
      CHECK(sparq::conforms<sparq::n_m<N, M>>(keep).ok());
    };
    agrees(sparq::n_m<1, 1>{});
    agrees(sparq::n_m<2, 4>{});
    agrees(sparq::n_m<3, 5>{});
    agrees(sparq::n_m<4, 8>{});
    agrees(sparq::n_m<7, 31>{});
    agrees(sparq::n_m<16, 32>{});
  });
}

TEST_CASE("prune: tile_n_m keeps the N highest of every group for all channels of a panel") {
  for_random_matrices(20, 40, [](const std::vector<float>& scores, weight_shape shape, double) {
    const auto agrees = [&]<std::size_t V, std::size_t N, std::size_t M>(sparq::tile_n_m<V, N, M>) {
      const mask keep = sparq::prune<sparq::tile_n_m<V, N, M>>(scores, shape);
      CHECK(picture_of(keep) == picture_of(pruned_by_sorting(scores, shape, V, 1, M, static_cast<double>(N))));
      CHECK(sparq::conforms<sparq::tile_n_m<V, N, M>>(keep).ok());
    };
    agrees(sparq::tile_n_m<1, 2, 4>{});
    agrees(sparq::tile_n_m<3, 2, 4>{});
    agrees(sparq::tile_n_m<16, 5, 16>{});
  });
}

TEST_CASE("prune: tile_wise prunes as prune_tile_wise does with one layer") {
  for_random_matrices(40, 40, [](const std::vector<float>& scores, weight_shape shape, double sparsity) {
    const sparq::score_matrix layer{scores, shape};
    const mask keep = sparq::prune<sparq::tile_wise<8>>(scores, shape, sparsity);
    CHECK(picture_of(keep) == picture_of(sparq::prune_tile_wise({&layer, 1}, sparsity, 8).masks[0]));
    CHECK(sparq::tile_wise<8>::from_mask(keep).value().slots() == keep.kept());
  });
}

TEST_CASE("prune: a pattern takes no sparsity but the one it implies") {
  const std::vector<float> scores(16, 1.0F);
  CHECK(sparq::prune<sparq::n_m<2, 4>>(scores, {2, 8}, 0.5).kept() == 8);
  CHECK(sparq::prune<sparq::n_m<1, 3>>(scores, {2, 8}, 2.0 / 3).kept() == 6);
  CHECK(sparq::try_prune<sparq::n_m<2, 4>>(scores, {2, 8}, 0.75).error().message() ==
        "prune: n_m<2,4> has a sparsity of 0.5, not 0.75");
  CHECK(sparq::try_prune<sparq::tile_n_m<2, 1, 4>>(scores, {2, 8}, 0.5).error().message() ==
        "prune: tile_n_m<2,1,4> has a sparsity of 0.75, not 0.5");
  // at least the one it implies, which 2.0 / 3 is although it is less than 1 - 1.0 / 3
  using nested = sparq::tile_wise<4, sparq::n_m<1, 3>>;
  CHECK(sparq::prune<nested>(scores, {2, 8}, 2.0 / 3).kept() == 6);
  CHECK(sparq::try_prune<nested>(scores, {2, 8}, 0.5).error().message() ==
        "prune: tile_wise<4,n_m<1,3>> has a sparsity of at least 0.666666667, not 0.5");
}

TEST_CASE("prune: what cannot be pruned is refused with value and position") {
  std::vector<float> scores(6, 1.0F);
  CHECK(sparq::try_prune<sparq::csr>(scores, {2, 3}, 1.5).error().message() ==
        "prune: a sparsity of 1.5 is outside [0, 1)");
  CHECK(sparq::try_prune<sparq::csr>(scores, {3, 3}, 0.5).error().message() == "prune: 6 scores for a matrix of 3 x 3");
  scores[4] = std::numeric_limits<float>::quiet_NaN();
  CHECK(sparq::try_prune<sparq::block<1, 4>>(scores, {2, 3}, 0.5).error().message() ==
        "prune: the score nan at [n=1][k=1] is not finite");
  CHECK(sparq::try_prune<sparq::n_m<2, 4>>(scores, {2, 3}).error().message() ==
        "prune: the score nan at [n=1][k=1] is not finite");
  CHECK_THROWS_AS(sparq::prune<sparq::csr>(scores, {2, 3}, 0.5), sparq::error);
}

namespace {

/// A user's format: csr under another name.
struct user_format : sparq::csr {};

}  // namespace

/// ... which is pruned channel by channel.
template <>
struct sparq::pruner<user_format> {
  static mask keep(const score_matrix& scores, double sparsity) {
    mask result(scores.shape, false);
    for (std::size_t n = 0; n < kept_count(scores.shape.n, sparsity); ++n)
      for (std::size_t k = 0; k < scores.shape.k; ++k) result.set(n, k, true);
    return result;
  }
};

TEST_CASE("prune: a user's format joins by specializing pruner") {
  CHECK(picture_of(sparq::prune<user_format>(std::vector<float>(8), {4, 2}, 0.75)) ==
        std::vector<std::string>{"xx", "..", "..", ".."});
}
