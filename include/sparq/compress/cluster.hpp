// SPDX-License-Identifier: MIT
#pragma once
// Weights that share a few values: k-means in one dimension, which needs no distances. Values are sorted once; a
// cluster is a range of them, its bounds lie half way between entries, and only ranges whose bounds moved are added up
// again. The same weights, options and seed give the same tables on every machine that adds doubles as IEEE 754 says.
//
//   sorted values   -5 -4 | 0 1 1 | 8 9 9      entries -4.5  0.67  8.67, and again until no bound moves

#include <sparq/numeric/codebook.hpp>
#include <sparq/numeric/weight_quantization.hpp>
#include <sparq/tensor/encode_codebook.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace sparq {

/// Where the entries of a table start from.
enum class cluster_start {
  linear,   ///< evenly from the least to the largest value
  density,  ///< at evenly spaced quantiles
  spread,   ///< k-means++: at random, far ones more likely; the seed decides
};

/// How tables are found: k-means for each, from a start that depends on nothing but these.
struct cluster_options {
  cluster_start start = cluster_start::density;
  std::uint64_t seed = 0;  // of `spread`
  int iterations = 100;    // at most
  /// One entry of each table is exactly 0, does not move, and stands for pruned weights. The others are divided between
  /// negative and positive weights by their numbers, as TensorFlow's preserve_sparsity does.
  bool preserve_zero = true;
};

/// What try_cluster found; goes on to try_encode_codes.
template <has_tables N, quantization_granularity G = default_granularity<N>>
struct clusters {
  std::vector<typename N::entry::code> tables;  // table_entries<N>(n, k), ascending in each table
  std::vector<float> scales;                    // G::scale_count(n, k)
  std::vector<std::uint8_t> codes;              // n x k; of pruned weights that of 0, or 0 if no entry is
};

namespace detail {

/// splitmix64: the same numbers everywhere, unlike the distributions of <random>.
struct cluster_random {
  std::uint64_t state;
  /// In [0, 1).
  double next() {
    std::uint64_t z = (state += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
  }
};

/// `i` of `steps` steps from first to last. Both products are exact, so fusing one with the sum changes nothing.
/// @pre steps < 2^29
inline double between(float first, float last, std::size_t i, std::size_t steps) {
  return (static_cast<double>(first) * static_cast<double>(steps - i) +
          static_cast<double>(last) * static_cast<double>(i)) /
         static_cast<double>(steps);
}

/// `count` entries to start from. @pre values is sorted and not empty
inline void start_entries(std::span<const float> values, std::size_t count, const cluster_options& options,
                          cluster_random& random, std::vector<double>& entries) {
  const auto last = static_cast<double>(values.size() - 1);
  if (options.start == cluster_start::spread) {
    std::vector<double> distance(values.size(), 1.0);
    for (std::size_t i = 0; i < count; ++i) {
      double total = 0;
      for (const double d : distance) total += d;
      double at = random.next() * total;
      std::size_t chosen = 0;
      while (chosen + 1 < values.size() && at >= distance[chosen]) at -= distance[chosen++];
      const double entry = values[chosen];
      entries.push_back(entry);
      for (std::size_t v = 0; v < values.size(); ++v) {
        const double square = (values[v] - entry) * (values[v] - entry);
        distance[v] = i == 0 ? square : (std::min)(distance[v], square);
      }
    }
    return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (options.start == cluster_start::linear)
      entries.push_back(count == 1 ? (static_cast<double>(values.front()) + values.back()) / 2
                                   : between(values.front(), values.back(), i, count - 1));
    else
      entries.push_back(
          values[static_cast<std::size_t>((static_cast<double>(i) + 0.5) / static_cast<double>(count) * (last + 1))]);
  }
}

/// `count` entries, ascending, for these values. An entry that no value is nearest to stays where it is.
inline std::vector<double> cluster_values(std::vector<float> values, std::size_t count, const cluster_options& options,
                                          cluster_random& random) {
  std::sort(values.begin(), values.end());
  std::vector<double> entries;
  const auto zero_first = std::lower_bound(values.begin(), values.end(), 0.0F);
  const auto zero_last = std::upper_bound(values.begin(), values.end(), 0.0F);
  if (options.preserve_zero) {
    const std::span negative(values.begin(), zero_first), positive(zero_last, values.end());
    const std::size_t movable = count - 1, both = negative.size() + positive.size();
    std::size_t below = both == 0 ? 0 : (movable * negative.size() + both / 2) / both;
    if (movable >= 2 && !negative.empty() && !positive.empty())  // each sign that there is gets one
      below = (std::min)((std::max)(below, std::size_t{1}), movable - 1);
    if (!negative.empty()) start_entries(negative, below, options, random, entries);
    if (!positive.empty()) start_entries(positive, movable - below, options, random, entries);
    entries.resize(count, 0.0);
  } else if (values.empty()) {
    entries.resize(count, 0.0);
  } else {
    start_entries(values, count, options, random, entries);
  }
  std::sort(entries.begin(), entries.end());

  std::vector<std::size_t> bounds(count + 1), before(count + 1, values.size() + 1);
  for (int iteration = 0; iteration < options.iterations; ++iteration) {
    bounds.front() = 0;
    bounds.back() = values.size();
    for (std::size_t i = 1; i < count; ++i) {
      const double half_way = (entries[i - 1] + entries[i]) / 2;
      bounds[i] = static_cast<std::size_t>(
          std::partition_point(values.begin(), values.end(), [&](float v) { return v <= half_way; }) - values.begin());
    }
    if (bounds == before) break;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t first = bounds[i], last = bounds[i + 1];
      if (first == last || (options.preserve_zero && entries[i] == 0) || (first == before[i] && last == before[i + 1]))
        continue;
      double sum = 0;  // of this range alone: a difference of running sums would lose it beside much larger values
      for (std::size_t v = first; v < last; ++v) sum += values[v];
      entries[i] = sum / static_cast<double>(last - first);
    }
    before = bounds;
  }
  return entries;
}

}  // namespace detail

