// SPDX-License-Identifier: MIT
#include <sparq/kernel/source/narrow_rows.hpp>

#include "tests/support/catch.hpp"

#include <array>

using namespace sparq;

TEST_CASE("narrow_rows: rows are unpacked one after another, from any row and channel on") {
  const std::array bytes = {std::byte{0x21}, std::byte{0x03}, std::byte{0x54}, std::byte{0x06}};
  const narrow_matrix_view<const u4> view(bytes.data(), 2, 3);
  const auto source = narrow_rows_of(view, 1, 2);
  std::array<std::uint8_t, 2 + 64> row{};
  auto cursor = source.start(1);
  CHECK(cursor.next(row.data()) == row.data());
  CHECK(row[0] == 5);
  CHECK(row[1] == 6);
}

TEST_CASE("narrow_rows: a target stores channels behind its first one") {
  std::array<std::byte, 4> bytes{};
  const narrow_target target = narrow_target_of(narrow_matrix_view<s4>(bytes.data(), 2, 4), 1, 3);
  std::int32_t lanes[16] = {-100, 5, 100};
  target.store_lanes({1, 0, 3, nullptr}, vec<std::int32_t>::load(lanes));
  CHECK(bytes == std::array{std::byte{0}, std::byte{0}, std::byte{0x80}, std::byte{0x75}});
}

TEST_CASE("narrow_rows: pixels adjoin where they fill their bytes") {
  CHECK(machine::pixels_adjoin(machine::pixels_of(narrow_image_view<const u2>(nullptr, 1, 2, 2, 8))));
  CHECK_FALSE(machine::pixels_adjoin(machine::pixels_of(narrow_image_view<const u2>(nullptr, 1, 2, 2, 7))));
}
