// SPDX-License-Identifier: MIT
#pragma once
// Tile-wise pruning (arXiv 2008.13006): first whole channels, ranked over all layers; then the kept channels are taken
// `tile_channels` at a time, and in every tile the k's that its channels share are ranked over all tiles of all layers.
//
//   s = 1 - sqrt(1 - S)      each stage removes the fraction s, because (1 - s)^2 = 1 - S
//   1. c[n]    = norm of W[n][..]                           prune channels
//   2. tiles   : close one after each G-th kept channel     (trailing pruned channels belong to the last tile)
//   3. r[t][k] = norm of W[kept channels of t][k]           prune k's of tiles
//
// The paper's matrix is K x N: its columns are the channels n here, its rows the k's.

#include <sparq/compress/rank.hpp>
#include <sparq/compress/scores.hpp>
#include <sparq/format/mask.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace sparq {

/// How the scores of a vector become one number, and how the numbers become a choice.
enum class tile_norm {
  /// Root of the mean square over the kept channels. Rank selection weighted by the number of elements: a short tile
  /// counts for what it holds, and the sparsity is met.
  rms_kept,
  /// As in the artifact of the paper: L2 norm divided by K, then by the channels that the tile covers, pruned ones
  /// included; kept is what lies above a percentile (numpy's, linear) of all vectors. Always prunes the lowest vector,
  /// and drifts from the sparsity asked for when tiles cover different spans.
  repo
};

/// What is pruned. `k_only`: no channel; tiles are of neighbouring channels, and their k's carry all of the sparsity.
enum class tile_stages { channels_then_k, k_only };

/// How tile-wise pruning ranks, and what it has to leave alone.
struct tile_wise_options {
  tile_norm norm = tile_norm::rms_kept;
  tile_stages stages = tile_stages::channels_then_k;
  /// For each layer the elements that must be kept; their channels and their tiles' k's rank before all others and
  /// count towards what is kept. Empty: none in any layer.
  std::span<const mask_view> force_keep = {};
  /// For each layer the elements that count as 0 when vectors are ranked: a vector that has no others is pruned. Empty:
  /// none in any layer.
  std::span<const mask_view> force_prune = {};
};

/// The masks of all layers, and the scores between kept and pruned vectors.
struct tile_wise_pruning {
  std::vector<mask> masks;
  double channel_threshold = 0;
  double k_threshold = 0;
};

namespace detail {

class tile_wise_pruner {
 public:
  tile_wise_pruner(std::span<const score_matrix> layers, double sparsity, std::size_t tile_channels,
                   const tile_wise_options& options)
      : layers_(layers), tile_channels_(tile_channels), options_(options) {
    std::size_t total = 0;
    for (const score_matrix& layer : layers) total += layer.shape.size();
    target_ = kept_count(total, sparsity);
    if (options.stages == tile_stages::channels_then_k) {
      stage_sparsity_ = 1 - std::sqrt(1 - sparsity);
      channel_target_ = kept_count(total, stage_sparsity_);
    } else {
      stage_sparsity_ = sparsity;
    }
  }

  tile_wise_pruning run() {
    choose_channels();
    form_tiles();
    choose_k();
    for (const score_matrix& layer : layers_) result_.masks.emplace_back(layer.shape, false);
    const std::uint8_t* k_kept = k_kept_.data();
    for (const tile& t : tiles_) {
      const std::size_t k = layers_[t.layer].shape.k;
      for (const index_t n : t.channels) std::copy_n(k_kept, k, result_.masks[t.layer].data() + n * k);
      k_kept += k;
    }
    return std::move(result_);
  }

 private:
  struct tile {
    std::size_t layer;
    std::vector<index_t> channels;  // kept
    std::size_t span;               // channels covered, pruned ones included
  };
  static constexpr float forced = std::numeric_limits<float>::infinity();

  /// Calls visit(k, score) for one channel; elements that are forced out score 0.
  template <class Visit>
  void each_score(std::size_t layer, std::size_t n, Visit&& visit) const {
    const std::size_t k_extent = layers_[layer].shape.k;
    const float* scores = layers_[layer].values.data() + n * k_extent;
    if (options_.force_prune.empty()) {
      for (std::size_t k = 0; k < k_extent; ++k) visit(k, scores[k]);
    } else {
      const std::span<const std::uint8_t> out = options_.force_prune[layer].channel(n);
      for (std::size_t k = 0; k < k_extent; ++k) visit(k, out[k] != 0 ? 0.0F : scores[k]);
    }
  }
  std::span<const std::uint8_t> forced_of(std::size_t layer, std::size_t n) const {
    return options_.force_keep.empty() ? std::span<const std::uint8_t>{} : options_.force_keep[layer].channel(n);
  }

