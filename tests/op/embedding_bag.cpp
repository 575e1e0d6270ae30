// SPDX-License-Identifier: MIT
#include <sparq/op/embedding_bag.hpp>

#include <sparq/kernel/executor_threads.hpp>

#include "tests/support/backwards.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

using namespace sparq;

namespace {

struct bags {
  std::vector<std::int64_t> indices;
  std::vector<std::int32_t> lengths;
  std::vector<float> weights;
};

bags random_bags(sparq_test::random_source& random, std::size_t rows, std::size_t count, bool is_weighted) {
  bags b;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t length = random.chance(0.3) || rows == 0 ? 0 : random.below(20);
    b.lengths.push_back(static_cast<std::int32_t>(length));
    for (std::size_t j = 0; j < length; ++j) {
      b.indices.push_back(static_cast<std::int64_t>(random.below(rows)));
      if (is_weighted) b.weights.push_back(random.real(-2.0F, 2.0F));
    }
  }
  return b;
}

/// In the stated order, one column at a time; what a row holds comes from `row_of(row, column)`.
struct element {
  float scale, offset, code;
};
template <class F>
float sum_of(const bags& b, std::size_t bag, std::size_t column, F&& row_of) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < bag; ++i) at += static_cast<std::size_t>(b.lengths[i]);
  float sum = 0;
  for (std::int32_t i = 0; i < b.lengths[bag]; ++i, ++at) {
    const element e = row_of(static_cast<std::size_t>(b.indices[at]), column);
    const float weight = b.weights.empty() ? 1.0F : b.weights[at];
    const volatile float scale = weight * e.scale, offset = weight * e.offset;
    const volatile float before = sum + offset;
    sum = std::fma(scale, e.code, before);
  }
  return sum;
}

template <class Table, class F>
void check_bags(sparq_test::random_source& random, const Table& table, F&& row_of) {
  thread_executor threads(3);
  for (const bool is_weighted : {false, true}) {
    const bags b = random_bags(random, table.rows, random.below(9), is_weighted);
    const std::size_t stride = table.columns + 1;
    std::vector<float> y(b.lengths.size() * stride, -99.0F), again = y;
    embedding_bag(table, std::span<const std::int64_t>(b.indices), b.lengths, b.weights,
                  matrix_view<float>(y.data(), b.lengths.size(), table.columns, stride), sparq_test::backwards{3});
    for (std::size_t i = 0; i < b.lengths.size(); ++i) {
      for (std::size_t j = 0; j < table.columns; ++j) REQUIRE(y[i * stride + j] == sum_of(b, i, j, row_of));
      REQUIRE(y[i * stride + table.columns] == -99.0F);
    }
    const std::vector<std::int32_t> narrow(b.indices.begin(), b.indices.end());
    embedding_bag(table, std::span<const std::int32_t>(narrow), b.lengths, b.weights,
                  matrix_view<float>(again.data(), b.lengths.size(), table.columns, stride), threads);
    REQUIRE(again == y);
  }
}

template <int Bits, class Scale>
void check_fused() {
  sparq_test::random_source random;
  INFO(Bits << " bits, " << sizeof(Scale) << " bytes, " << random.text());
  for (std::size_t columns = 0; columns < 140; columns += columns < 40 ? 1 : 13) {
    const std::size_t rows = 1 + random.below(30);
    const std::size_t bytes = fused_rows<Bits, Scale>::row_bytes(columns);
    std::vector<std::byte> data(rows * bytes);
    for (auto& byte : data) byte = static_cast<std::byte>(random.below(256));
    for (std::size_t r = 0; r < rows; ++r) {
      const Scale scale(random.real(-1.0F, 1.0F)), offset(random.real(-3.0F, 3.0F));
      std::memcpy(data.data() + (r + 1) * bytes - 2 * sizeof(Scale), &scale, sizeof(Scale));
      std::memcpy(data.data() + (r + 1) * bytes - sizeof(Scale), &offset, sizeof(Scale));
    }
    check_bags(random, fused_rows<Bits, Scale>(data, rows, columns), [&](std::size_t row, std::size_t column) {
      const std::byte* at = data.data() + row * bytes;
      const unsigned byte = std::to_integer<unsigned>(at[column * Bits / 8]);
      Scale scale, offset;
      std::memcpy(&scale, at + bytes - 2 * sizeof(Scale), sizeof(Scale));
      std::memcpy(&offset, at + bytes - sizeof(Scale), sizeof(Scale));
      return element{scale, offset,
                     static_cast<float>(Bits == 8 ? byte : column % 2 == 0 ? byte % 16 : byte / 16)};
    });
  }
}

