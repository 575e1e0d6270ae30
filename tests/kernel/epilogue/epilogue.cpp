// SPDX-License-Identifier: MIT
#include <sparq/kernel/epilogue/epilogue.hpp>

#include "tests/support/epilogue_check.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

using namespace sparq;
using sparq_test::check_epilogue;

TEST_CASE("epilogue: stages run in their order") {
  const std::vector<std::int32_t> of_channel = {10, -20, 30};
  const std::vector<float> factors = {0.5F, 2.0F, 1.0F};
  check_epilogue<std::int32_t>(3, 3, epilogue(bias(of_channel), subtract_zero_point(5), relu()),
                      [&](std::int32_t acc, std::size_t, std::size_t j, std::int32_t sum) {
                        return (std::max)(acc + of_channel[j] - 5 * sum, 0);
                      });
  check_epilogue<float>(2, 3, epilogue(scale_per_channel(factors), scale(0.5F), clamp<float>(-9, 9)),
               [&](std::int32_t acc, std::size_t, std::size_t j, std::int32_t) {
                 return (std::min)((std::max)(static_cast<float>(acc) * factors[j] * 0.5F, -9.0F), 9.0F);
               });
  const std::vector<float> of_row = {2.0F, 3.0F};
  check_epilogue<float>(2, 20, epilogue(scale_per_row(of_row)),
               [&](std::int32_t acc, std::size_t i, std::size_t, std::int32_t) {
                 return static_cast<float>(acc) * of_row[i];
               });
}

TEST_CASE("epilogue: nothing saturates where the last stage yields codes of Y") {
  using codes = requantize<u8, fp32_nearest_even::parameters>;
  using residual = decltype(add(matrix_view<std::int32_t>()));
  CHECK(machine::ends_in_codes_v<std::uint8_t, epilogue<residual, codes>>);
  CHECK_FALSE(machine::ends_in_codes_v<std::int8_t, epilogue<codes>>);
  CHECK_FALSE(machine::ends_in_codes_v<std::uint8_t, epilogue<codes, residual>>);
  CHECK_FALSE(machine::ends_in_codes_v<std::uint8_t, epilogue<>>);
}

TEST_CASE("epilogue: a residual may be Y itself") {
  std::vector<std::int32_t> y = {1, 2, 3, 4, 5, 6};
  const std::vector<std::int32_t> tile = {10, 20, 30, 40, 50, 60};
  const matrix_view<std::int32_t> view(y.data(), 2, 3);
  store_tile(tile.data(), 3, 2, 3, 0, view, {}, epilogue(add(view)));
  CHECK(y == std::vector<std::int32_t>{11, 22, 33, 44, 55, 66});
}

TEST_CASE("epilogue: sums by columns get what the atom left out, at any place of Y") {
  constexpr std::size_t rows = 21, channels = 3, ldt = 32;
  std::vector<std::int32_t> tile(channels * ldt);
  for (std::size_t i = 0; i < tile.size(); ++i) tile[i] = static_cast<std::int32_t>(i * i % 977);
  const std::vector<std::int32_t> sums = {1000, -7, 12, 30000000};
  std::vector<std::int16_t> y(4 * 30, -1);
  const k_major_view<std::int16_t> view(y.data(), 25, 4, 30);
  store_column_sums(tile.data(), ldt, rows, channels, 128, view, {3, 1, 0, sums.data()}, epilogue<>());
  for (std::size_t j = 0; j < 4; ++j)
    for (std::size_t i = 0; i < 30; ++i) {
      std::int32_t want = -1;
      if (j >= 1 && i >= 3 && i < 3 + rows)
        want = tile[(j - 1) * ldt + i - 3] + static_cast<std::int32_t>(128U * static_cast<std::uint32_t>(sums[j]));
      REQUIRE(y[j * 30 + i] == (std::min)((std::max)(want, -32768), 32767));
    }
}
