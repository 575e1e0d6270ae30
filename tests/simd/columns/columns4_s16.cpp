// SPDX-License-Identifier: MIT
#include <sparq/simd/columns/columns4_s16.hpp>

#include "tests/support/column_atom_check.hpp"

using namespace sparq;

namespace {

template <numeric W>
void check_atoms() {
  sparq_test::check_column_atom<columns4_s16_scalar<W>, W>();
  sparq_test::check_gather_atom<gather4_s16_scalar<W>, W>();
#if SPARQ_HAS_AVX2
  sparq_test::check_column_atom<columns4_s16_avx2<W>, W>();
  sparq_test::check_gather_atom<gather4_s16_avx2<W>, W>();
#endif
}

}  // namespace

TEST_CASE("columns4_s16: atoms add groups and sum steps of every kind") {
  check_atoms<s8>();
  check_atoms<u8>();
}

#if SPARQ_HAS_AVX2

TEST_CASE("columns4_s16: lanes hold max_groups groups beside what a carry leaves, whatever their sign") {
  using atom = columns4_s16_avx2<s8>;
  for (const int w : {-128, 127})
    for (const int x : {-32768, 32767}) {
      alignas(64) std::int16_t block[16 * 4];
      for (auto& v : block) v = static_cast<std::int16_t>(x);
      const std::uint16_t list[] = {0, 1, 2, 3};
      const std::int16_t weights[] = {static_cast<std::int16_t>(w), static_cast<std::int16_t>(w),
                                      static_cast<std::int16_t>(w), static_cast<std::int16_t>(w)};
      atom::acc sums[2] = {_mm256_set1_epi32(65535), _mm256_set1_epi32(65535)};
      alignas(64) atom::acc high = atom::zero();
      for (std::size_t g = 0; g < atom::max_groups; ++g) atom::add<2>(sums, weights, atom::load<2>(block, list));
      for (int i = 0; i < 3; ++i) atom::carry(sums[1], &high);  // more than once changes nothing
      std::int64_t wide[8] = {};
      atom::add_sums(wide, sums[1], &high);
      for (const std::int64_t sum : wide)
        REQUIRE(sum == 65535 + static_cast<std::int64_t>(atom::max_groups) * 4 * x * w);
    }
}

TEST_CASE("columns4_s16: steps of more groups than int32 holds") {
  constexpr std::size_t groups = 400;
  const std::int16_t x[] = {-32768};
  const std::vector<std::uint16_t> list(groups * 4, 0);
  const std::vector<std::int8_t> w(groups * 4, -128);
  gather4_s16_avx2<s8>::step_sums<1, 1> sums;
  sums.add(groups, x, list.data(), w.data());
  std::int64_t all[4] = {0, 0, 5, 0};
  sums.add_to<2>(all);
  CHECK(all[2] == 5 + (static_cast<std::int64_t>(groups * 4) << 22));
}

#endif
