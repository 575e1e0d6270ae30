// SPDX-License-Identifier: MIT
#pragma once
// Sums of rows of a quantized table, as recommendation models have them: SparseLengthsSum and SparseLengthsWeightedSum.
// Each row has a scale and an offset of its own, in arrays beside the table or behind the codes of the row:
//
//   fused_rows<8, float>        c0 c1 c2 ... | scale f32 | offset f32     Glow UInt8FusedQ, FBGEMM 8-bit
//   fused_rows<8, half_float>   c0 c1 c2 ... | f16 | f16                  Glow UInt8FusedFP16Q
//   fused_rows<4, half_float>   c1:c0 c3:c2 ... | f16 | f16               Glow UInt4FusedFP16Q, FBGEMM 4-bit
//   fused_rows<4, float>        c1:c0 c3:c2 ... | f32 | f32               Glow UInt4FusedQ
//
// A code means scale * code + offset.

#include <sparq/base/config.hpp>
#include <sparq/base/error.hpp>
#include <sparq/base/math.hpp>
#include <sparq/kernel/executor.hpp>
#include <sparq/kernel/work_grid.hpp>
#include <sparq/numeric/floating.hpp>
#include <sparq/numeric/number_text.hpp>
#include <sparq/simd/scaled_sums.hpp>
#include <sparq/tensor/matrix.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

/// A table whose rows end with their scale and offset. `stride`: bytes from one row to the next.
template <int Bits, class Scale>
struct fused_rows {
  static_assert(Bits == 4 || Bits == 8, "sparq: fused rows hold codes of 4 or 8 bits; use fused_rows<4, half_float>");
  static_assert(std::is_same_v<Scale, float> || std::is_same_v<Scale, half_float>,
                "sparq: fused rows end with float or half_float; use fused_rows<8, float>");
  static constexpr int bits = Bits;
  static constexpr bool is_signed = false;

  const std::byte* data = nullptr;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::size_t stride = 0;

  static constexpr std::size_t code_bytes(std::size_t column_count) { return ceil_div(column_count * Bits, 8); }
  static constexpr std::size_t row_bytes(std::size_t column_count) {
    return code_bytes(column_count) + 2 * sizeof(Scale);
  }

  fused_rows(const std::byte* first, std::size_t row_count, std::size_t column_count)
      : data(first), rows(row_count), columns(column_count), stride(row_bytes(column_count)) {}

  status check() const {
    if (stride >= row_bytes(columns)) return {};
    return status::failure("embedding_bag: a row takes " + std::to_string(row_bytes(columns)) +
                           " bytes, the stride is " + std::to_string(stride));
  }
  const std::byte* codes(std::size_t row) const { return data + row * stride; }
  float scale(std::size_t row) const { return behind(row, 0); }
  float offset(std::size_t row) const { return behind(row, sizeof(Scale)); }

 private:
  float behind(std::size_t row, std::size_t at) const {
    Scale value;
    std::memcpy(&value, codes(row) + code_bytes(columns) + at, sizeof value);
    return value;
  }
};

/// A table of bytes with a scale and an offset for each row in arrays of their own (Glow RowwiseQuantized).
template <class Code>
struct rowwise_rows {
  static_assert(sizeof(Code) == 1, "sparq: row-wise tables hold bytes; use std::int8_t or std::uint8_t");
  static constexpr int bits = 8;
  static constexpr bool is_signed = std::is_signed_v<Code>;

  matrix_view<const Code> table;
  std::span<const float> scales;
  std::span<const float> offsets;
  std::size_t rows = 0;
  std::size_t columns = 0;

  rowwise_rows(matrix_view<const Code> code_table, std::span<const float> of_rows,
               std::span<const float> offset_of_rows)
      : table(code_table),
        scales(of_rows),
        offsets(offset_of_rows),
        rows(code_table.rows),
        columns(code_table.columns) {}

