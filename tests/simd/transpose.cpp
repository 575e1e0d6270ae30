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
