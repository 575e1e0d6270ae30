// SPDX-License-Identifier: MIT
#include <sparq/compress/prune_tile_wise.hpp>

#include <sparq/format/tile_wise.hpp>

#include "../support/catch.hpp"
#include "../support/masks.hpp"

#include <numeric>

using sparq::mask;
using sparq::score_matrix;
using sparq::tile_norm;
using sparq::tile_stages;
using sparq::tile_wise_options;
using sparq::weight_shape;
using sparq_test::mask_of;
using sparq_test::picture_of;

namespace {

struct layer {
  std::vector<float> scores;
  weight_shape shape;
  operator score_matrix() const { return {scores, shape}; }
};

/// Scores with structure: every channel and every k has an importance of its own.
layer random_layer(weight_shape shape, sparq_test::random_source& random) {
  const auto importance = [&] { return std::exp(random.real(-1, 1)); };
  std::vector<float> of_k(shape.k);
  for (float& factor : of_k) factor = importance();
  layer result{{}, shape};
  for (std::size_t n = 0; n < shape.n; ++n) {
    const float of_n = importance();
    for (std::size_t k = 0; k < shape.k; ++k) result.scores.push_back(of_n * of_k[k] * random.real(-1, 1));
  }
  return result;
}

layer masked(layer scores, const mask& keep) {
  for (std::size_t n = 0; n < scores.shape.n; ++n)
    for (std::size_t k = 0; k < scores.shape.k; ++k)
      if (!keep(n, k)) scores.scores[n * scores.shape.k + k] = 0;
  return scores;
}

/// The artifact's example, transposed: channel n is column n of the paper's matrix.
layer golden() {
  constexpr int matrix[6][8] = {{68, 88, 17, 98, 27, 45, 41, 22}, {10, 61, 52, 59, 58, 87, 75, 68},
                                {33, 12, 61, 96, 91, 65, 71, 96}, {81, 96, 12, 44, 61, 14, 43, 50},
                                {76, 51, 34, 82, 23, 83, 66, 79}, {92, 33, 45, 82, 97, 12, 15, 92}};
  layer result{{}, {8, 6}};
  for (std::size_t n = 0; n < 8; ++n)
    for (const auto& row : matrix) result.scores.push_back(static_cast<float>(row[n]));
  return result;
}

sparq::tile_wise_pruning prune_one(const layer& scores, double sparsity, std::size_t tile_channels,
                                   const tile_wise_options& options = {}) {
  const score_matrix matrix = scores;
  return sparq::prune_tile_wise({&matrix, 1}, sparsity, tile_channels, options);
}

std::size_t kept_channels(const mask& keep) {
  std::size_t kept = 0;
  for (std::size_t n = 0; n < keep.shape().n; ++n) kept += sparq::count_kept(sparq::mask_view(keep).channel(n)) != 0;
  return kept;
}

/// tile_wise<G> stores exactly the mask: all channels of a tile keep the same k's, G channels in all tiles but the
/// last.
bool is_tile_wise(const mask& keep, std::size_t tile_channels) {
  const auto holds = [&]<std::size_t G>(sparq::tile_wise<G>) {
    const auto index = sparq::tile_wise<G>::from_mask(keep).value();
    return index.validate().ok() && index.slots() == keep.kept();
  };
  switch (tile_channels) {
    case 1:
      return holds(sparq::tile_wise<1>{});
    case 2:
      return holds(sparq::tile_wise<2>{});
    case 8:
      return holds(sparq::tile_wise<8>{});
    case 16:
      return holds(sparq::tile_wise<16>{});
    case 64:
      return holds(sparq::tile_wise<64>{});
    case 128:
      return holds(sparq::tile_wise<128>{});
    default:
      return false;
  }
}
constexpr std::size_t all_tile_channels[] = {1, 2, 8, 16, 64, 128};

double random_sparsity(sparq_test::random_source& random) { return static_cast<double>(random.below(990)) / 1000; }

}  // namespace

TEST_CASE("prune_tile_wise: the artifact's example comes out with its thresholds") {
  const auto result = prune_one(golden(), 0.5, 2, {.norm = tile_norm::repo});
  CHECK(result.channel_threshold == Approx(24.2761).margin(5e-5));
  CHECK(result.k_threshold == Approx(26.3071).margin(5e-5));
  REQUIRE(result.masks.size() == 1);
  CHECK(picture_of(result.masks[0]) == std::vector<std::string>{"xx.xxx",  // tile [0, 2)
                                                                "xx.xxx",  //
                                                                "......",  // tile [2, 5)
                                                                "xxx.xx",  //
                                                                "xxx.xx",  //
                                                                "......",  // tile [5, 8)
                                                                "......",  //
                                                                "..x.xx"});
  CHECK(result.masks[0].kept() == 23);
}

