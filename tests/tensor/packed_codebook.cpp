// SPDX-License-Identifier: MIT
#include <sparq/tensor/packed_codebook.hpp>

#include "tests/support/catch.hpp"

#include <vector>

using namespace sparq;

namespace {
template <class N>
void check_row(std::size_t places) {
  using row = detail::codebook_row<N>;
  std::vector<std::uint8_t> bytes(row::words(places) * 4);
  for (std::size_t i = 0; i < places; ++i) row::store(bytes.data(), i, static_cast<std::uint8_t>(i * 7 % N::entries));
  for (std::size_t i = 0; i < places; ++i) REQUIRE(row::load(bytes.data(), i) == i * 7 % N::entries);
}
}  // namespace

TEST_CASE("packed_codebook: every place of a row keeps its code") {
  static constexpr std::size_t extents[] = {1, 15, 16, 17, 31, 32, 33, 64, 100};
  for (const std::size_t places : extents) {
    check_row<codebook<1>>(places);
    check_row<codebook<2>>(places);
    check_row<codebook<3>>(places);
    check_row<codebook<4>>(places);
    check_row<codebook<7>>(places);
    check_row<codebook<8>>(places);
  }
}

TEST_CASE("packed_codebook: codes half a chunk apart share a byte") {
  std::vector<std::uint8_t> four(16), two(8);
  detail::codebook_row<codebook<4>>::store(four.data(), 3, 0xa);
  detail::codebook_row<codebook<4>>::store(four.data(), 19, 0x5);
  CHECK(four[3] == 0x5a);
  for (std::size_t place = 1; place < 32; place += 8)
    detail::codebook_row<codebook<2>>::store(two.data(), place, static_cast<std::uint8_t>(place / 8));
  CHECK(two[1] == 0xe4);
}

TEST_CASE("packed_codebook: rows are whole chunks, tables whole cache lines") {
  CHECK(detail::codebook_row<codebook<4>>::words(33) == 8);
  CHECK(detail::codebook_row<codebook<5>>::words(32) == 8);
  CHECK(detail::codebook_row<codebook<1>>::words(1) == 2);
  CHECK(detail::table_words<codebook<4>>(3, 3) == 16);
  CHECK(detail::table_words<codebook<4, f32, per_channel>>(3, 3) == 48);
  CHECK(detail::table_words<codebook<4, f32, per_channel>>(0, 3) == 0);
}
