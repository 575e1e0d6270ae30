// SPDX-License-Identifier: MIT
#pragma once
// The extents of a weight matrix W[n][k] and positions in it. Indices are stored in 32 bits.

#include <sparq/base/error.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

namespace sparq {

/// What a stored index is: enough for 4 G channels or reduction steps.
using index_t = std::uint32_t;

/// Extents of W: n output channels, k reduction steps.
struct weight_shape {
  std::size_t n = 0;
  std::size_t k = 0;

  constexpr std::size_t size() const { return n * k; }
  friend constexpr bool operator==(weight_shape, weight_shape) = default;
};

/// "n x k" for messages.
inline std::string to_string(weight_shape shape) { return std::to_string(shape.n) + " x " + std::to_string(shape.k); }

/// Extents that index_t holds, and a number of elements that can be counted in bytes.
inline status validate(weight_shape shape) {
  constexpr std::size_t most = std::numeric_limits<index_t>::max();
  if (shape.n > most || shape.k > most)
    return status::failure("a matrix of " + to_string(shape) + " has an extent above " + std::to_string(most));
  if (shape.k != 0 && shape.n > std::numeric_limits<std::size_t>::max() / 8 / shape.k)
    return status::failure("a matrix of " + to_string(shape) + " has more elements than memory has bytes");
  return {};
}

/// The message's way to name one element: "[n=3][k=17]".
inline std::string position_text(std::size_t n, std::size_t k) {
  return "[n=" + std::to_string(n) + "][k=" + std::to_string(k) + "]";
}

}  // namespace sparq
