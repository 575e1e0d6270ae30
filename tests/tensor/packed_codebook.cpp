// SPDX-License-Identifier: MIT
#include <sparq/tensor/packed_codebook.hpp>

#include "tests/support/catch.hpp"

#include <span>
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

TEST_CASE("packed_codebook: rows lie one after the other, in whole chunks") {
  using row = detail::codebook_row<codebook<4>>;
  const std::vector<std::uint8_t> codes{1, 2, 3, 4, 5, 6};
  std::vector<std::uint32_t> words(2 * row::words(3));
  row::store_rows(codes.data(), 2, 3, words.data());
  for (std::size_t r = 0; r < 2; ++r)
    for (std::size_t place = 0; place < 3; ++place)
      CHECK(row::load(reinterpret_cast<const std::uint8_t*>(words.data() + r * row::words(3)), place) ==
            codes[r * 3 + place]);
}

TEST_CASE("packed_codebook: the first table without an entry of 0 is named") {
  std::vector<std::int8_t> tables{1, 0, 0, 2, 3, 4};
  CHECK(detail::check_zero_entries<codebook<1>>(std::span(tables).first(4), "it is filled").ok());
  CHECK(detail::check_zero_entries<codebook<1>>(tables, "it is filled").message() ==
        "pack: table 2 has no entry of 0, with which it is filled; pack for the rows loop");
}