template <class Code>
void check_rowwise() {
  sparq_test::random_source random;
  INFO(random.text());
  for (std::size_t columns = 1; columns < 100; columns += 7) {
    const std::size_t rows = 25;
    std::vector<Code> codes(rows * columns);
    std::vector<float> scales(rows), offsets(rows);
    for (auto& c : codes) c = static_cast<Code>(random.below(256));
    for (auto& s : scales) s = random.real(0.0F, 1.0F);
    for (auto& o : offsets) o = random.real(-5.0F, 5.0F);
    check_bags(random, rowwise_rows<Code>(matrix_view<const Code>(codes.data(), rows, columns), scales, offsets),
               [&](std::size_t row, std::size_t column) {
                 return element{scales[row], offsets[row], static_cast<float>(codes[row * columns + column])};
               });
  }
}

}  // namespace

TEST_CASE("embedding_bag: fused rows equal the stated order bit by bit, empty bags are 0") {
  check_fused<8, float>();
  check_fused<8, half_float>();
  check_fused<4, half_float>();
  check_fused<4, float>();
}

TEST_CASE("embedding_bag: rows with scales and offsets in arrays") {
  check_rowwise<std::int8_t>();
  check_rowwise<std::uint8_t>();
}

TEST_CASE("embedding_bag: quantized rows come back within half a step") {
  sparq_test::random_source random;
  INFO(random.text());
  std::vector<float> numbers(77), y(77);
  for (auto& v : numbers) v = random.real(-4.0F, 4.0F);
  std::vector<std::byte> row(fused_rows<8, float>::row_bytes(77));
  quantize_fused_row<8, float>(numbers, row);
  const std::vector<std::int64_t> indices = {0};
  const std::vector<std::int32_t> lengths = {1};
  embedding_bag(fused_rows<8, float>(row, 1, 77), std::span<const std::int64_t>(indices), lengths, {},
                matrix_view<float>(y.data(), 1, 77), serial);
  for (std::size_t i = 0; i < 77; ++i) CHECK(std::fabs(y[i] - numbers[i]) <= 8.0F / 255 / 2 * 1.001F);
  quantize_fused_row<8, float>(std::vector<float>(77, 2.5F), row);  // one value: scale 1, code 0
  embedding_bag(fused_rows<8, float>(row, 1, 77), std::span<const std::int64_t>(indices), lengths, {},
                matrix_view<float>(y.data(), 1, 77), serial);
  CHECK(y == std::vector<float>(77, 2.5F));
}

TEST_CASE("embedding_bag: rows that overlap are refused") {
  const std::vector<std::int8_t> codes(20);
  const std::vector<float> ones(4, 1.0F);
  std::vector<float> y(5, 7.0F);
  const std::vector<std::int32_t> indices{3}, lengths{1};
  const rowwise_rows<std::int8_t> table(matrix_view<const std::int8_t>(codes.data(), 4, 5, 4), ones, ones);
  CHECK(try_embedding_bag(table, std::span<const std::int32_t>(indices), lengths, {},
                          matrix_view<float>(y.data(), 1, 5), serial)
            .message() == "embedding_bag: a row takes 5 bytes, the stride is 4");
  const rowwise_rows<std::int8_t> apart(matrix_view<const std::int8_t>(codes.data(), 4, 5), ones, ones);
  CHECK(try_embedding_bag(apart, std::span<const std::int32_t>(indices), lengths, {},
                          matrix_view<float>(y.data(), 1, 5, 4), serial)
            .message() == "embedding_bag: Y has a stride of 4; at least 5 are needed");
  CHECK(y == std::vector<float>(5, 7.0F));
}

