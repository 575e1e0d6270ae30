// SPDX-License-Identifier: MIT
#pragma once
// Granularities: which weights share a scale. A type says how many scales W[n][k] has, and which one a weight uses.

#include <sparq/base/joined_name.hpp>
#include <sparq/base/math.hpp>

#include <concepts>
#include <cstddef>
#include <string_view>

namespace sparq {

/// Codes are the real numbers; there are no scales.
struct unquantized {
  static constexpr std::string_view name = "unquantized";
  static constexpr std::size_t scale_count(std::size_t, std::size_t) { return 0; }
  /// Never used to read a scale: scale_count is 0.
  static constexpr std::size_t scale_index(std::size_t, std::size_t, std::size_t) { return 0; }
  static constexpr std::size_t scale_run(std::size_t k) { return k; }
};

/// One scale for all weights.
struct per_tensor {
  static constexpr std::string_view name = "per_tensor";
  static constexpr std::size_t scale_count(std::size_t, std::size_t) { return 1; }
  static constexpr std::size_t scale_index(std::size_t, std::size_t, std::size_t) { return 0; }
  static constexpr std::size_t scale_run(std::size_t k) { return k; }
};

/// One scale for each output channel.
struct per_channel {
  static constexpr std::string_view name = "per_channel";
  static constexpr std::size_t scale_count(std::size_t n, std::size_t) { return n; }
  static constexpr std::size_t scale_index(std::size_t channel, std::size_t, std::size_t) { return channel; }
  static constexpr std::size_t scale_run(std::size_t k) { return k; }
};

/// One scale for every G consecutive k of a channel; the last group of a channel may be short.
/// Scales are laid out [n][ceil(k / G)].
template <std::size_t G>
struct per_group {
  static_assert(G > 0, "sparq: a group holds at least one k; use per_group<1> or more");
  static constexpr std::size_t group = G;
  static constexpr std::string_view name = detail::joined_name<"per_group<", G, ">">;
  static constexpr std::size_t scale_count(std::size_t n, std::size_t k) { return n * ceil_div(k, G); }
  static constexpr std::size_t scale_index(std::size_t channel, std::size_t k_index, std::size_t k_extent) {
    return channel * ceil_div(k_extent, G) + k_index / G;
  }
  static constexpr std::size_t scale_run(std::size_t) { return G; }
};

/// One scale for every R channels x G consecutive k's; the last block in each direction may be short. Blocks over the
/// whole of k are per_channel and per_tensor.
/// Scales are laid out [ceil(n / R)][ceil(k / G)].
template <std::size_t R, std::size_t G>
struct per_block {
  static_assert(R > 0 && G > 0, "sparq: a block holds at least one channel and one k; use per_block<1, 32> or more");
  static constexpr std::size_t group = G;
  static constexpr std::string_view name = detail::joined_name<"per_block<", R, ",", G, ">">;
  static constexpr std::size_t scale_count(std::size_t n, std::size_t k) { return ceil_div(n, R) * ceil_div(k, G); }
  static constexpr std::size_t scale_index(std::size_t channel, std::size_t k_index, std::size_t k_extent) {
    return channel / R * ceil_div(k_extent, G) + k_index / G;
  }
  static constexpr std::size_t scale_run(std::size_t) { return G; }
};

/// Says how many scales W[n][k] has and which one a weight uses.
template <class T>
concept quantization_granularity = requires(std::size_t i) {
  { T::name } -> std::convertible_to<std::string_view>;
  { T::scale_count(i, i) } -> std::same_as<std::size_t>;
  { T::scale_index(i, i, i) } -> std::same_as<std::size_t>;
  { T::scale_run(i) } -> std::same_as<std::size_t>;  // consecutive k's that share a scale, of all k's
};

/// Scales change along k, every `group` k's: sums must be scaled group by group, inside the kernel.
template <quantization_granularity Granularity>
inline constexpr bool scales_along_k_v = requires { Granularity::group; };

}  // namespace sparq
