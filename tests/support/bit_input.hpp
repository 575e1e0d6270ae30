// SPDX-License-Identifier: MIT
#pragma once
// X of -1 and 1 for tests.

#include <sparq/numeric/sign.hpp>
#include <sparq/tensor/narrow_view.hpp>

#include "tests/support/random.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sparq_test {

/// Rows of bits with anything between and behind them, and the codes that they stand for.
struct bit_input {
  std::vector<std::byte> bytes;
  std::vector<std::int8_t> codes;
  sparq::narrow_matrix_view<const sparq::binary> view;

  bit_input(std::size_t m, std::size_t k, random_source& random) : codes(m * k) {
    const std::size_t stride = sparq::storage_bytes<sparq::binary>(k) + (random.chance(0.3) ? 0 : random.below(9));
    bytes.resize(m * stride);
    const std::size_t kind = random.below(6);  // mostly anything
    for (auto& byte : bytes)
      byte = kind == 0 ? std::byte{0} : kind == 1 ? std::byte{0xff} : static_cast<std::byte>(random.below(256));
    view = sparq::narrow_matrix_view<const sparq::binary>(bytes.data(), m, k, stride);
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t j = 0; j < k; ++j) codes[i * k + j] = view(i, j);
  }
};

}  // namespace sparq_test