TEST_CASE("prune_tile_wise: the same example by rank meets the sparsity exactly") {
  const auto result = prune_one(golden(), 0.5, 2);
  CHECK(result.masks[0].kept() == 24);
  CHECK(kept_channels(result.masks[0]) == 6);
}

TEST_CASE("prune_tile_wise: any matrix and any tile gives a tile-wise mask of the sparsity asked for") {
  sparq_test::random_source random;
  INFO(random.text());
  for (int round = 0; round < 40; ++round)
    for (const std::size_t tile_channels : all_tile_channels) {
      const layer scores = random_layer({1 + random.below(300), 1 + random.below(300)}, random);
      const double sparsity = random_sparsity(random);
      for (const tile_stages stages : {tile_stages::channels_then_k, tile_stages::k_only}) {
        const mask keep = prune_one(scores, sparsity, tile_channels, {.stages = stages}).masks[0];
        CAPTURE(scores.shape.n, scores.shape.k, tile_channels, sparsity, stages == tile_stages::k_only);
        const double half_a_vector = 0.5 * static_cast<double>((std::min)(tile_channels, scores.shape.n));
        const double allowed = (half_a_vector + 0.5) / static_cast<double>(scores.shape.size()) + 1e-9;
        CHECK(std::fabs(keep.sparsity() - sparsity) <= allowed);
        if (stages == tile_stages::channels_then_k) CHECK(is_tile_wise(keep, tile_channels));
      }
    }
}

TEST_CASE("prune_tile_wise: matrices of some size are within one percentage point of the sparsity") {
  sparq_test::random_source random;
  INFO(random.text());
  for (int round = 0; round < 10; ++round)
    for (const std::size_t tile_channels : all_tile_channels) {
      const layer scores = random_layer({64 + random.below(237), 64 + random.below(237)}, random);
      const double sparsity = random_sparsity(random);
      CAPTURE(scores.shape.n, scores.shape.k, tile_channels, sparsity);
      CHECK(std::fabs(prune_one(scores, sparsity, tile_channels).masks[0].sparsity() - sparsity) <= 0.01);
    }
}

namespace {

struct ranked_vector {
  double score;
  std::vector<std::size_t> elements;
};

/// From the highest score down, earlier vectors first: until `at_least`, then to the nearest sum.
std::vector<bool> best(const std::vector<ranked_vector>& vectors, std::size_t target, std::size_t at_least) {
  std::vector<std::size_t> order(vectors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return vectors[a].score > vectors[b].score; });
  std::vector<bool> kept(vectors.size());
  std::size_t taken = 0;
  for (const std::size_t i : order) {
    if (taken >= at_least && 2 * taken + vectors[i].elements.size() > 2 * target) break;
    taken += vectors[i].elements.size();
    kept[i] = true;
  }
  return kept;
}

double rms(const layer& scores, const std::vector<std::size_t>& elements) {
  double squares = 0;
  for (const std::size_t i : elements) squares += static_cast<double>(scores.scores[i]) * scores.scores[i];
  return static_cast<double>(static_cast<float>(std::sqrt(squares) / std::sqrt(static_cast<double>(elements.size()))));
}

/// The definition for one layer, by sorting lists of elements.
mask pruned_by_sorting(const layer& scores, double sparsity, std::size_t tile_channels) {
  const auto [n_extent, k_extent] = scores.shape;
  const std::size_t target = sparq::kept_count(n_extent * k_extent, sparsity);
  std::vector<ranked_vector> channels(n_extent);
  for (std::size_t n = 0; n < n_extent; ++n) {
    for (std::size_t k = 0; k < k_extent; ++k) channels[n].elements.push_back(n * k_extent + k);
    channels[n].score = rms(scores, channels[n].elements);
  }
  const std::vector<bool> channel_kept =
      best(channels, sparq::kept_count(n_extent * k_extent, 1 - std::sqrt(1 - sparsity)), target);

  std::vector<std::vector<std::size_t>> tiles;
  for (std::size_t n = 0; n < n_extent; ++n) {
    if (!channel_kept[n]) continue;
    if (tiles.empty() || tiles.back().size() == tile_channels) tiles.emplace_back();
    tiles.back().push_back(n);
  }
  std::vector<ranked_vector> vectors;
  for (const std::vector<std::size_t>& tile : tiles)
    for (std::size_t k = 0; k < k_extent; ++k) {
      ranked_vector vector;
      for (const std::size_t n : tile) vector.elements.push_back(n * k_extent + k);
      vector.score = rms(scores, vector.elements);
      vectors.push_back(vector);
    }
  const std::vector<bool> vector_kept = best(vectors, target, 0);
  mask keep(scores.shape, false);
  for (std::size_t i = 0; i < vectors.size(); ++i)
    if (vector_kept[i])
      for (const std::size_t element : vectors[i].elements) keep.data()[element] = 1;
  return keep;
}

}  // namespace

