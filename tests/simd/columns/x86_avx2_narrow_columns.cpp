// SPDX-License-Identifier: MIT
#include <sparq/simd/columns/x86_avx2_narrow_columns.hpp>

#include "tests/support/column_atom_check.hpp"

#include <sparq/numeric/sign.hpp>

using namespace sparq;

#if SPARQ_HAS_AVX2

namespace {

/// As many groups and carries as the atom says it holds, all codes `w` and all x the same.
template <class Atom>
void check_extremes(std::int32_t w, typename Atom::x_code value) {
  alignas(64) typename Atom::packed_x block[4 * 32];
  const std::vector<typename Atom::x_code> row(4, value);
  std::vector<const typename Atom::x_code*> rows(32, row.data());
  Atom::pack_rows(rows.data(), 4, block);
  const std::uint16_t list[] = {0, 1, 2, 3};
  typename Atom::weight weights[4];
  for (auto& weight : weights) weight = static_cast<typename Atom::weight>(w);
  alignas(64) __m256i sums[2] = {}, carried[2] = {};
  std::int64_t groups = 0;
  const auto check = [&] {
    std::int32_t whole[32] = {};
    for (std::size_t v = 0; v < 2; ++v) {
      alignas(64) __m256i copy = carried[v];
      Atom::add_sums(whole + 16 * v, sums[v], &copy);
    }
    for (const std::int32_t sum : whole) REQUIRE(sum == groups * 4 * w * (value - Atom::weight_sum_factor));
  };
  for (std::size_t carries = 0;; ++carries) {
    for (std::size_t g = 0; g < Atom::max_groups; ++g, ++groups)
      Atom::template add<2>(sums, weights, Atom::template load<2>(block, list));
    check();
    if (carries == Atom::max_carries) break;
    for (std::size_t v = 0; v < 2; ++v) Atom::carry(sums[v], &carried[v]);
    check();
  }
}
template <class W, std::size_t Groups>
void check_limits() {
  INFO(std::string(W::name));
  for (const std::int32_t w : {W::min_code, W::max_code}) {
    for (const std::uint8_t x : {std::uint8_t{0}, std::uint8_t{127}, std::uint8_t{255}}) {
      check_extremes<columns4_narrow_avx2<u8, W::is_signed, Groups>>(w, x);
      check_extremes<quads4_narrow_avx2<u8, W::is_signed, Groups>>(w, x);
    }
    for (const std::int8_t x : {std::int8_t{-128}, std::int8_t{0}, std::int8_t{127}}) {
      check_extremes<columns4_narrow_avx2<s8, W::is_signed, Groups>>(w, x);
      check_extremes<quads4_narrow_avx2<s8, W::is_signed, Groups>>(w, x);
    }
  }
}

}  // namespace

TEST_CASE("narrow columns: one group, packed by rows and by columns") {
  sparq_test::check_column_atom<columns4_narrow_avx2<u8, true, 4>, s4>();
  sparq_test::check_column_atom<columns4_narrow_avx2<s8, true, 4>, s4>();
  sparq_test::check_column_atom<columns4_narrow_avx2<u8, false, 4>, u4>();
  sparq_test::check_column_atom<columns4_narrow_avx2<s8, true, 16>, ternary>();
  sparq_test::check_column_atom<quads4_narrow_avx2<u8, true, 4>, s4>();
  sparq_test::check_column_atom<quads4_narrow_avx2<s8, false, 4>, u4>();
  sparq_test::check_column_atom<quads4_narrow_avx2<s8, true, 16>, s2>();
}
TEST_CASE("narrow columns: as many groups as 16 bits hold, and no more") {
  STATIC_REQUIRE(machine::column_groups<s4> == 4);
  STATIC_REQUIRE(machine::column_groups<u4> == 4);
  STATIC_REQUIRE(machine::column_groups<s2> == 16);
  STATIC_REQUIRE(machine::column_groups<u2> == 21);
  STATIC_REQUIRE(machine::column_groups<ternary> == 31);
  STATIC_REQUIRE(5 * 4 * 255 * s4::min_code < -32768);
  STATIC_REQUIRE(5 * 4 * 255 * u4::max_code > 65535);
  check_limits<s4, 4>();
  check_limits<u4, 4>();
  check_limits<s3, 4>();
  check_limits<s2, 16>();
  check_limits<u2, 16>();
  check_limits<ternary, 16>();
  check_limits<u1, 16>();
}

#else
TEST_CASE("narrow columns: only AVX2 has atoms of its own") { CHECK_FALSE(native_isa.has(feature::avx2)); }
#endif
