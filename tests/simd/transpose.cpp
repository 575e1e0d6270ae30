// SPDX-License-Identifier: MIT
#include <sparq/simd/transpose.hpp>

#include "tests/support/catch.hpp"

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

#if SPARQ_HAS_AVX2
TEST_CASE("transpose: up to sixteen bytes, zeros behind them") {
  for (std::size_t count = 1; count <= 16; ++count) {
    std::vector<std::uint8_t> from(count);
    std::iota(from.begin(), from.end(), std::uint8_t{240});
    std::uint8_t got[16];
    _mm_storeu_si128(reinterpret_cast<__m128i*>(got), machine::load_bytes(from.data(), count));
    for (std::size_t i = 0; i < 16; ++i) REQUIRE(got[i] == (i < count ? from[i] : 0));
  }
}
#endif
