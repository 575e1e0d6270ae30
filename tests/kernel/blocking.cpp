// SPDX-License-Identifier: MIT
#include <sparq/kernel/blocking.hpp>

#include <sparq/kernel/select.hpp>

#include "tests/support/catch.hpp"

using namespace sparq;

TEST_CASE("blocking: rows are packed in whole blocks") {
  using atom = atom_for<u8, s8, default_panel_shape<s8>>;
  for (const std::size_t bytes : {0u, 1u, 100u, 5000u, 1000000u}) {
    CHECK(blocking<atom>::rows(bytes) % atom::block_rows == 0);
    CHECK(blocking<atom>::rows(bytes) >= 4 * atom::block_rows);
  }
  CHECK(blocking<atom>::rows(1024) * 1024 <= blocking<atom>::x_bytes);
}
TEST_CASE("blocking: passes are as few as fit, of like size, in whole blocks") {
  using atom = atom_for<u8, s8, default_panel_shape<s8>>;
  constexpr std::size_t most = 8 * atom::block_rows;
  for (std::size_t m = 0; m <= 5 * most; ++m) {
    const std::size_t rows = blocking<atom>::rows_of_pass(m, most), passes = m == 0 ? 1 : (m + most - 1) / most;
    CAPTURE(m);
    CHECK(rows % atom::block_rows == 0);
    CHECK(rows <= most);
    CHECK(rows * passes >= m);
    CHECK(rows * passes < m + passes * atom::block_rows + passes);  // none is longer than it must be
  }
}
TEST_CASE("blocking: of the columns loop, never none") {
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, std::size_t{64 * 1024}, std::size_t{1} << 40})
    CHECK(column_blocking::blocks(bytes) >= 1);
  CHECK(column_blocking::blocks(1024) == column_blocking::x_bytes / 1024);
  CHECK(column_blocking::blocks(1024, true) == column_blocking::x_bytes / 1024);
  CHECK(column_blocking::blocks(1024, false, true) == column_blocking::x_bytes_of_chunks / 1024);
  CHECK(column_blocking::blocks(100 * 1024, true) <= column_blocking::blocks(100 * 1024));
  CHECK(column_blocking::blocks(std::size_t{1} << 40, true) == 1);
}
