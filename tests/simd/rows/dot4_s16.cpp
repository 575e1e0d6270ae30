// SPDX-License-Identifier: MIT
#include <sparq/simd/rows/dot4_s16.hpp>

#include "tests/support/atom_check.hpp"

using namespace sparq;

namespace {

template <class Atom, class N>
void check_groups() {
  for (const std::size_t groups : {4u, 64u, 124u}) sparq_test::check_atom<Atom, N>(groups);
}

}  // namespace

TEST_CASE("dot4_s16: atoms are exact up to the groups that they take at once") {
  check_groups<dot4_s16_scalar<s8>, s8>();
  check_groups<dot4_s16_scalar<s8>, ternary>();
#if SPARQ_HAS_AVX2
  STATIC_REQUIRE(dot4_s16_avx2<s8>::max_groups == 127);
  STATIC_REQUIRE(dot4_s16_avx2<u8>::max_groups == 64);
  check_groups<dot4_s16_avx2<s8>, s8>();
  check_groups<dot4_s16_avx2<s8>, s4>();
  sparq_test::check_atom<dot4_s16_avx2<u8>, u8>(64);
#endif
#if SPARQ_HAS_AVX512
  check_groups<dot4_s16_avx512<s8>, s8>();
  check_groups<dot4_s16_avx512<s8>, ternary>();
#endif
}

TEST_CASE("dot4_s16: the largest sums of all groups at once do not overflow") {
#if SPARQ_HAS_AVX2
  using atom = dot4_s16_avx2<s8>;
  const std::vector<std::int16_t> x(4, -32768);
  std::int16_t packed[64];
  atom::pack_row(x.data(), 4, true, packed);
  const std::vector<std::uint32_t> words(8, 0x80808080);
  auto acc = atom::zero();
  for (std::size_t g = 0; g < atom::max_groups; ++g) {
    const auto raw = atom::loader<s8>::load(words.data());
    acc = atom::dot(acc, atom::loader<s8>::decode<0>(raw), atom::broadcast(packed));
    acc = atom::dot(acc, atom::loader<s8>::decode<1>(raw), atom::broadcast(packed + 2));
  }
  std::int64_t sums[8] = {1, 2, 3, 4, 5, 6, 7, std::int64_t{1} << 40};
  atom::add(sums, acc);
  CHECK(sums[0] == 1 + (std::int64_t{127 * 4} << 22));
  CHECK(sums[7] == (std::int64_t{1} << 40) + (std::int64_t{127 * 4} << 22));
#else
  CHECK_FALSE(native_isa.has(feature::avx2));
#endif
}
