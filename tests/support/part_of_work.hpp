// SPDX-License-Identifier: MIT
#pragma once
// Runs a part of an operation, a few rows and one strip of channels, and looks at all of Y.

#include <sparq/base/memory.hpp>
#include <sparq/kernel/epilogue/epilogue.hpp>
#include <sparq/kernel/source/source.hpp>
#include <sparq/tensor/encode.hpp>
#include <sparq/tensor/pack.hpp>

#include "tests/support/catch.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sparq_test {

/// Three strips of 16 channels that `Loop` multiplies by ones: rows [m / 4, m / 4 + m / 2) of the second strip hold the
/// sums of W's channels, and the rest of Y what it held.
template <class Format, class Shape, class Atom, template <class, class, class, class, class> class Loop>
void check_part_of_work(std::size_t m, std::size_t k) {
  constexpr std::size_t n = 48;
  std::vector<std::int8_t> codes(n * k);
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::int8_t>(i % 7 % 5);
  const std::vector<std::uint8_t> x(m * k, 1);
  const auto w = sparq::pack<Shape>(sparq::encode_codes<Format, sparq::s8, sparq::per_tensor>(codes, {n, k}, {1.0F}));
  std::vector<std::int32_t> y(m * n, -1);
  const Loop<decltype(w.view()), Atom, sparq::strided_rows<std::uint8_t>, sparq::matrix_view<std::int32_t>,
             sparq::epilogue<>>
      loop(w.view(), {sparq::matrix_view<const std::uint8_t>(x.data(), m, k)},
           sparq::matrix_view<std::int32_t>(y.data(), m, n), {});
  if constexpr (requires { loop.strips(); }) REQUIRE(loop.strips() == 3);
  const std::size_t first = m / 4, count = m / 2;
  sparq::aligned_buffer scratch(loop.scratch_bytes(count));
  loop.run(first, first + count, 1, 2, scratch.data());
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      const bool inside = i >= first && i < first + count && j >= 16 && j < 32;
      std::int32_t sum = 0;
      for (std::size_t q = 0; q < k; ++q) sum += codes[j * k + q];
      REQUIRE(y[i * n + j] == (inside ? sum : -1));
    }
}

}  // namespace sparq_test