TEST_CASE("embedding_bag: what does not fit is refused with its place") {
  std::vector<std::byte> data(3 * 12);
  const fused_rows<8, float> table(data, 3, 4);
  std::vector<float> y(8, 7.0F);
  const matrix_view<float> out(y.data(), 2, 4);
  const auto message = [&](std::vector<std::int64_t> indices, std::vector<std::int32_t> lengths,
                           std::vector<float> weights) {
    return try_embedding_bag(table, std::span<const std::int64_t>(indices), lengths, weights, out, serial).message();
  };
  CHECK(message({0, 1, 3}, {1, 2}, {}) == "embedding_bag: index 3 at position 2 is not in a table of 3 rows");
  CHECK(message({0, -1, 2}, {1, 2}, {}) == "embedding_bag: index -1 at position 1 is not in a table of 3 rows");
  CHECK(message({0, 1, 2}, {1, -2}, {}) == "embedding_bag: length -2 of bag 1 is not in [0, 2]");
  CHECK(message({0, 1, 2}, {1, 3}, {}) == "embedding_bag: length 3 of bag 1 is not in [0, 2]");
  CHECK(message({0, 1, 2}, {1, 1}, {}) == "embedding_bag: lengths add up to 2, there are 3 indices");
  CHECK(message({0, 1}, {1, 1}, {1.0F}) == "embedding_bag: 1 weights for 2 indices");
  CHECK(message({0}, {1}, {}) == "embedding_bag: Y is 2 x 4, it needs to be 1 x 4");
  CHECK(y == std::vector<float>(8, 7.0F));
  const std::vector<float> two(2);
  const std::vector<std::int8_t> codes(12);
  CHECK(rowwise_rows<std::int8_t>(matrix_view<const std::int8_t>(codes.data(), 3, 4), two, two).check().message() ==
        "embedding_bag: 2 scales and 2 offsets for 3 rows");
}

TEST_CASE("embedding_bag: fused rows lie in their bytes") {
  const std::vector<std::byte> data(3 * 12 + 2 * 5);
  fused_rows<8, float> table{std::span(data).first(3 * 12), 3, 4};
  CHECK(table.check().ok());
  table.bytes = std::span(data).first(3 * 12 - 1);
  CHECK(table.check().message() == "embedding_bag: 35 bytes are too few for 3 rows of 4 codes");
  table.bytes = data;
  table.stride = 12 + 5;  // the last row ends where its offset does
  CHECK(table.check().ok());
  table.stride = 12 + 6;
  CHECK_FALSE(table.check().ok());
  table.stride = 11;
  CHECK(table.check().message() == "embedding_bag: a row takes 12 bytes, the stride is 11");
  CHECK(fused_rows<4, half_float>({}, 0, 5).check().ok());
  constexpr auto many = static_cast<std::size_t>(-1);
  CHECK_FALSE(fused_rows<4, half_float>(data, many, 5).check().ok());
  CHECK_FALSE(fused_rows<8, float>(data, 1, many - 8).check().ok());

  std::vector<float> y(4, 7.0F);
  const std::vector<std::int32_t> indices{0}, lengths{1};
  CHECK_FALSE(try_embedding_bag(fused_rows<8, float>(std::span(data).first(11), 1, 4),
                                std::span<const std::int32_t>(indices), lengths, {}, matrix_view<float>(y.data(), 1, 4),
                                serial)
                  .ok());
  CHECK(y == std::vector<float>(4, 7.0F));
}
