// SPDX-License-Identifier: MIT
#include <sparq/simd/rows/x86_avx512_interleaved.hpp>

#include "tests/support/atom_check.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

using namespace sparq;

#if SPARQ_HAS_AVX512VNNI
namespace {

/// Sums of a block of interleaved rows equal those of plain arithmetic, less what the sums of the weights take back;
/// words that were kept give the same.
template <integer_numeric X, integer_numeric W, integer_numeric N>
void check_interleaved(std::size_t height, std::size_t k) {
  using atom = dot4_interleaved_avx512vnni<X, W>;
  using loader = typename atom::template loader<N>;
  constexpr std::size_t x_together = atom::interleaved_x;
  sparq_test::random_source random;
  const std::size_t turns = ceil_div(k, 4 * loader::groups), groups = turns * loader::groups;
  INFO(std::string(atom::name) << ", " << height << " rows, k " << k << ", " << random.text());

  std::vector<typename X::code> x(height * k);
  for (auto& element : x) element = sparq_test::random_element<atom, X>(random);
  std::vector<std::int8_t> packed(height * (x_together + round_up(groups * 4, x_together)) + 1, std::int8_t{77});
  for (std::size_t r = 0; r < height; ++r)
    atom::pack_row(x.data() + r * k, k, groups, height, packed.data() + r * x_together);
  REQUIRE(packed.back() == 77);

  std::vector<std::uint32_t> words(turns * atom::lanes), kept(groups * atom::lanes);
  std::vector<int> codes(atom::lanes * groups * 4);
  for (std::size_t g = 0; g < groups; ++g)
    for (std::size_t lane = 0; lane < atom::lanes; ++lane)
      for (std::size_t i = 0; i < 4; ++i)
        codes[(lane * groups + g) * 4 + i] = sparq_test::put_random_code<atom, N>(
            random, g % loader::groups, i, words[g / loader::groups * atom::lanes + lane]);

  for (std::size_t r = 0; r < height; ++r) {
    const std::int8_t* row = packed.data() + r * x_together;
    auto acc = atom::start(atom::zero(), row), again = acc;
    const auto x_of = [&](std::size_t g) {
      const std::size_t at = g * 4;
      return atom::broadcast(row + (1 + at / x_together) * height * x_together + at % x_together);
    };
    for (std::size_t turn = 0; turn < turns; ++turn)
      [&]<std::size_t... S>(std::index_sequence<S...>) {
        const auto step = [&](std::size_t g, const auto& word) {
          acc = atom::dot(acc, word, x_of(g));
          atom::keep(kept.data() + g * atom::lanes, word);
        };
        const auto raw = loader::load(words.data() + turn * atom::lanes);
        (step(turn * loader::groups + S, loader::template decode<S>(raw)), ...);
      }(std::make_index_sequence<loader::groups>{});
    using kept_loader = typename atom::template loader<typename atom::kept>;
    for (std::size_t g = 0; g < groups; ++g)
      again =
          atom::dot(again, kept_loader::template decode<0>(kept_loader::load(kept.data() + g * atom::lanes)), x_of(g));
    std::vector<std::int32_t> got(atom::lanes), got_again(atom::lanes), want(atom::lanes);
    atom::store(got.data(), acc);
    atom::store(got_again.data(), again);
    for (std::size_t lane = 0; lane < atom::lanes; ++lane) {
      for (std::size_t i = 0; i < k; ++i)
        want[lane] += (x[r * k + i] - atom::weight_sum_factor) * codes[lane * groups * 4 + i];
    }
    REQUIRE(got == want);
    REQUIRE(got_again == want);
  }
}

}  // namespace
#endif

TEST_CASE("x86_avx512_interleaved: rows of a block multiply every pair of signs exactly") {
#if SPARQ_HAS_AVX512VNNI
  for (const std::size_t height : {1U, 3U, 12U})
    for (const std::size_t k : {1U, 32U, 33U, 64U, 67U, 131U, 256U}) {
      check_interleaved<u8, s8, s8>(height, k);
      check_interleaved<s8, s8, s8>(height, k);
      check_interleaved<u8, u8, u8>(height, k);
      check_interleaved<s8, u8, u8>(height, k);
    }
  check_interleaved<u8, s8, s4>(5, 75);
  check_interleaved<s8, s8, s2>(4, 200);
  check_interleaved<u8, s8, binary>(2, 97);
  check_interleaved<u8, u8, u4>(6, 40);
#else
  CHECK_FALSE(native_isa.has(feature::avx512vnni));
#endif
}

TEST_CASE("x86_avx512_interleaved: what sums start from wraps as they do") {
#if SPARQ_HAS_AVX512VNNI
  using atom = dot4_interleaved_avx512vnni<s8, s8>;
  constexpr std::size_t k = 140000;
  const std::vector<std::int8_t> x(k, std::int8_t{-128});
  std::vector<std::int8_t> packed(atom::interleaved_x + k);
  atom::pack_row(x.data(), k, k / 4, 1, packed.data());
  std::int32_t start[atom::lanes];
  atom::store(start, atom::start(atom::zero(), packed.data()));
  CHECK(start[0] == static_cast<std::int32_t>(128U * 128U * k));
#else
  CHECK_FALSE(native_isa.has(feature::avx512vnni));
#endif
}
