// SPDX-License-Identifier: MIT
#pragma once
// Quantized tables of embeddings, as recommendation models have them. Each row has a scale and an offset of its own, in
// arrays beside the table or behind the codes of the row:
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
#include <sparq/numeric/floating.hpp>
#include <sparq/numeric/number_text.hpp>
#include <sparq/tensor/matrix.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

/// A table whose rows end with their scale and offset. `stride`: bytes from one row to the next, those of a row unless
/// set to more. Bytes that are too few for the rows are refused by whoever reads the table.
template <int Bits, class Scale>
struct fused_rows {
  static_assert(Bits == 4 || Bits == 8, "sparq: fused rows hold codes of 4 or 8 bits; use fused_rows<4, half_float>");
  static_assert(std::is_same_v<Scale, float> || std::is_same_v<Scale, half_float>,
                "sparq: fused rows end with float or half_float; use fused_rows<8, float>");
  static constexpr int bits = Bits;
  static constexpr bool is_signed = false;

  std::span<const std::byte> bytes;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::size_t stride = 0;

  static constexpr std::size_t code_bytes(std::size_t column_count) { return ceil_div(column_count, 8 / Bits); }
  static constexpr std::size_t row_bytes(std::size_t column_count) {
    return code_bytes(column_count) + 2 * sizeof(Scale);
  }

  fused_rows(std::span<const std::byte> table, std::size_t row_count, std::size_t column_count)
      : bytes(table), rows(row_count), columns(column_count), stride(row_bytes(column_count)) {}

  status check() const {
    const std::size_t row = row_bytes(columns);
    if (stride < row)
      return status::failure("embedding_bag: a row takes " + std::to_string(row) + " bytes, the stride is " +
                             std::to_string(stride));
    // the last row may end where its offset does
    const bool holds_rows = rows == 0 || (row <= bytes.size() && rows - 1 <= (bytes.size() - row) / stride);
    if (holds_rows) return {};
    return status::failure("embedding_bag: " + std::to_string(bytes.size()) + " bytes are too few for " +
                           std::to_string(rows) + " rows of " + std::to_string(columns) + " codes");
  }
  const std::byte* codes(std::size_t row) const { return bytes.data() + row * stride; }
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

/// One row of a fused table from real numbers, as FBGEMM's N-bit quantization: the offset is the least number, the
/// scale (most - least) / (2^bits - 1), both rounded to what the row stores; codes round to nearest, ties to even.
/// A scale of 0, or one without a finite inverse (2^-128 or less), becomes 1 and all codes 0.
/// `row`: fused_rows::row_bytes(numbers.size()) bytes. Errors: sizes that do not match, the first NaN or infinite
/// number, a range whose scale or offset Scale does not hold. Nothing is written then.
template <int Bits, class Scale>
status try_quantize_fused_row(std::span<const float> numbers, std::span<std::byte> row) {
  using table = fused_rows<Bits, Scale>;
  if (row.size() != table::row_bytes(numbers.size()))
    return status::failure("quantize_fused_row: " + std::to_string(numbers.size()) + " numbers take " +
                           std::to_string(table::row_bytes(numbers.size())) + " bytes, there are " +
                           std::to_string(row.size()));
  float least = numbers.empty() ? 0.0F : numbers[0], most = least;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (!is_finite(numbers[i]))
      return status::failure("quantize_fused_row: number " + std::to_string(i) + " is " + number_text(numbers[i]));
    least = (std::min)(least, numbers[i]);
    most = (std::max)(most, numbers[i]);
  }
  const Scale offset(least);  // may be infinite, and the scale too
  const float base = offset;
  const float range = most - base;
  Scale scale(range > 0.0F ? range / static_cast<float>((1 << Bits) - 1) : 1.0F);
  if (!is_finite(static_cast<float>(scale)) || !is_finite(base))
    return status::failure("quantize_fused_row: numbers from " + number_text(least) + " to " + number_text(most) +
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
void quantize_fused_row(std::span<const float> numbers, std::span<std::byte> row) {
  try_quantize_fused_row<Bits, Scale>(numbers, row).value();
}

SPARQ_ABI_END
}  // namespace sparq
