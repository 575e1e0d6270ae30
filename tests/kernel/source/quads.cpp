// SPDX-License-Identifier: MIT
#include <sparq/kernel/select.hpp>
#include <sparq/kernel/source/quads.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/column_atom_check.hpp"
#include "tests/support/operands.hpp"

#include <cstring>
#include <vector>

using namespace sparq;

namespace {

/// A block packed from quads is the block packed from rows.
template <class Atom>
void check_packing(sparq_test::random_source& random) {
  using code = typename Atom::x_code;
  constexpr std::size_t block = Atom::lanes * Atom::registers;
  const std::size_t rows = 1 + random.below(3 * block), k = 1 + random.below(150);
  const std::size_t stride = 4 * rows + random.below(9);
  std::vector<code> x((k + 3) / 4 * stride);
  sparq_test::fill_codes<numeric_of_t<code>>(x, sparq_test::value_style::any, random);
  const quad_rows<code> source{quad_view<const code>(x.data(), rows, k, stride)};
  std::vector<code> by_rows(rows * k);
  for (std::size_t r = 0; r < rows; ++r) {
    source.row(r, by_rows.data() + r * k);
    for (std::size_t i = 0; i < k; ++i) REQUIRE(by_rows[r * k + i] == x[i / 4 * stride + 4 * r + i % 4]);
  }
  const std::size_t first = random.below(rows), blocks = ceil_div(rows - first, block);
  const std::size_t block_k = round_up(k, run_of_v<Atom>);
  aligned_buffer memory(2 * blocks * block_k * block * sizeof(typename Atom::packed_x));
  auto* got = reinterpret_cast<typename Atom::packed_x*>(memory.data());
  source.template pack<Atom>(first, rows - first, k, got);

  // one group of k's, by both
  auto* want = got + blocks * block_k * block;
  for (std::size_t b = 0; b < blocks; ++b) {
    std::vector<const code*> pointers(block);
    for (std::size_t r = 0; r < block; ++r)
      pointers[r] = by_rows.data() + (std::min)(first + b * block + r, rows - 1) * k;
    Atom::pack_rows(pointers.data(), k, want);
    const std::size_t k0 = random.below(k) / 4 * 4;
    std::uint16_t list[4];
    typename Atom::weight weights[4];
    for (std::size_t i = 0; i < 4; ++i) {
      list[i] = static_cast<std::uint16_t>(k0 + i < k ? k0 + i : 0);
      weights[i] = static_cast<typename Atom::weight>(k0 + i < k ? random.between(0, 7) : 0);
    }
    std::vector<std::int32_t> sums[2];
    for (const bool second : {false, true}) {
      const auto* from = second ? want : got + b * block_k * block;
      sums[second].resize(block);
      sparq_test::add_one_group<Atom, Atom::registers>(from, list, weights, sums[second].data());
      sums[second].resize((std::min)(block, rows - first - b * block));
    }
    REQUIRE(sums[0] == sums[1]);
  }
}

}  // namespace

TEST_CASE("quads: blocks packed from quads multiply as blocks packed from rows") {
  sparq_test::random_source random;
  INFO(random.text());
  for (int trial = 0; trial < 100; ++trial) {
    check_packing<atom_for<u8, s8, column_shape<4, 4, 4>>>(random);
    check_packing<atom_for<s8, s8, column_shape<4, 4, 4>>>(random);
    check_packing<atom_for<u8, s4, column_shape<4, 4, 4>>>(random);
    check_packing<atom_for<s8, u4, column_shape<4, 4, 4>>>(random);
    check_packing<atom_for<u8, s8, column_shape<4, 4>>>(random);  // an atom that does not know quads
    check_packing<columns4_scalar<s8, s8>>(random);
  }
}

TEST_CASE("quads: channels beyond the last are zero, nothing else is touched") {
  std::vector<std::uint8_t> y(2 * 30, 0xCD);
  const quad_target<std::uint8_t> target{y.data(), 3, 6, 30};
  std::int32_t values[16];
  for (std::int32_t i = 0; i < 16; ++i) values[i] = 10 + i;
  target.store_lanes(lane_position{1, 0, 6, nullptr}, vec<std::int32_t>::load(values, 16));
  for (std::size_t i = 0; i < y.size(); ++i) {
    const std::size_t at = i % 30, quad = i / 30;
    const bool inside = at / 4 == 1;
    const std::size_t channel = 4 * quad + at % 4;
    REQUIRE(y[i] == (!inside ? 0xCD : channel < 6 ? 10 + channel : 0));
  }
}
