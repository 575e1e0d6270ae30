// SPDX-License-Identifier: MIT
// The rows loop by itself: which heights it takes, and panels of any geometry with atoms that no CPU has. The real
// atoms are in the matrix tests.
#include <sparq/kernel/loop/rows.hpp>

#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_n_m.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/simd/rows/x86_avx2_narrow.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/fake_atom.hpp"
#include "tests/support/matrix.hpp"

#include <array>

using namespace sparq;
using sparq_test::atom_geometry;
using sparq_test::with;

namespace {

template <std::size_t BlockRows>
struct atom_with_rows {
  static constexpr std::size_t block_rows = BlockRows;
};

/// The heights that cover `rows`.
template <std::size_t BlockRows>
std::vector<std::size_t> heights(std::size_t rows) {
  std::vector<std::size_t> result;
  while (rows != 0) {
    const std::size_t height = next_block_height<atom_with_rows<BlockRows>>(rows);
    REQUIRE(height >= 1);
    REQUIRE(height <= rows);
    REQUIRE(height <= BlockRows);
    result.push_back(height);
    rows -= height;
  }
  return result;
}

template <class Format, class Combination, std::size_t Channels, atom_geometry Geometry>
void check_geometry() {
  sparq_test::check_all_extents<Format, Combination, sparq_test::fake_atoms<Geometry>,
                                panel_shape<Channels, Geometry.group_k>>();
}

}  // namespace

TEST_CASE("rows: blocks cover any number of rows, and one row remains only where it has to") {
  using list = std::vector<std::size_t>;
  CHECK(heights<12>(12) == list{12});
  CHECK(heights<12>(13) == list{8, 5});
  CHECK(heights<12>(25) == list{12, 8, 5});
  CHECK(heights<12>(5) == list{5});
  CHECK(heights<12>(14) == list{8, 6});
  CHECK(heights<6>(7) == list{4, 3});
  CHECK(heights<6>(8) == list{4, 4});
  CHECK(heights<6>(9) == list{6, 3});
  CHECK(heights<6>(11) == list{6, 5});
  CHECK(heights<5>(5) == list{5});
  CHECK(heights<5>(8) == list{4, 4});
  CHECK(heights<6>(20) == list{6, 6, 4, 4});
  CHECK(heights<4>(1) == list{1});
  CHECK(heights<1>(3) == list{1, 1, 1});
  const auto no_single_row = [](const list& all) { return all == list{1} || all.back() != 1; };
  for (std::size_t rows = 1; rows < 60; ++rows) {
    INFO(rows << " rows");
    CHECK(no_single_row(heights<12>(rows)));
    CHECK(no_single_row(heights<6>(rows)));
    CHECK(no_single_row(heights<4>(rows)));
    heights<5>(rows);
    heights<2>(rows);
    heights<100>(rows);
  }
}

#if SPARQ_HAS_AVX2

TEST_CASE("rows: a block without groups is zero, whose sums would start with products") {
  using atom = dot4_narrow_avx2<u8, s4>;
  STATIC_REQUIRE(machine::starts_with_products_v<atom>);
  std::array<std::int32_t, 6 * 16> tile;
  tile.fill(7);
  rows_block<atom, s4, panel_shape<16, 4>, contiguous, all, 6, 2>(nullptr, 0, block_weights{}, tile.data(), 16);
  CHECK(tile == std::array<std::int32_t, 6 * 16>{});
}

#endif

// Fake atoms are the same in every build, and each takes a while to compile: once is enough.
#if !SPARQ_HAS_AVX2

TEST_CASE("rows: 4 channels of 4 k's") {
  constexpr atom_geometry geometry{.lanes = 4, .group_k = 4};
  check_geometry<dense, with<s8, u8>, 4, geometry>();
  check_geometry<tile_wise<4>, with<s8, u8>, 4, geometry>();
}

TEST_CASE("rows: registers of two lanes, strips of eight channels, blocks of three rows") {
  constexpr atom_geometry geometry{.lanes = 2, .group_k = 4, .block_rows = 3};
  check_geometry<n_m<2, 4>, with<s8, s8>, 8, geometry>();
}

TEST_CASE("rows: strips of an odd number of registers") {
  constexpr atom_geometry geometry{.lanes = 4, .group_k = 4, .block_rows = 5};
  check_geometry<dense, with<s8, u8>, 12, geometry>();
}

TEST_CASE("rows: groups of two k's, words that are widened in two steps, X with an offset") {
  constexpr atom_geometry geometry{.lanes = 4, .group_k = 2, .steps = 2, .block_rows = 2, .offset = 3};
  check_geometry<csr, with<u8, s8>, 8, geometry>();
  check_geometry<tile_wise<32>, with<s4, u8>, 8, geometry>();
}

TEST_CASE("rows: one k in a group, four groups in a word") {
  constexpr atom_geometry geometry{.lanes = 1, .group_k = 1, .block_rows = 1, .permute_reach = 1};
  check_geometry<n_m<2, 4>, with<s8, u8>, 3, geometry>();
}

TEST_CASE("rows: eight k's in a group") {
  constexpr atom_geometry geometry{
      .lanes = 4, .group_k = 8, .steps = 4, .block_rows = 4, .offset = -7, .permute_reach = 3};
  check_geometry<dense, with<s4, u8>, 4, geometry>();
}

TEST_CASE("rows: windows wider than a permute reaches are put together") {
  constexpr atom_geometry geometry{
      .lanes = 4, .group_k = 4, .steps = 2, .block_rows = 4, .offset = 5, .permute_reach = 3};
  check_geometry<n_m<5, 9>, with<s8, u8>, 8, geometry>();
  check_geometry<tile_n_m<20, 3, 8>, with<s4, u8>, 8, geometry>();
}

#endif