TEST_CASE("prune_tile_wise: agrees with its definition by sorting") {
  sparq_test::random_source random;
  INFO(random.text());
  for (int round = 0; round < 60; ++round) {
    layer scores = random_layer({1 + random.below(40), 1 + random.below(40)}, random);
    if (round % 3 == 0)
      for (float& score : scores.scores) score = static_cast<float>(1 + random.below(3));  // ties
    const std::size_t tile_channels = 1 + random.below(10);
    const double sparsity = random_sparsity(random);
    CAPTURE(round, scores.shape.n, scores.shape.k, tile_channels, sparsity);
    CHECK(picture_of(prune_one(scores, sparsity, tile_channels).masks[0]) ==
          picture_of(pruned_by_sorting(scores, sparsity, tile_channels)));
  }
}

TEST_CASE("prune_tile_wise: sparsity 0 keeps everything by rank; the artifact loses its lowest vectors") {
  const layer scores = golden();
  CHECK(prune_one(scores, 0, 2).masks[0].kept() == 48);
  CHECK(kept_channels(prune_one(scores, 0, 2, {.norm = tile_norm::repo}).masks[0]) == 7);
}

TEST_CASE("prune_tile_wise: what was pruned before does not return") {
  sparq_test::random_source random;
  INFO(random.text());
  for (const tile_norm norm : {tile_norm::rms_kept, tile_norm::repo})
    for (int round = 0; round < 30; ++round) {
      const std::size_t tile_channels = all_tile_channels[random.below(6)];
      layer scores = random_layer({1 + random.below(100), 1 + random.below(100)}, random);
      const mask before = prune_one(scores, random_sparsity(random), tile_channels, {.norm = norm}).masks[0];
      scores = masked(scores, before);
      const double sparsity = random_sparsity(random);  // lower ones, too
      const mask after = prune_one(scores, sparsity, tile_channels, {.norm = norm}).masks[0];
      CAPTURE(scores.shape.n, scores.shape.k, tile_channels, sparsity, norm == tile_norm::repo);
      for (std::size_t n = 0; n < scores.shape.n; ++n)
        if (sparq::count_kept(sparq::mask_view(before).channel(n)) == 0)
          CHECK(sparq::count_kept(sparq::mask_view(after).channel(n)) == 0);
      // A vector that is kept holds something that was kept before; with one channel in a tile it holds nothing else.
      for (std::size_t k = 0; k < scores.shape.k; ++k) {
        std::size_t kept = 0;
        std::size_t kept_before = 0;
        for (std::size_t n = 0; n < scores.shape.n; ++n) {
          kept += after(n, k);
          kept_before += after(n, k) && before(n, k);
        }
        CHECK((kept == 0 || kept_before != 0));
        if (tile_channels == 1) CHECK(kept == kept_before);
      }
    }
}

TEST_CASE("prune_tile_wise: one sparsity holds for all layers together, and goes where the scores are low") {
  sparq_test::random_source random;
  INFO(random.text());
  layer weak = random_layer({90, 110}, random);
  layer strong = random_layer({130, 70}, random);
  for (float& score : strong.scores) score *= 2;
  const score_matrix layers[] = {weak, strong};
  const auto result = sparq::prune_tile_wise(layers, 0.7, 16);
  REQUIRE(result.masks.size() == 2);
  const double total = 90 * 110 + 130 * 70;
  CHECK(static_cast<double>(result.masks[0].kept() + result.masks[1].kept()) == Approx(0.3 * total).margin(8.5));
  CHECK(result.masks[0].sparsity() > result.masks[1].sparsity());
  CHECK(is_tile_wise(result.masks[0], 16));
  CHECK(is_tile_wise(result.masks[1], 16));
}

TEST_CASE("prune_tile_wise: k_only prunes k's of tiles of neighbouring channels") {
  layer scores{{9, 1, 8, 1,  //
                9, 1, 8, 1,  //
                1, 7, 1, 6,  //
                1, 7, 1, 6},
               {4, 4}};
  const auto result = prune_one(scores, 0.5, 2, {.stages = tile_stages::k_only});
  CHECK(picture_of(result.masks[0]) == std::vector<std::string>{"x.x.", "x.x.", ".x.x", ".x.x"});
  CHECK(result.k_threshold == 6);
}

