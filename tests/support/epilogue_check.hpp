// SPDX-License-Identifier: MIT
#pragma once
// Random accumulators through one epilogue, every element of Y against what a lambda wants.

#include <sparq/kernel/epilogue/epilogue.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sparq_test {

/// want(accumulator, row, channel, weight sum). Ends of the range are among the accumulators, and Y has a stride.
template <class Y, class Epilogue, class Want>
void check_epilogue(std::size_t m, std::size_t n, const Epilogue& stages, Want&& want) {
  random_source random;
  INFO(random.text() << ", " << m << " x " << n);
  std::vector<std::int32_t> tile(m * n), sums(n);
  for (auto& v : tile) v = random.chance(0.1) ? random.between(-2, 2) * 100000000 : random.between(-60000, 60000);
  for (auto& v : sums) v = random.between(-1000, 1000);
  std::vector<Y> y(m * (n + 1), static_cast<Y>(0x5c));
  REQUIRE(stages.check(m, n).ok());
  sparq::store_tile(tile.data(), n, m, n, 0, sparq::matrix_view<Y>(y.data(), m, n, n + 1), {0, 0, 0, sums.data()},
                    stages);
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t j = 0; j < n; ++j) REQUIRE(y[i * (n + 1) + j] == want(tile[i * n + j], i, j, sums[j]));
    REQUIRE(y[i * (n + 1) + n] == static_cast<Y>(0x5c));
  }
  if constexpr (Epilogue::takes_rows) {  // the same sums by columns
    const std::size_t ldt = (m + 15) / 16 * 16;
    std::vector<std::int32_t> columns(n * ldt, INT32_MIN);
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t j = 0; j < n; ++j) columns[j * ldt + i] = tile[i * n + j];
    std::vector<Y> turned(n * (m + 1), static_cast<Y>(0x5c));
    sparq::store_column_sums(columns.data(), ldt, m, n, 0, sparq::k_major_view<Y>(turned.data(), m, n, m + 1),
                             {0, 0, 0, sums.data()}, stages);
    for (std::size_t j = 0; j < n; ++j) {
      for (std::size_t i = 0; i < m; ++i) REQUIRE(turned[j * (m + 1) + i] == y[i * (n + 1) + j]);
      REQUIRE(turned[j * (m + 1) + m] == static_cast<Y>(0x5c));
    }
    if constexpr (sizeof(Y) == 1) {  // and to rows
      columns.resize((n + 15) / 16 * 16 * ldt, INT32_MAX);
      std::vector<Y> rows(m * (n + 1), static_cast<Y>(0x5c));
      sparq::store_column_sums(columns.data(), ldt, m, n, 0, sparq::matrix_view<Y>(rows.data(), m, n, n + 1),
                               {0, 0, 0, sums.data()}, stages);
      REQUIRE(rows == y);
    }
  }
}

}  // namespace sparq_test
