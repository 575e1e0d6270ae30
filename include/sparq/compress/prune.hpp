// SPDX-License-Identifier: MIT
#pragma once
// Magnitude pruning to the pattern of a format: the mask that keeps the highest scores which the format can hold.
// Ranks, never thresholds: what is kept is exact and of equal scores the first ones stay. A format of your own joins by
// a specialization of pruner<F>.

#include <sparq/compress/prune_tile_wise.hpp>
#include <sparq/compress/rank.hpp>
#include <sparq/compress/scores.hpp>
#include <sparq/format/bitmask.hpp>
#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/format.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_n_m.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/format/tile_wise_n_m.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace sparq {

/// How to prune to format F.
/// - `keep(scores, sparsity)`: a mask that F holds; scores and sparsity are checked already
/// - `minimum_sparsity`, if what the format can hold is bounded from below
/// - or, where the pattern implies the sparsity, `implied_sparsity` and `keep(scores)`
template <format F>
struct pruner;

namespace detail {

template <class F>
concept prunes_to_any_sparsity = requires(score_matrix scores, double sparsity) {
  { pruner<F>::keep(scores, sparsity) } -> std::same_as<mask>;
};
template <class F>
concept prunes_to_one_sparsity = requires(score_matrix scores) {
  { pruner<F>::implied_sparsity } -> std::convertible_to<double>;
  { pruner<F>::keep(scores) } -> std::same_as<mask>;
};

}  // namespace detail

/// The mask of format F that keeps the highest |scores| at this sparsity.
/// - `scores`: shape.n x shape.k, row-major, finite: the weights, or what scores.hpp says
/// - `sparsity`: in [0, 1); an N:M pattern takes none but its own
/// Errors: sizes that do not match, a score that is not finite, a sparsity that cannot be had. Complexity O(n k).
template <format F>
expected<mask> try_prune(std::span<const float> scores, weight_shape shape, double sparsity) {
  static_assert(detail::prunes_to_any_sparsity<F> || detail::prunes_to_one_sparsity<F>,
                "sparq: no way to prune to this format; specialize sparq::pruner for it");
  const score_matrix matrix{scores, shape};
  if (status s = check_sparsity(sparsity); !s.ok()) return status::failure("prune: " + s.message());
  if (status s = validate(matrix); !s.ok()) return status::failure("prune: " + s.message());
  constexpr double tolerance = 1e-6;  // of what a pattern implies: 2.0 / 3 is less than 1 - 1.0 / 3
  if constexpr (detail::prunes_to_any_sparsity<F>) {
    if constexpr (requires { pruner<F>::minimum_sparsity; })
      if (sparsity < pruner<F>::minimum_sparsity - tolerance)
        return status::failure("prune: " + F::name() + " has a sparsity of at least " +
                               number_text(pruner<F>::minimum_sparsity) + ", not " + number_text(sparsity));
    return pruner<F>::keep(matrix, sparsity);
  } else if constexpr (detail::prunes_to_one_sparsity<F>) {
    constexpr double implied = pruner<F>::implied_sparsity;
    if (sparsity > implied + tolerance || sparsity < implied - tolerance)
      return status::failure("prune: " + F::name() + " has a sparsity of " + number_text(implied) + ", not " +
                             number_text(sparsity));
    return pruner<F>::keep(matrix);
  } else {
    return mask(shape, true);
  }
}

/// As above, for formats that imply their sparsity.
template <format F>
requires detail::prunes_to_one_sparsity<F> expected<mask> try_prune(std::span<const float> scores, weight_shape shape) {
  return try_prune<F>(scores, shape, pruner<F>::implied_sparsity);
}

/// Throwing twins.
template <format F>
mask prune(std::span<const float> scores, weight_shape shape, double sparsity) {
  return try_prune<F>(scores, shape, sparsity).value();
}
template <format F>
requires detail::prunes_to_one_sparsity<F> mask prune(std::span<const float> scores, weight_shape shape) {
  return try_prune<F>(scores, shape).value();
}

