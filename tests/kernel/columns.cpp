// SPDX-License-Identifier: MIT
#include <sparq/kernel/columns.hpp>
#include <sparq/kernel/select.hpp>

#include "tests/support/catch.hpp"

#include <vector>

using namespace sparq;

TEST_CASE("columns: a section adds to the sums that are there") {
  using atom = columns1_f32f32_scalar;
  column_section<2> section;
  section.groups = {1, 0, 1, 1};  // {0} with {1}; {0}; {1}; both
  const std::uint16_t lists[] = {3, 1, 0, 2};
  const float weights[] = {10, 20, 30, 40, 50};
  float x[4 * 16];
  for (std::size_t k = 0; k < 4; ++k)
    for (std::size_t r = 0; r < 16; ++r) x[k * 16 + r] = static_cast<float>(100 * k + r);
  std::vector<float> tile(2 * 16, 1.0F);
  add_section<atom, 2, 1>(section, x, lists, weights, tile.data(), 16);
  for (std::size_t r = 0; r < 16; ++r) {
    const auto at = [&](std::size_t k) { return x[k * 16 + r]; };
    CHECK(tile[r] == 1 + 10 * at(3) + 40 * at(2));
    CHECK(tile[16 + r] == 1 + 20 * at(1) + 30 * at(0) + 50 * at(2));
  }
}

TEST_CASE("columns: gathering gives the same sums") {
  using atom = gather1_f32f32_scalar;
  column_section<2> section;
  section.groups = {1, 0, 1, 1};
  const std::uint16_t lists[] = {3, 1, 0, 2};
  const float weights[] = {10, 20, 30, 40, 50}, x[] = {1, 2, 3, 4};
  float sums[2] = {1, 1};
  gather_section<atom, 2>(section, x, lists, weights, sums);
  CHECK(sums[0] == 1 + 10 * 4 + 40 * 3);
  CHECK(sums[1] == 1 + 20 * 2 + 30 * 1 + 50 * 3);
}
