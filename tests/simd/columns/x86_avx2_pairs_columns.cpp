// SPDX-License-Identifier: MIT
#include <sparq/simd/columns/x86_avx2_pairs_columns.hpp>

#include "tests/support/column_atom_check.hpp"

using namespace sparq;

#if SPARQ_HAS_AVX2

TEST_CASE("columns of pairs: one group, packed by rows and by columns") {
  sparq_test::check_column_atom<columns4_pairs_avx2<u8, s8_up_to_64>, s8_up_to_64>();
  sparq_test::check_column_atom<columns4_pairs_avx2<s8, s8_up_to_64>, s8_up_to_64>();
  sparq_test::check_column_atom<quads4_pairs_avx2<u8, s8_up_to_64>, s8_up_to_64>();
  sparq_test::check_column_atom<quads4_pairs_avx2<s8, s8_up_to_64>, s8_up_to_64>();
}
TEST_CASE("columns of pairs: X in quads as it lies") {
  sparq_test::random_source random;
  INFO(random.text());
  for (std::size_t count = 1; count <= 16; ++count) {
    std::vector<std::int8_t> x(3 * 64);
    for (auto& v : x) v = static_cast<std::int8_t>(random.between(-128, 127));
    alignas(64) std::uint8_t block[3 * 64];
    quads4_pairs_avx2<s8, s8_up_to_64>::pack_quads(x.data(), 64, 2, count, block);
    for (std::size_t q = 0; q < 2; ++q)
      for (std::size_t i = 0; i < 4 * count; ++i) REQUIRE(block[64 * q + i] == x[64 * q + i] + 128);
  }
}

#else
TEST_CASE("columns of pairs: only AVX2 has atoms of its own") { CHECK_FALSE(native_isa.has(feature::avx2)); }
#endif