  void choose_channels() {
    if (options_.stages == tile_stages::k_only) {
      for (const score_matrix& layer : layers_) channel_kept_.insert(channel_kept_.end(), layer.shape.n, 1);
      return;
    }
    std::vector<float> scores;
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      const auto k = static_cast<double>((std::max)(std::size_t{1}, layers_[l].shape.k));
      for (std::size_t n = 0; n < layers_[l].shape.n; ++n) {
        double squares = 0;
        each_score(l, n, [&](std::size_t, float score) { squares += static_cast<double>(score) * score; });
        const double norm = std::sqrt(squares) / (options_.norm == tile_norm::repo ? k : std::sqrt(k));
        scores.push_back(count_kept(forced_of(l, n)) != 0 ? forced : static_cast<float>(norm));
      }
    }
    const auto each = [&](auto&& visit) {
      std::size_t i = 0;
      for (const score_matrix& layer : layers_)
        for (std::size_t n = 0; n < layer.shape.n; ++n) visit(scores[i++], layer.shape.k);
    };
    channel_kept_.reserve(scores.size());
    // Rounding must not take more channels than the second stage can make up for.
    result_.channel_threshold = choose(scores, each, channel_target_, target_, channel_kept_);
  }

  void form_tiles() {
    const std::uint8_t* kept = channel_kept_.data();
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      std::size_t begin = 0;  // of the open tile
      std::vector<index_t> channels;
      const auto close = [&](std::size_t end) {
        if (!channels.empty()) tiles_.push_back({l, std::move(channels), end - begin});
        channels = {};
        begin = end;
      };
      for (std::size_t n = 0; n < layers_[l].shape.n; ++n) {
        if (*kept++ == 0) continue;
        if (channels.size() == tile_channels_) close(std::size_t{channels.back()} + 1);
        channels.push_back(static_cast<index_t>(n));
      }
      close(layers_[l].shape.n);
    }
  }

  void choose_k() {
    std::vector<float> scores;
    std::vector<double> squares;
    std::size_t vectors = 0;
    for (const tile& t : tiles_) vectors += layers_[t.layer].shape.k;
    scores.reserve(vectors);
    for (const tile& t : tiles_) {
      const std::size_t k_extent = layers_[t.layer].shape.k;
      squares.assign(k_extent, 0.0);
      for (const index_t n : t.channels)
        each_score(t.layer, n, [&](std::size_t k, float score) { squares[k] += static_cast<double>(score) * score; });
      const std::size_t first = scores.size();
      const double divisor = options_.norm == tile_norm::repo ? static_cast<double>(t.span)
                                                              : std::sqrt(static_cast<double>(t.channels.size()));
      for (const double sum : squares) scores.push_back(static_cast<float>(std::sqrt(sum) / divisor));
      for (const index_t n : t.channels) {
        const std::span<const std::uint8_t> keep = forced_of(t.layer, n);
        for (std::size_t k = 0; k < keep.size(); ++k)
          if (keep[k] != 0) scores[first + k] = forced;
      }
    }
    const auto each = [&](auto&& visit) {
      const float* score = scores.data();
      for (const tile& t : tiles_)
        for (std::size_t k = 0; k < layers_[t.layer].shape.k; ++k) visit(*score++, t.channels.size());
    };
    k_kept_.reserve(scores.size());
    result_.k_threshold = choose(scores, each, target_, 0, k_kept_);
  }

  /// Appends one byte for every vector to `kept` and returns the threshold. A vector of zeros is never kept.
  template <class Each>
  double choose(const std::vector<float>& scores, const Each& each, std::size_t target, std::size_t at_least,
                std::vector<std::uint8_t>& kept) const {
    if (options_.norm == tile_norm::repo) {
      const double threshold = percentile(scores, stage_sparsity_);
      for (const float score : scores) kept.push_back(score > threshold);
      return threshold;
    }
    rank_selection selection(each, target, at_least);
    each([&](float score, std::size_t weight) {
      const bool keeps = selection.keeps(score, weight);
      kept.push_back(score == forced || (keeps && score != 0));
    });
    return selection.threshold();
  }

  /// numpy.percentile(scores, 100 fraction) with linear interpolation, of those that are not forced; 0 if there are
  /// none.
  static double percentile(std::vector<float> scores, double fraction) {
    std::erase(scores, forced);
    if (scores.empty()) return 0;
    const double place = fraction * static_cast<double>(scores.size() - 1);
    const auto at = scores.begin() + static_cast<std::ptrdiff_t>(place);
    std::nth_element(scores.begin(), at, scores.end());
    const double low = *at;
    const double high = at + 1 == scores.end() ? low : *std::min_element(at + 1, scores.end());
    return low + (place - std::floor(place)) * (high - low);
  }

  std::span<const score_matrix> layers_;
  std::size_t tile_channels_;
  tile_wise_options options_;
  double stage_sparsity_ = 0;
  std::size_t target_ = 0;          // elements kept in the end
  std::size_t channel_target_ = 0;  // elements of the channels kept by the first stage
  std::vector<std::uint8_t> channel_kept_;
  std::vector<tile> tiles_;
  std::vector<std::uint8_t> k_kept_;  // K for each tile
  tile_wise_pruning result_;
};