/// Zeros anywhere: exactly round(n k (1 - sparsity)) elements are kept.
template <>
struct pruner<csr> {
  static mask keep(const score_matrix& scores, double sparsity) {
    const auto each = [&](auto&& visit) {
      for (const float score : scores.values) visit(score, std::uint64_t{1});
    };
    rank_selection selection(each, kept_count(scores.values.size(), sparsity));
    mask result(scores.shape, false);
    std::uint8_t* to = result.data();
    each([&](float score, std::uint64_t weight) { *to++ = selection.keeps(score, weight); });
    return result;
  }
};

template <>
struct pruner<bitmask> : pruner<csr> {};

/// Zeros anywhere, stored as zeros.
template <>
struct pruner<dense> : pruner<csr> {};

/// Exactly round(blocks (1 - sparsity)) blocks are kept, ranked by L2 norm; a block that the edge of the matrix cuts
/// counts as one block, because it takes as much room.
template <std::size_t R, std::size_t C>
struct pruner<block<R, C>> {
  static mask keep(const score_matrix& scores, double sparsity) {
    const auto [n_extent, k_extent] = scores.shape;
    const std::size_t blocks_per_panel = ceil_div(k_extent, C);
    std::vector<float> norms;
    norms.reserve(ceil_div(n_extent, R) * blocks_per_panel);
    std::vector<double> squares(blocks_per_panel);
    for (std::size_t first = 0; first < n_extent; first += R) {
      std::fill(squares.begin(), squares.end(), 0.0);
      for (std::size_t n = first; n < (std::min)(first + R, n_extent); ++n) {
        const float* row = scores.values.data() + n * k_extent;
        for (std::size_t b = 0, k = 0; b < blocks_per_panel; ++b)
          for (const std::size_t end = (std::min)(k + C, k_extent); k < end; ++k)
            squares[b] += static_cast<double>(row[k]) * row[k];
      }
      for (const double sum : squares) norms.push_back(static_cast<float>(std::sqrt(sum)));
    }

    const auto each = [&](auto&& visit) {
      for (const float norm : norms) visit(norm, std::uint64_t{1});
    };
    rank_selection selection(each, kept_count(norms.size(), sparsity));
    std::vector<std::uint8_t> kept;
    kept.reserve(norms.size());
    each([&](float norm, std::uint64_t weight) { kept.push_back(selection.keeps(norm, weight)); });

    mask result(scores.shape, false);
    for (std::size_t n = 0; n < n_extent; ++n) {
      const std::uint8_t* of_panel = kept.data() + n / R * blocks_per_panel;
      std::uint8_t* row = result.data() + n * k_extent;
      for (std::size_t b = 0, k = 0; b < blocks_per_panel; ++b)
        for (const std::size_t end = (std::min)(k + C, k_extent); k < end; ++k) row[k] = of_panel[b];
    }
    return result;
  }
};

namespace detail {

/// Keeps the N highest of `length` <= M scores, or all if there are fewer.
template <std::size_t N, std::size_t M>
void keep_highest(const float* scores, std::size_t length, std::uint8_t* keep) {
  constexpr std::size_t lanes = round_up(M, 4);  // whole registers, so that compilers vectorize the double loop
  std::array<std::int32_t, lanes> keys;
  keys.fill(-1);
  for (std::size_t j = 0; j < length; ++j) keys[j] = static_cast<std::int32_t>(rank_key(scores[j]));
  std::array<std::int32_t, lanes> higher{};  // number of scores above this one
  for (std::size_t i = 0; i < M; ++i)
    for (std::size_t j = 0; j < lanes; ++j) higher[j] += keys[i] > keys[j] ? 1 : 0;
  std::size_t kept = 0;
  for (std::size_t j = 0; j < length; ++j) kept += keep[j] = higher[j] < static_cast<std::int32_t>(N);
  if (kept <= N) return;
  std::int32_t lowest = 0;  // of several equal scores at the end of the ranking the last ones go
  for (std::size_t j = 0; j < length; ++j)
    if (keep[j] != 0) lowest = (std::max)(lowest, higher[j]);
  for (std::size_t j = length; kept > N; --j)
    if (keep[j - 1] != 0 && higher[j - 1] == lowest) {
      keep[j - 1] = 0;
      --kept;
    }
}

template <std::size_t N, std::size_t M>
void keep_highest_of_groups(std::span<const float> scores, std::uint8_t* keep) {
  const std::size_t whole = scores.size() / M * M;
  for (std::size_t k = 0; k < whole; k += M) keep_highest<N, M>(scores.data() + k, M, keep + k);
  keep_highest<N, M>(scores.data() + whole, scores.size() - whole, keep + whole);
}

}  // namespace detail

