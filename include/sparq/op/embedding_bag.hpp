// SPDX-License-Identifier: MIT
#pragma once
// Sums of rows of a quantized table (op/embedding_table.hpp): SparseLengthsSum and SparseLengthsWeightedSum.

#include <sparq/base/config.hpp>
#include <sparq/base/error.hpp>
#include <sparq/kernel/executor.hpp>
#include <sparq/kernel/work_grid.hpp>
#include <sparq/op/embedding_table.hpp>
#include <sparq/simd/scaled_sums.hpp>
#include <sparq/tensor/matrix.hpp>

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

template <class Table>
SPARQ_INLINE float code_at(const std::byte* codes, std::size_t j) {
  if constexpr (Table::bits == 4)
    return static_cast<float>(std::to_integer<unsigned>(codes[j / 2]) >> (j % 2 * 4) & 15U);
  else if constexpr (Table::is_signed)
    return static_cast<float>(static_cast<std::int8_t>(codes[j]));
  else
    return static_cast<float>(std::to_integer<unsigned>(codes[j]));
}

/// What a row adds: its scale and offset, times its weight.
struct row_factors {
  float scale, offset;
};
template <class Table>
SPARQ_INLINE row_factors factors_of(const Table& table, std::size_t row, const float* weight) {
  if (weight == nullptr) return {table.scale(row), table.offset(row)};
  return {*weight * table.scale(row), *weight * table.offset(row)};
}

/// One bag: columns in blocks that stay in registers, and within a block all rows.
template <class Table, class Index>
void sum_rows(const Table& table, const Index* indices, const float* weights, std::size_t count, float* y) noexcept {
  std::size_t j = 0;
#if SPARQ_HAS_AVX2
  constexpr std::size_t ahead = 8;  // rows fetched before they are needed
  const auto block = [&]<std::size_t Registers>(std::integral_constant<std::size_t, Registers>) {
    scaled_sums<Registers> sums;
    for (std::size_t i = 0; i < count; ++i) {
      if (i + ahead < count)
        prefetch(table.codes(static_cast<std::size_t>(indices[i + ahead])) + j * Table::bits / 8);
      const auto row = static_cast<std::size_t>(indices[i]);
      const row_factors f = factors_of(table, row, weights == nullptr ? nullptr : weights + i);
      sums.template add<Table::bits, Table::is_signed>(table.codes(row) + j * Table::bits / 8, f.scale, f.offset);
    }
    sums.store(y + j);
    j += 8 * Registers;
  };
  while (table.columns - j >= 64) block(std::integral_constant<std::size_t, 8>{});
  if (table.columns - j >= 32) block(std::integral_constant<std::size_t, 4>{});
  while (table.columns - j >= 8) block(std::integral_constant<std::size_t, 1>{});
#endif
  const std::size_t first = j;
  for (j = first; j < table.columns; ++j) y[j] = 0.0F;
  for (std::size_t i = 0; i < count && first < table.columns; ++i) {
    const auto row = static_cast<std::size_t>(indices[i]);
    const row_factors f = factors_of(table, row, weights == nullptr ? nullptr : weights + i);
    const std::byte* codes = table.codes(row);
    for (j = first; j < table.columns; ++j) {
      const float before = y[j] + f.offset;
      y[j] = std::fma(f.scale, code_at<Table>(codes, j), before);
    }
  }
}

template <class Table, class Index>
status check_bags(const Table& table, std::span<const Index> indices, std::span<const std::int32_t> lengths,
                  std::span<const float> weights, const matrix_view<float>& y) {
  if (status s = table.check(); !s.ok()) return s;
  if (y.rows != lengths.size() || y.columns != table.columns)
    return status::failure("embedding_bag: Y is " + extent_text(y) + ", it needs to be " +
                           std::to_string(lengths.size()) + " x " + std::to_string(table.columns));
  if (status s = sparq::detail::check_stride("embedding_bag: Y", y); !s.ok()) return s;
  if (!weights.empty() && weights.size() != indices.size())
    return status::failure("embedding_bag: " + std::to_string(weights.size()) + " weights for " +
                           std::to_string(indices.size()) + " indices");
  std::size_t total = 0;
  for (std::size_t bag = 0; bag < lengths.size(); ++bag) {
    if (lengths[bag] < 0 || static_cast<std::size_t>(lengths[bag]) > indices.size() - total)
      return status::failure("embedding_bag: length " + std::to_string(lengths[bag]) + " of bag " +
                             std::to_string(bag) + " is not in [0, " + std::to_string(indices.size() - total) + "]");
    total += static_cast<std::size_t>(lengths[bag]);
  }
  if (total != indices.size())
    return status::failure("embedding_bag: lengths add up to " + std::to_string(total) + ", there are " +
                           std::to_string(indices.size()) + " indices");
  for (std::size_t i = 0; i < indices.size(); ++i)
    if (indices[i] < 0 || static_cast<std::uint64_t>(indices[i]) >= table.rows)
      return status::failure("embedding_bag: index " + std::to_string(indices[i]) + " at position " +
                             std::to_string(i) + " is not in a table of " + std::to_string(table.rows) + " rows");
  return {};
}

}  // namespace machine

/// y[bag] = sum of weight * (scale * code + offset) over the next lengths[bag] indices; a bag without indices is 0.
/// - `indices`: rows of the table, int32 or int64; `lengths`: of each bag; `weights`: one for each index, or none for 1
/// - `y`: bags x columns; must not overlap the table
/// The order is FBGEMM's, the same bits on every CPU: from 0 on, in the order of the indices,
/// y = fma(fl(weight * scale), code, fl(y + fl(weight * offset))).
/// Errors: the first length or index out of range, and where it stands; arrays that do not match. Nothing is written
/// then. O(indices x columns).
template <embedding_table Table, std::signed_integral Index, executor Executor>
status try_embedding_bag(const Table& table, std::span<const Index> indices, std::span<const std::int32_t> lengths,
                         std::span<const float> weights, matrix_view<float> y, Executor&& executor) {
  if (status s = machine::check_bags(table, indices, lengths, weights, y); !s.ok()) return s;
  machine::for_each_range(executor, lengths.size(), [&](std::size_t first, std::size_t end) {
    std::size_t at = 0;
    for (std::size_t bag = 0; bag < first; ++bag) at += static_cast<std::size_t>(lengths[bag]);
    for (std::size_t bag = first; bag < end; ++bag) {
      const auto count = static_cast<std::size_t>(lengths[bag]);
      machine::sum_rows(table, indices.data() + at, weights.empty() ? nullptr : weights.data() + at, count, y.row(bag));
      at += count;
    }
  });
  return {};
}

/// Throwing twin.
template <embedding_table Table, std::signed_integral Index, executor Executor>
void embedding_bag(const Table& table, std::span<const Index> indices, std::span<const std::int32_t> lengths,
                   std::span<const float> weights, matrix_view<float> y, Executor&& executor) {
  try_embedding_bag(table, indices, lengths, weights, y, executor).value();
}

SPARQ_ABI_END
}  // namespace sparq