/// Tables and codes for the weights that `keep` keeps: k-means for each table by itself.
/// - `weights`: shape.n x shape.k, row-major, finite
/// - `G`: for entries s8, the scales: max |w| / 127 as in encode; w / scale is clustered, entries are rounded
/// Errors: sizes, a NaN or infinite weight. Complexity O(n k (log(n k) + 2^bits + iterations)); `spread`:
/// O(n k 2^bits).
template <has_tables N, quantization_granularity G = default_granularity<N>>
expected<clusters<N, G>> try_cluster(std::span<const float> weights, weight_shape shape, mask_view keep,
                                     const cluster_options& options = {}) {
  static_assert(
      N::is_integer != std::is_same_v<G, unquantized>,
      "sparq: entries s8 have scales, entries f32 are the weights themselves; use per_channel or unquantized");
  if (status s = detail::check_extent(weights.size(), shape); !s.ok()) return s;
  if (!(keep.shape == shape))
    return status::failure("cluster: the mask is " + to_string(keep.shape) + ", the weights are " + to_string(shape));
  clusters<N, G> found;
  found.scales.resize(G::scale_count(shape.n, shape.k));
  if constexpr (N::is_integer) {
    if (status s = choose_scales<typename N::entry, G>(weights, shape.n, shape.k, found.scales); !s.ok()) return s;
  } else {
    if (status s = detail::check_finite<f32>(weights, shape); !s.ok()) return s;
  }

  std::vector<float> values(weights.begin(), weights.end());
  if constexpr (N::is_integer)
    for (std::size_t n = 0, at = 0; n < shape.n; ++n)
      for (std::size_t k = 0; k < shape.k; ++k, ++at) values[at] /= found.scales[G::scale_index(n, k, shape.k)];
  std::vector<std::vector<float>> members(N::table::scale_count(shape.n, shape.k));
  for (std::size_t n = 0, at = 0; n < shape.n; ++n)
    for (std::size_t k = 0; k < shape.k; ++k, ++at)
      if (keep.keep[at] != 0) members[N::table::scale_index(n, k, shape.k)].push_back(values[at]);

  detail::cluster_random random{options.seed};
  for (std::vector<float>& member : members)
    for (const double entry : detail::cluster_values(std::move(member), N::entries, options, random)) {
      if constexpr (N::is_integer)
        found.tables.push_back(static_cast<std::int8_t>(round_half_even(static_cast<float>(entry))));
      else
        found.tables.push_back(static_cast<float>(entry));
    }
  found.codes.resize(shape.size());
  for (std::size_t n = 0, at = 0; n < shape.n; ++n)
    for (std::size_t k = 0; k < shape.k; ++k, ++at) {
      const std::span table = std::span(found.tables).subspan(table_start<N>(n, k, shape.k), N::entries);
      if (keep.keep[at] != 0)
        found.codes[at] = nearest_code<N>(table, values[at]);
      else if (const std::size_t zero = zero_code<N>(table.data()); zero < N::entries)
        found.codes[at] = static_cast<std::uint8_t>(zero);
    }
  return found;
}

/// Throwing twin.
template <has_tables N, quantization_granularity G = default_granularity<N>>
clusters<N, G> cluster(std::span<const float> weights, weight_shape shape, mask_view keep,
                       const cluster_options& options = {}) {
  return try_cluster<N, G>(weights, shape, keep, options).value();
}

}  // namespace sparq
