// SPDX-License-Identifier: MIT
#include <sparq/kernel/epilogue/code_stages.hpp>

#include "tests/support/epilogue_check.hpp"

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

using namespace sparq;
using sparq_test::check_epilogue;

TEST_CASE("code_stages: thresholds equal the affine form for every sum in [-2^19, 2^19)") {
  const std::vector<floor_shift::parameters> channels = {
      {3, 1000, 18},   {-3, 1000, 18},   {1, -77777, 14}, {-1, 77777, 14}, {900, 0, 28},    {-900, 5, 28},
      {0, 1 << 10, 9}, {17, -1, 10},     {-17, 4000, 10}, {1, 0, 0},       {-1, 1, 0},      {2, 3, 1},
      {-2, 3, 1},      {255, 99999, 20}, {-255, 0, 22},   {5, 123456, 19}, {-5, 654321, 19}};
  constexpr std::size_t rows = 1 << 12, n = 17;
  std::vector<std::int32_t> tile(rows * n);
  std::vector<std::uint8_t> y(rows * n);
  for (const int bits : {1, 2, 4}) {
    const threshold_table table = thresholds_of(channels, bits);
    const std::int32_t last = (1 << bits) - 1;
    for (std::int32_t first = -(1 << 19); first < 1 << 19; first += rows) {
      for (std::size_t i = 0; i < tile.size(); ++i) tile[i] = first + static_cast<std::int32_t>(i / n);
      store_tile(tile.data(), n, rows, n, 0, matrix_view<std::uint8_t>(y.data(), rows, n), {},
                 epilogue(thresholds(table)));
      std::size_t wrong = y.size();
      for (std::size_t i = 0; i < y.size(); ++i)
        if (y[i] != (std::min)((std::max)(floor_shift::apply(tile[i], channels[i % n]), 0), last)) wrong = i;
      INFO("sum " << tile[wrong % tile.size()] << ", channel " << wrong % n << ", bits " << bits);
      REQUIRE(wrong == y.size());
    }
  }
  const threshold_table table = thresholds_of(channels, 2);
  CHECK(epilogue(thresholds(table)).check(3, 16).message() == "thresholds: 17 channels for 16 output channels");
}

TEST_CASE("code_stages: a table of thresholds with too few of them is refused") {
  threshold_table table{2, 3, std::vector<std::int32_t>(6), {0, -1}};
  CHECK(thresholds(table).check(1, 2).ok());
  CHECK(thresholds(table).check(1, 3).message() == "thresholds: 2 channels for 3 output channels");
  table.values.pop_back();
  CHECK(thresholds(table).check(1, 2).message() ==
        "thresholds: 5 values and 2 flips; 2 channels need 3 and 1 each");
  table = {2, 3, std::vector<std::int32_t>(6), {0}};
  CHECK_FALSE(thresholds(table).check(1, 2).ok());
  table = {2, 0, {}, {0, 0}};
  CHECK(thresholds(table).check(1, 2).message() == "thresholds: count 0 is not in [1, 255]");
  table = {2, 1, {5, 6}, {0, 1}};
  CHECK(thresholds(table).check(1, 2).message() == "thresholds: flips[1] is 1, not 0 or -1");
}

TEST_CASE("code_stages: a table behind a requantization") {
  const auto squares = table_of_codes<s8, u8>([](std::int8_t c) { return static_cast<std::uint8_t>(c * c / 65); });
  const floor_shift::parameters p{5, 77, 11};
  check_epilogue<std::uint8_t>(9, 37, epilogue(requantize_to_codes<s8>(p), look_up(squares)),
                               [&](std::int32_t acc, std::size_t, std::size_t, std::int32_t) {
                                 return squares[requantize_to<s8>(acc, p, 0, -128, 127)];
                               });
  const auto negative = table_of_codes<u8, s8>([](std::uint8_t c) { return static_cast<std::int8_t>(-c / 2); });
  check_epilogue<std::int8_t>(4, 21, epilogue(requantize_to_codes<u8>(p), look_up(negative)),
                              [&](std::int32_t acc, std::size_t, std::size_t, std::int32_t) {
                                return negative[requantize_to<u8>(acc, p, 0, 0, 255)];
                              });
}

TEST_CASE("code_stages: the sum of two tensors of codes, steps brought together") {
  sparq_test::random_source random;
  constexpr std::size_t m = 7, n = 37;
  std::vector<std::int8_t> other(m * n);
  for (auto& v : other) v = static_cast<std::int8_t>(random.between(-128, 127));
  const matrix_view<const std::int8_t> view(other.data(), m, n);
  for (const std::int32_t factor : {1, 77, -1000000}) {
    check_epilogue<std::int8_t>(m, n, epilogue(clamp<std::int32_t>(-128, 127), add_scaled(view, 93, factor, 7)),
                                [&](std::int32_t acc, std::size_t i, std::size_t j, std::int32_t) {
                                  const std::int64_t code = (std::min)((std::max)(acc, -128), 127);
                                  const std::int64_t sum = (code * 93 + std::int64_t{other[i * n + j]} * factor) >> 7;
                                  return static_cast<std::int8_t>(
                                      (std::min)((std::max)(sum, std::int64_t{-128}), std::int64_t{127}));
                                });
  }
  CHECK(epilogue(add_scaled(view, 1, 1, 0)).check(7, 36).message() == "add_scaled: the matrix is 7 x 37, Y is 7 x 36");
  const matrix_view<const std::int8_t> crooked(other.data(), m, n, n - 1);
  CHECK(epilogue(add_scaled(crooked, 1, 1, 0)).check(7, 37).message() ==
        "add_scaled: the matrix has a stride of 36; at least 37 are needed");
  CHECK(epilogue(add_scaled(view, 1, 1, 64)).check(7, 37).message() == "add_scaled: shift 64 is not in [0, 63]");
  CHECK(epilogue(add_scaled(view, 1, INT32_MIN, 0)).check(7, 37).message() ==
        "add_scaled: factor -2147483648 is not in [-2147483647, 2147483647]");
}