inline status check_forced(std::span<const score_matrix> layers, const tile_wise_options& options) {
  for (const std::span<const mask_view> masks : {options.force_keep, options.force_prune}) {
    if (!masks.empty() && masks.size() != layers.size())
      return status::failure("prune: " + std::to_string(masks.size()) + " forced masks for " +
                             std::to_string(layers.size()) + " layers");
    for (std::size_t l = 0; l < masks.size(); ++l)
      if (!(masks[l].shape == layers[l].shape))
        return status::failure("prune: layer " + std::to_string(l) + " is " + to_string(layers[l].shape) +
                               ", its forced mask is " + to_string(masks[l].shape));
  }
  if (options.force_keep.empty() || options.force_prune.empty()) return {};
  for (std::size_t l = 0; l < layers.size(); ++l)
    for (std::size_t i = 0; i < layers[l].shape.size(); ++i)
      if (options.force_keep[l].keep[i] != 0 && options.force_prune[l].keep[i] != 0)
        return status::failure("prune: layer " + std::to_string(l) + " forces " +
                               position_text(i / layers[l].shape.k, i % layers[l].shape.k) + " to be kept and pruned");
  return {};
}

}  // namespace detail

/// Tile-wise masks of several layers that share one sparsity. Every mask is the product of its kept channels and its
/// tiles' kept k's, so tile_wise<tile_channels> stores it without padding.
/// Prune in steps by passing the pruned weights again: a vector of zeros is never kept, whatever the sparsity. Single
/// zeros in a vector that stays, or that a shifted tile forms anew, are covered by the mask and keep their value 0.
/// - `sparsity`: of all layers together, in [0, 1). With rms_kept the number of kept elements is off by half a vector
///   at most, unless zero vectors or force_keep stand against it.
/// Errors: a sparsity outside [0, 1), tiles of no channels, a score that is not finite, forced masks that do not fit
/// or contradict each other. Complexity O(elements).
inline expected<tile_wise_pruning> try_prune_tile_wise(std::span<const score_matrix> layers, double sparsity,
                                                       std::size_t tile_channels,
                                                       const tile_wise_options& options = {}) {
  if (status s = check_sparsity(sparsity); !s.ok()) return status::failure("prune: " + s.message());
  if (tile_channels == 0) return status::failure("prune: tiles of 0 channels");
  for (std::size_t l = 0; l < layers.size(); ++l)
    if (status s = validate(layers[l]); !s.ok())
      return status::failure("prune: layer " + std::to_string(l) + ": " + s.message());
  if (status s = detail::check_forced(layers, options); !s.ok()) return s;
  return detail::tile_wise_pruner(layers, sparsity, tile_channels, options).run();
}

/// Throwing twin.
inline tile_wise_pruning prune_tile_wise(std::span<const score_matrix> layers, double sparsity,
                                         std::size_t tile_channels, const tile_wise_options& options = {}) {
  return try_prune_tile_wise(layers, sparsity, tile_channels, options).value();
}

}  // namespace sparq
