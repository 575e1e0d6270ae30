// SPDX-License-Identifier: MIT
#include <sparq/kernel/loop/columns.hpp>
#include <sparq/kernel/select.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

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

namespace {

/// Sums of one byte each that hold two groups, and three carries of them: a part ends after six groups.
struct carrying_atom {
  using acc_type = std::int32_t;
  static constexpr std::size_t lanes = 16, group_k = 4, max_groups = 2, max_carries = 3;
  using packed_x = std::uint8_t;
  using weight = std::int8_t;
  struct acc {
    std::int8_t lane[lanes];
    std::size_t added;
  };
  template <std::size_t V>
  struct x_group {
    const std::uint8_t* k[4];
  };
  template <std::size_t V>
  static x_group<V> load(const packed_x* block, const std::uint16_t* k) {
    return {{block + k[0] * lanes, block + k[1] * lanes, block + k[2] * lanes, block + k[3] * lanes}};
  }
  static acc zero() { return {}; }
  template <std::size_t V>
  static void add(acc (&sums)[V], const weight* w, const x_group<V>& x) {
    REQUIRE(++sums[0].added <= max_groups);
    for (std::size_t l = 0; l < lanes; ++l)
      for (std::size_t i = 0; i < 4; ++i)
        sums[0].lane[l] = static_cast<std::int8_t>(sums[0].lane[l] + w[i] * x.k[i][l]);
  }
  static void carry(acc& sums, acc* high) {
    REQUIRE(++high->added <= max_carries);
    for (std::size_t l = 0; l < lanes; ++l) high->lane[l] = static_cast<std::int8_t>(high->lane[l] + sums.lane[l]);
    sums = {};
  }
  static void add_sums(acc_type* p, acc sums, acc* high) {
    for (std::size_t l = 0; l < lanes; ++l) p[l] += sums.lane[l] + high->lane[l];
  }
};

}  // namespace

TEST_CASE("columns: sums that are carried, in sections of any length") {
  sparq_test::random_source random;
  INFO(random.text());
  constexpr std::size_t k = 9;
  std::uint8_t x[k * 16];
  for (auto& v : x) v = static_cast<std::uint8_t>(random.below(3));
  for (int trial = 0; trial < 200; ++trial) {
    column_section<2> section;
    for (auto& groups : section.groups) groups = static_cast<std::uint16_t>(random.chance(0.3) ? 0 : random.below(20));
    std::vector<std::uint16_t> lists;
    std::vector<std::int8_t> weights;
    std::vector<std::int32_t> tile(2 * 16, 7), want = tile;
    for (std::size_t step = 0; step < column_steps<2>::count; ++step)
      for (std::size_t g = 0; g < section.groups[step]; ++g)
        for (std::size_t set = 0; set < column_steps<2>::all[step].count; ++set) {
          const std::size_t list = lists.size();
          for (std::size_t i = 0; i < 4; ++i) lists.push_back(static_cast<std::uint16_t>(random.below(k)));
          for (std::size_t c = 0; c < 2; ++c)
            for (std::size_t i = 0; i < 4 && (column_steps<2>::all[step].sets[set] >> c & 1) != 0; ++i) {
              weights.push_back(static_cast<std::int8_t>(random.between(-1, 1)));
              for (std::size_t r = 0; r < 16; ++r) want[c * 16 + r] += weights.back() * x[lists[list + i] * 16 + r];
            }
        }
    add_section<carrying_atom, 2, 1>(section, x, lists.data(), weights.data(), tile.data(), 16);
    REQUIRE(tile == want);
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