TEST_CASE("prune_tile_wise: forced elements stay, whatever their score") {
  layer scores = golden();
  const mask keep_one = mask_of({"......", "......", "..x...", "......", "......", "......", "......", "......"});
  scores.scores[2 * 6 + 2] = 0;
  const sparq::mask_view forced[] = {keep_one};
  for (const tile_norm norm : {tile_norm::rms_kept, tile_norm::repo}) {
    const auto result = prune_one(scores, 0.5, 2, {.norm = norm, .force_keep = forced});
    CHECK(result.masks[0](2, 2));
    CHECK(is_tile_wise(result.masks[0], 2));
  }
  const mask keep = prune_one(scores, 0.9, 2, {.force_keep = forced}).masks[0];
  CHECK(keep(2, 2));
  CHECK(keep.kept() <= 6);
}

TEST_CASE("prune_tile_wise: a vector that is forced out goes, whatever its score") {
  const layer scores = golden();
  const mask out = mask_of({"......", "......", "......", "xxxxxx", "......", "......", "......", "......"});
  const sparq::mask_view forced[] = {out};
  for (const tile_norm norm : {tile_norm::rms_kept, tile_norm::repo})
    for (const double sparsity : {0.0, 0.5}) {
      const mask keep = prune_one(scores, sparsity, 2, {.norm = norm, .force_prune = forced}).masks[0];
      CHECK(sparq::count_kept(sparq::mask_view(keep).channel(3)) == 0);
      CHECK(keep.kept() > 15);
    }
}

TEST_CASE("prune_tile_wise: empty layers and no layers are nothing to prune") {
  CHECK(sparq::prune_tile_wise({}, 0.5, 8).masks.empty());
  for (const weight_shape shape : {weight_shape{0, 3}, weight_shape{3, 0}, weight_shape{0, 0}})
    for (const tile_norm norm : {tile_norm::rms_kept, tile_norm::repo})
      CHECK(prune_one({{}, shape}, 0.5, 8, {.norm = norm}).masks[0].shape() == shape);
}

TEST_CASE("prune_tile_wise: layers without elements do not count") {
  const layer scores = golden();
  for (const tile_norm norm : {tile_norm::rms_kept, tile_norm::repo}) {
    const score_matrix layers[] = {{{}, {5, 0}}, scores, {{}, {0, 5}}};
    const mask keep = sparq::prune_tile_wise(layers, 0.5, 2, {.norm = norm, .stages = tile_stages::k_only}).masks[1];
    CHECK(picture_of(keep) ==
          picture_of(prune_one(scores, 0.5, 2, {.norm = norm, .stages = tile_stages::k_only}).masks[0]));
  }
  const score_matrix layers[] = {{{}, {5, 0}}, scores, {{}, {0, 5}}};
  CHECK(picture_of(sparq::prune_tile_wise(layers, 0.5, 2).masks[1]) == picture_of(prune_one(scores, 0.5, 2).masks[0]));
}

TEST_CASE("prune_tile_wise: what cannot be pruned is refused") {
  const layer scores = golden();
  const score_matrix layers[] = {scores};
  const auto says = [&](double sparsity, std::size_t tile_channels, const tile_wise_options& options = {}) {
    return sparq::try_prune_tile_wise(layers, sparsity, tile_channels, options).error().message();
  };
  CHECK(says(1, 2) == "prune: a sparsity of 1 is outside [0, 1)");
  CHECK(says(0.5, 0) == "prune: tiles of 0 channels");

  const mask some = mask_of({"......", "x.....", "......", "......", "......", "......", "......", "......"});
  const mask other({6, 8});
  const sparq::mask_view fits[] = {some};
  const sparq::mask_view does_not_fit[] = {other};
  const sparq::mask_view too_many[] = {some, some};
  CHECK(says(0.5, 2, {.force_keep = too_many}) == "prune: 2 forced masks for 1 layers");
  CHECK(says(0.5, 2, {.force_prune = does_not_fit}) == "prune: layer 0 is 8 x 6, its forced mask is 6 x 8");
  CHECK(says(0.5, 2, {.force_keep = fits, .force_prune = fits}) ==
        "prune: layer 0 forces [n=1][k=0] to be kept and pruned");

  layer broken = golden();
  broken.scores[7] = -std::numeric_limits<float>::infinity();
  const score_matrix two[] = {scores, broken};
  CHECK(sparq::try_prune_tile_wise(two, 0.5, 2).error().message() ==
        "prune: layer 1: the score -inf at [n=1][k=1] is not finite");
}
