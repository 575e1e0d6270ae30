// SPDX-License-Identifier: MIT
#include <sparq/kernel/epilogue/tile_target.hpp>

#include "tests/support/catch.hpp"

#include <array>
#include <type_traits>

using namespace sparq;

TEST_CASE("tile_target: stores as the Y and the stages behind it do") {
  std::array<std::int32_t, 32> tile{};
  for (std::size_t i = 0; i < tile.size(); ++i) tile[i] = static_cast<std::int32_t>(i) - 10;
  const epilogue stages(clamp<std::int32_t>(-3, 12));
  std::array<std::int32_t, 20> direct{}, behind{};
  const matrix_view<std::int32_t> y(direct.data(), 2, 9, 10), other(behind.data(), 2, 9, 10);
  store_tile(tile.data(), 16, 2, 9, 0, y, {}, stages);
  const auto target = tile_target_of<std::int32_t>(other, stages);
  CHECK(target.rows == 2);
  store_tile(tile.data(), 16, 2, 9, 0, target, {}, stages_of_target{});
  CHECK(behind == direct);
  CHECK(behind[0] == -3);
  CHECK(behind[9] == 0);
  target.prefetch(1, 1, 4, 5);
  CHECK(behind == direct);
  STATIC_REQUIRE(std::is_trivially_copyable_v<tile_target<float>>);
}

TEST_CASE("tile_target: knows where rows of Y lie, and that other views have none") {
  std::array<std::int8_t, 64> memory{};
  const epilogue<> none;
  const matrix_view<std::int8_t> y(memory.data(), 4, 9, 13);
  const auto rows = tile_target_of<std::int32_t>(y, none);
  CHECK(rows.elements + rows.row_bytes * 2 + rows.element_bytes * 5 == reinterpret_cast<const std::byte*>(&y(2, 5)));
  const k_major_view<std::int8_t> by_columns(memory.data(), 4, 9, 4);
  const auto columns = tile_target_of<std::int32_t>(by_columns, none);
  CHECK(columns.elements == nullptr);
  CHECK(rows.store_column_sums != nullptr);  // of bytes alone
  std::array<std::int16_t, 36> words{};
  CHECK(tile_target_of<std::int32_t>(matrix_view<std::int16_t>(words.data(), 4, 9), none).store_column_sums == nullptr);
  CHECK(columns.store_column_sums != nullptr);
  const std::array<std::int8_t, 36> residual{};
  const epilogue needs_rows(add_scaled(matrix_view<const std::int8_t>(residual.data(), 4, 9), 1, 1, 0));
  CHECK(tile_target_of<std::int32_t>(by_columns, needs_rows).store_column_sums == nullptr);
  columns.prefetch(0, 4, 0, 9);
}

TEST_CASE("tile_target: rows that keep their numbers lie where the first one says") {
  std::array<std::int32_t, 36> memory{};
  const epilogue<> none;
  const machine::numbered_rows<std::int32_t> y{{memory.data(), 4, 9}, 100};
  CHECK(&y(102, 5) == &memory[2 * 9 + 5]);
  const auto rows = tile_target_of<std::int32_t>(y, none);
  CHECK(rows.first_row == 100);
  CHECK(rows.elements == reinterpret_cast<const std::byte*>(memory.data()));
  rows.prefetch(101, 3, 0, 9);
  const std::array<std::int32_t, 16> tile{1, 2, 3};
  store_tile(tile.data(), 16, 1, 9, 0, rows, {103, 0, 0, nullptr}, stages_of_target{});
  CHECK(memory[3 * 9 + 1] == 2);
}
