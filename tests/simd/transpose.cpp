// SPDX-License-Identifier: MIT
#include <sparq/simd/transpose.hpp>

#include "tests/support/catch.hpp"

#include <cstring>
#include <numeric>
#include <vector>

using namespace sparq;

TEST_CASE("transpose: sixteen rows become columns, for any number of columns") {
  for (std::size_t columns = 0; columns <= 40; ++columns) {
    const std::size_t padded = (columns + 7) / 8 * 8, ldf = padded + 3;
    std::vector<std::int32_t> from(16 * ldf), to(16 * padded, -1);
    std::iota(from.begin(), from.end(), 0);
    machine::transpose_16(from.data(), ldf, columns, to.data());
    for (std::size_t j = 0; j < columns; ++j)
      for (std::size_t i = 0; i < 16; ++i) REQUIRE(to[j * 16 + i] == from[i * ldf + j]);
  }
}

#if SPARQ_HAS_AVX2

TEST_CASE("transpose: eight rows of bytes become columns, and nothing beyond them") {
  for (std::size_t k = 0; k <= 100; ++k) {
    std::vector<std::vector<std::uint8_t>> rows(8, std::vector<std::uint8_t>(k));
    const std::uint8_t* starts[8];
    for (std::size_t r = 0; r < 8; ++r) {
      for (std::size_t i = 0; i < k; ++i) rows[r][i] = static_cast<std::uint8_t>(31 * i + 7 * r);
      starts[r] = rows[r].data();
    }
    std::vector<std::uint8_t> to(8 * k + 1, 9);
    machine::transpose_eight_rows(starts, k, to.data());
    for (std::size_t i = 0; i < 8 * k; ++i) REQUIRE(to[i] == rows[i % 8][i / 8]);
    REQUIRE(to.back() == 9);
  }
}

TEST_CASE("transpose: columns of floats fill a block with zeros") {
  constexpr std::size_t k = 5;
  for (std::size_t count = 1; count <= 16; ++count) {
    std::vector<float> x(k * count), block(k * 16, -1);
    std::iota(x.begin(), x.end(), 1.0F);
    machine::pack_float_columns<16>(x.data(), count, k, count, block.data());
    for (std::size_t i = 0; i < block.size(); ++i)
      REQUIRE(block[i] == (i % 16 < count ? x[i / 16 * count + i % 16] : 0));
  }
}

#endif

namespace {

template <class T>
void check_store_transposed() {
  for (std::size_t rows = 0; rows <= 16; ++rows)
    for (std::size_t columns = 0; columns <= 16; ++columns) {
      std::vector<T> from(256), to(16 * 21, T{7});
      for (std::size_t i = 0; i < 256; ++i) from[i] = static_cast<T>(i % 101);
      machine::store_transposed(from.data(), rows, columns, to.data(), 21);
      for (std::size_t j = 0; j < 16; ++j)
        for (std::size_t i = 0; i < 21; ++i)
          REQUIRE(to[j * 21 + i] == (i < rows && j < columns ? from[i * 16 + j] : T{7}));
    }
}

}  // namespace

TEST_CASE("transpose: squares are stored by columns, and nothing beyond them") {
  check_store_transposed<std::uint8_t>();
  check_store_transposed<std::int8_t>();
  check_store_transposed<std::int32_t>();
  check_store_transposed<float>();
}

namespace {

template <class T>
void check_transposed_quads() {
  for (std::size_t rows = 0; rows <= 40; ++rows) {
    const std::size_t ldc = rows + 3;
    std::vector<T> quads(4 * rows), columns(4 * ldc, T{7});
    for (std::size_t i = 0; i < quads.size(); ++i) quads[i] = static_cast<T>(i % 101);
    machine::transpose_quads(quads.data(), rows, columns.data(), ldc);
    for (std::size_t i = 0; i < 4; ++i)
      for (std::size_t r = 0; r < ldc; ++r) REQUIRE(columns[i * ldc + r] == (r < rows ? quads[4 * r + i] : T{7}));
  }
}

}  // namespace

TEST_CASE("transpose: rows in quads become columns, and nothing beyond them") {
  check_transposed_quads<std::uint8_t>();
  check_transposed_quads<std::int8_t>();
  check_transposed_quads<std::int16_t>();
  check_transposed_quads<float>();
}

TEST_CASE("transpose: words of sixteen rows become rows, and nothing beyond them") {
  std::vector<std::uint8_t> from(16 * 16);  // row r, byte b: word b / 4 of the row
  std::uint32_t words[64];
  for (std::size_t r = 0; r < 16; ++r)
    for (std::size_t w = 0; w < 4; ++w) {
      for (std::size_t b = 0; b < 4; ++b) from[r * 16 + 4 * w + b] = static_cast<std::uint8_t>(r * 16 + 4 * w + b + 1);
      std::memcpy(words + 16 * w + r, from.data() + r * 16 + 4 * w, 4);
    }
  for (std::size_t rows = 0; rows <= 16; ++rows)
    for (std::size_t bytes = 0; bytes <= 16; ++bytes) {
      std::vector<std::uint8_t> to(17 * 19, 0);
      machine::store_word_rows(words, rows, bytes, to.data(), 19);
      for (std::size_t r = 0; r < 17; ++r)
        for (std::size_t b = 0; b < 19; ++b) REQUIRE(to[r * 19 + b] == (r < rows && b < bytes ? from[r * 16 + b] : 0));
    }
}