/// The N highest of every group of M k's. A short last group keeps N too, if it has as many.
template <std::size_t N, std::size_t M>
struct pruner<n_m<N, M>> {
  static constexpr double implied_sparsity = 1 - static_cast<double>(N) / static_cast<double>(M);

  static mask keep(const score_matrix& scores) {
    const auto [n_extent, k_extent] = scores.shape;
    mask result(scores.shape, false);
    for (std::size_t n = 0; n < n_extent; ++n)
      detail::keep_highest_of_groups<N, M>(scores.values.subspan(n * k_extent, k_extent), result.data() + n * k_extent);
    return result;
  }
};

/// The N highest of every group of M k's by the L2 norm over the V channels of the panel.
template <std::size_t V, std::size_t N, std::size_t M>
struct pruner<tile_n_m<V, N, M>> {
  static constexpr double implied_sparsity = pruner<n_m<N, M>>::implied_sparsity;

  static mask keep(const score_matrix& scores) {
    const auto [n_extent, k_extent] = scores.shape;
    mask result(scores.shape, false);
    std::vector<double> squares(k_extent);
    std::vector<float> norms(k_extent);
    for (std::size_t first = 0; first < n_extent; first += V) {
      const std::size_t end = (std::min)(first + V, n_extent);
      std::fill(squares.begin(), squares.end(), 0.0);
      for (std::size_t n = first; n < end; ++n) {
        const float* row = scores.values.data() + n * k_extent;
        for (std::size_t k = 0; k < k_extent; ++k) squares[k] += static_cast<double>(row[k]) * row[k];
      }
      for (std::size_t k = 0; k < k_extent; ++k) norms[k] = static_cast<float>(std::sqrt(squares[k]));
      std::uint8_t* kept = result.data() + first * k_extent;
      detail::keep_highest_of_groups<N, M>(norms, kept);
      for (std::size_t n = first + 1; n < end; ++n) std::copy_n(kept, k_extent, result.data() + n * k_extent);
    }
    return result;
  }
};

/// Channels first, then the k's of every tile (prune_tile_wise.hpp).
template <std::size_t G>
struct pruner<tile_wise<G>> {
  static mask keep(const score_matrix& scores, double sparsity) {
    return std::move(detail::tile_wise_pruner({&scores, 1}, sparsity, G, {}).run().masks.front());
  }
};

/// Tile-wise first, to the sparsity that N:M inside the tiles leaves over; then the N highest of every M entries of a
/// tile's list, for each channel.
template <std::size_t G, std::size_t N, std::size_t M>
struct pruner<tile_wise<G, n_m<N, M>>> {
  static constexpr double minimum_sparsity = pruner<n_m<N, M>>::implied_sparsity;

  /// What tile-wise pruning has to reach: 1 - (1 - sparsity) M / N.
  static constexpr double outer_sparsity(double sparsity) {
    return (std::max)(0.0, 1 - (1 - sparsity) * static_cast<double>(M) / static_cast<double>(N));
  }

  static mask keep(const score_matrix& scores, double sparsity) {
    return keep_inside(scores, pruner<tile_wise<G>>::keep(scores, outer_sparsity(sparsity)));
  }

  /// Thins the tiles of a tile-wise mask.
  static mask keep_inside(const score_matrix& scores, const mask& tiles) {
    const auto index = tile_wise<G>::from_mask(tiles).value();
    mask result(scores.shape, false);
    std::vector<float> listed;
    std::vector<std::uint8_t> kept;
    for (std::size_t p = 0; p < index.panels(); ++p) {
      const std::span<const index_t> k_of = index.k_of(p);
      listed.resize(k_of.size());
      kept.resize(k_of.size());
      for (const std::size_t n : index.kept_of(p)) {
        for (std::size_t i = 0; i < k_of.size(); ++i) listed[i] = scores(n, k_of[i]);
        detail::keep_highest_of_groups<N, M>(listed, kept.data());
        for (std::size_t i = 0; i < k_of.size(); ++i) result.set(n, k_of[i], kept[i] != 0);
      }
    }
    return result;
  }
};

}  // namespace sparq
