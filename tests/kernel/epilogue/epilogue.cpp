// SPDX-License-Identifier: MIT
#include <sparq/kernel/epilogue/epilogue.hpp>

#include "tests/support/epilogue_check.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
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

namespace {

/// Tiles of sums become bytes: every count of rows and channels, parameters for each channel, bounds inside the range,
/// what the atom left out, and stages that look at their row.
template <class Out, requantization_parameters Parameters>
void check_tiles_of_bytes(Parameters (*parameters_of)(std::size_t), std::int32_t zero_point, std::int32_t low,
                          std::int32_t high, std::int32_t factor) {
  using byte = typename Out::code;
  constexpr std::size_t ldt = 80, most_rows = 11, n = 83, first_channel = 2, first_row = 1;
  std::vector<std::int32_t> tile(most_rows * ldt), sums(n), of_row(most_rows + first_row);
  for (std::size_t i = 0; i < tile.size(); ++i)
    tile[i] = static_cast<std::int32_t>(i * i * 7919 % 60013) - 30000 + (i % 97 == 0 ? 2000000000 : 0);
  for (std::size_t j = 0; j < n; ++j) sums[j] = static_cast<std::int32_t>(j * 37 % 101) - 50;
  for (std::size_t i = 0; i < of_row.size(); ++i) of_row[i] = static_cast<std::int32_t>(i * 1000) - 3000;
  std::vector<Parameters> parameters(n);
  for (std::size_t j = 0; j < n; ++j) parameters[j] = parameters_of(j);
  const epilogue stages{bias_per_row(of_row),
                        requantize_to_codes<Out>(std::span<const Parameters>(parameters), zero_point, low, high)};
  for (const std::size_t channels : {1U, 15U, 16U, 17U, 31U, 32U, 33U, 48U, 63U, 64U, 79U, 80U})
    for (std::size_t rows = 0; rows <= most_rows; ++rows) {
      std::vector<byte> y((most_rows + first_row) * n, byte{99});
      const matrix_view<byte> view(y.data(), most_rows + first_row, n);
      store_tile(tile.data(), ldt, rows, channels, factor, view, {first_row, first_channel, 0, sums.data()}, stages);
      bool same = true;
      for (std::size_t i = 0; i < most_rows + first_row; ++i)
        for (std::size_t j = 0; j < n; ++j) {
          std::int32_t want = 99;
          if (i >= first_row && i < first_row + rows && j >= first_channel && j < first_channel + channels) {
            const std::int32_t sum =
                tile[(i - first_row) * ldt + j - first_channel] + factor * sums[j] + of_row[i];
            want = requantize_to<Out>(sum, parameters[j], zero_point, low, high);
          }
          same = same && view(i, j) == want;
        }
      INFO("rows " << rows << ", channels " << channels << ", zero point " << zero_point);
      REQUIRE(same);
    }
}

}  // namespace

TEST_CASE("epilogue: tiles of bytes, whatever their extents") {
  constexpr auto even = +[](std::size_t j) {
    return fp32_nearest_even::parameters{0.001F + 0.0005F * static_cast<float>(j)};
  };
  constexpr auto divided = +[](std::size_t j) { return onnx::parameters{0.01F, 3.0F + static_cast<float>(j)}; };
  constexpr auto away = +[](std::size_t j) { return ncnn::parameters{0.004F + 0.0001F * static_cast<float>(j)}; };
  for (const std::int32_t factor : {0, 128}) {
    check_tiles_of_bytes<u8>(even, 128, 0, 255, factor);
    check_tiles_of_bytes<u8>(even, 0, 3, 250, factor);
    check_tiles_of_bytes<u8>(even, 255, 255, 255, factor);
    check_tiles_of_bytes<s8>(even, 0, -128, 127, factor);
    check_tiles_of_bytes<s8>(even, -128, -100, -3, factor);
    check_tiles_of_bytes<s8>(divided, 5, -7, 100, factor);
    check_tiles_of_bytes<u8>(away, 10, 0, 255, factor);
  }
}