  status check() const {
    if (table.stride < columns)
      return status::failure("embedding_bag: a row takes " + std::to_string(columns) + " bytes, the stride is " +
                             std::to_string(table.stride));
    if (scales.size() == rows && offsets.size() == rows) return {};
    return status::failure("embedding_bag: " + std::to_string(scales.size()) + " scales and " +
                           std::to_string(offsets.size()) + " offsets for " + std::to_string(rows) + " rows");
  }
  const std::byte* codes(std::size_t row) const { return reinterpret_cast<const std::byte*>(table.row(row)); }
  float scale(std::size_t row) const { return scales[row]; }
  float offset(std::size_t row) const { return offsets[row]; }
};

/// Quantized rows that an embedding bag sums up.
template <class T>
concept embedding_table = requires(const T& t, std::size_t row) {
  requires T::bits == 4 || T::bits == 8;
  { T::is_signed } -> std::convertible_to<bool>;
  { t.check() } -> std::same_as<status>;
  { t.codes(row) } -> std::same_as<const std::byte*>;
  { t.scale(row) } -> std::same_as<float>;
  { t.offset(row) } -> std::same_as<float>;
  { t.rows } -> std::convertible_to<std::size_t>;
  { t.columns } -> std::convertible_to<std::size_t>;
};

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

/// One row of a fused table from real numbers, as FBGEMM's N-bit quantization: the offset is the least number, the
/// scale (most - least) / (2^bits - 1), both rounded to what the row stores; codes round to nearest, ties to even.
/// `row`: fused_rows::row_bytes(numbers.size()) bytes. Errors: sizes that do not match, the first NaN or infinite
/// number, a range whose scale or offset Scale does not hold. Nothing is written then.
template <int Bits, class Scale>
status try_quantize_row(std::span<const float> numbers, std::span<std::byte> row) {
  using table = fused_rows<Bits, Scale>;
  if (row.size() != table::row_bytes(numbers.size()))
    return status::failure("quantize_row: " + std::to_string(numbers.size()) + " numbers take " +
                           std::to_string(table::row_bytes(numbers.size())) + " bytes, there are " +
                           std::to_string(row.size()));
  float least = numbers.empty() ? 0.0F : numbers[0], most = least;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (!is_finite(numbers[i]))
      return status::failure("quantize_row: number " + std::to_string(i) + " is " + number_text(numbers[i]));
    least = (std::min)(least, numbers[i]);
    most = (std::max)(most, numbers[i]);
  }
  const Scale offset(least);  // may be infinite, and the scale too
  const float base = offset;
  const float range = most - base;
  Scale scale(range > 0.0F ? range / static_cast<float>((1 << Bits) - 1) : 1.0F);
  if (!is_finite(static_cast<float>(scale)) || !is_finite(base))
    return status::failure("quantize_row: numbers from " + number_text(least) + " to " + number_text(most) +
                           " need a scale or offset that is not finite");
  float inverse = 1.0F / static_cast<float>(scale);
  if (!is_finite(inverse)) {
    scale = Scale(1.0F);
    inverse = 1.0F;
  }
  std::fill(row.begin(), row.end(), std::byte{0});
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const float steps = std::nearbyint((numbers[i] - base) * inverse);
    const auto code = static_cast<unsigned>((std::min)((std::max)(steps, 0.0F), static_cast<float>((1 << Bits) - 1)));
    row[i * Bits / 8] |= static_cast<std::byte>(code << (Bits == 4 ? i % 2 * 4 : 0));
  }
  std::memcpy(row.data() + table::code_bytes(numbers.size()), &scale, sizeof scale);
  std::memcpy(row.data() + table::code_bytes(numbers.size()) + sizeof scale, &offset, sizeof offset);
  return {};
}
/// Throwing twin.
template <int Bits, class Scale>
void quantize_row(std::span<const float> numbers, std::span<std::byte> row) {
  try_quantize_row<Bits, Scale>(numbers, row).value();
}

SPARQ_ABI_END
}  // namespace sparq
