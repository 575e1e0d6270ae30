// SPDX-License-Identifier: MIT
#include <sparq/simd/byte_codes.hpp>

#include "tests/support/catch.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <limits>

namespace {

/// Four times sixteen integers, extremes among them.
struct sixty_four_lanes {
  std::int32_t lanes[4][16];
  sparq::vec<std::int32_t> four[4];

  template <class Byte>
  static sixty_four_lanes around_ends_of() {
    constexpr std::int32_t least = std::numeric_limits<Byte>::min(), most = std::numeric_limits<Byte>::max();
    const std::int32_t values[] = {0,     -1,     1,      least - 1, least,     most, most + 1, 32767,
                                   32768, -32768, -32769, 65536,     INT32_MIN, 77,   -77,      INT32_MAX - 1000};
    sixty_four_lanes result;
    for (std::size_t i = 0; i < 4; ++i) {
      for (std::size_t lane = 0; lane < 16; ++lane)
        result.lanes[i][lane] = values[(5 * i + 3 * lane) % std::size(values)] + static_cast<std::int32_t>(i % 2);
      result.four[i] = sparq::vec<std::int32_t>::load(result.lanes[i]);
    }
    return result;
  }
};

template <class Byte>
void check_byte_codes(std::int32_t zero_point, std::int32_t low) {
  const auto x = sixty_four_lanes::around_ends_of<Byte>();
  const sparq::machine::byte_codes<Byte> codes(zero_point, low);
  const auto want = [&](std::size_t i, std::size_t lane) {
    return (std::min)((std::max)(std::int64_t{x.lanes[i][lane]} + zero_point, std::int64_t{low}),
                      std::int64_t{std::numeric_limits<Byte>::max()});
  };
  constexpr std::size_t distance = 37;
  constexpr Byte other = 99;

  Byte beside[65], rows[4 * distance], wide_rows[2 * distance];
  std::fill(std::begin(beside), std::end(beside), other);
  std::fill(std::begin(rows), std::end(rows), other);
  std::fill(std::begin(wide_rows), std::end(wide_rows), other);
  codes.store(x.four, beside);
  codes.template store_rows<1>(x.four, rows, distance);
  codes.template store_rows<2>(x.four, wide_rows, distance);
  std::uint32_t words[17] = {};
  words[16] = 42;
  codes.store_words(x.four, words);
  for (std::size_t lane = 0; lane < 16; ++lane) {
    Byte word[4];
    std::memcpy(word, words + lane, 4);
    for (std::size_t i = 0; i < 4; ++i) {
      CHECK(beside[16 * i + lane] == want(i, lane));
      CHECK(rows[i * distance + lane] == want(i, lane));
      CHECK(wide_rows[i / 2 * distance + i % 2 * 16 + lane] == want(i, lane));
      CHECK(word[i] == want(i, lane));
    }
  }
  CHECK(beside[64] == other);
  CHECK(words[16] == 42);
  const auto is_other = [](Byte b) { return b == other; };
  for (std::size_t i = 0; i < 4; ++i)
    CHECK(std::all_of(rows + i * distance + 16, rows + (i + 1) * distance, is_other));
  for (std::size_t i = 0; i < 2; ++i)
    CHECK(std::all_of(wide_rows + i * distance + 32, wide_rows + (i + 1) * distance, is_other));
}

}  // namespace

TEST_CASE("byte_codes: zero point, lower bound and saturation, wherever the codes go") {
  for (const std::int32_t low : {0, 3, 128, 255})
    for (const std::int32_t zero_point : {0, 1, 128, 255}) check_byte_codes<std::uint8_t>(zero_point, low);
  for (const std::int32_t low : {-128, -127, 0, 127})
    for (const std::int32_t zero_point : {-128, -1, 0, 127}) check_byte_codes<std::int8_t>(zero_point, low);
}
