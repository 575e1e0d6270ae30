// SPDX-License-Identifier: MIT
#include <sparq/simd/rows/popcount.hpp>

#include <sparq/numeric/codec.hpp>
#include <sparq/tensor/packed.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <vector>

using namespace sparq;

namespace {

/// Every lane of an atom equals the sum of products, less what the packed form keeps as the channel's weight sum.
template <class Atom, class N>
void check_groups(std::size_t groups, sparq_test::random_source& random) {
  INFO(std::string(Atom::name) << ", " << groups << " groups, " << random.text());
  using loader = typename Atom::template loader<N>;
  const std::size_t k = groups * 32;
  // all disagree, all agree, or anything: the first fills the counters
  const bool is_random = random.chance(0.5);
  const bool x_sign = random.chance(0.5), w_sign = random.chance(0.5);
  const auto any_code = [&] {
    if (!is_random) return w_sign ? N::min_code : N::max_code;
    std::int32_t code = random.between(N::min_code, N::max_code);
    while (!is_code<N>(code)) code = random.between(N::min_code, N::max_code);
    return code;
  };
  std::vector<eight_bits> x(k / 8);
  std::vector<int> values(k);
  for (std::size_t i = 0; i < k; ++i) {
    const bool negative = is_random ? random.chance(0.5) : x_sign;
    values[i] = negative ? -1 : 1;
    x[i / 8] = static_cast<eight_bits>(static_cast<unsigned>(x[i / 8]) | static_cast<unsigned>(negative) << i % 8);
  }
  std::vector<eight_bits> packed(groups * Atom::group_x + 64);
  Atom::pack_row(x.data(), k, true, packed.data());

  std::vector<std::int32_t> got(Atom::lanes), want(Atom::lanes);
  auto acc = Atom::zero();
  for (std::size_t g = 0; g < groups; ++g) {
    std::vector<std::uint32_t> words(16 * Atom::planes);
    for (std::size_t lane = 0; lane < Atom::lanes; ++lane)
      for (std::size_t i = 0; i < 32; ++i) {
        const auto code = static_cast<typename N::code>(any_code());
        for (std::size_t plane = 0; plane < Atom::planes; ++plane)
          words[plane * 16 + lane] |= (detail::bits_of<N>(code) >> plane & 1U) << i;
        want[lane] += values[g * 32 + i] * code - Atom::weight_sum_factor * weight_sum_term<N, bit_panel_shape>(code);
      }
    const auto raw = loader::load(words.data());
    const auto step = [&]<std::size_t S>(std::integral_constant<std::size_t, S>) {
      const auto* at = packed.data() + g * Atom::group_x + S * (Atom::group_x / Atom::steps);
      acc = Atom::dot(acc, loader::template decode<S>(raw), Atom::broadcast(at));
    };
    [&]<std::size_t... S>(std::index_sequence<S...>) {
      (step(std::integral_constant<std::size_t, S>{}), ...);
    }(std::make_index_sequence<Atom::steps>{});
  }
  Atom::store(got.data(), acc);
  REQUIRE(got == want);
}

template <template <class> class Atom, class N>
void check_atom() {
  sparq_test::random_source random;
  std::size_t most = 40;
  if constexpr (requires { Atom<N>::max_groups; }) most = Atom<N>::max_groups;
  for (int trial = 0; trial < 40; ++trial)
    check_groups<Atom<N>, N>(random.chance(0.5) ? most : 1 + random.below(most), random);
}

template <template <class> class Atom>
void check_atoms() {
  check_atom<Atom, binary>();
  check_atom<Atom, ternary>();
  check_atom<Atom, s2>();
  check_atom<Atom, u2>();
  check_atom<Atom, s2_high_first>();
}

}  // namespace

TEST_CASE("popcount: atoms count every pair exactly, up to the groups that they take at once") {
  check_atoms<popcnt32_scalar>();
#if SPARQ_HAS_AVX2
  check_atoms<popcnt32_avx2>();
  check_atoms<popcnt32_row_avx2>();
#endif
#if SPARQ_HAS_AVX512VPOPCNTDQ
  check_atoms<popcnt32_avx512vpopcntdq>();
#endif
}

TEST_CASE("popcount: a packed row has zeros behind its last code") {
#if SPARQ_HAS_AVX2
  using atom = popcnt32_avx2<binary>;
  for (std::size_t k = 0; k < 300; ++k) {
    const std::vector<eight_bits> x((k + 7) / 8, eight_bits{0xff});
    std::vector<eight_bits> out((k + 31) / 32 * 64 + 1, eight_bits{0x55});
    atom::pack_row(x.data(), k, true, out.data());
    std::size_t ones = 0;
    for (std::size_t i = 0; i + 1 < out.size(); ++i)
      ones += static_cast<std::size_t>(std::popcount(static_cast<unsigned>(out[i])));
    REQUIRE(ones == 8 * k);  // once for each channel of a register
    REQUIRE(out.back() == eight_bits{0x55});
  }
#else
  CHECK_FALSE(native_isa.has(feature::avx2));
#endif
}

TEST_CASE("popcount: names say what is counted") {
  CHECK(popcnt32_scalar<binary>::name == "popcnt32_b1b1_scalar");
  CHECK(popcnt32_scalar<ternary>::name == "popcnt32_b1ternary_scalar");
  CHECK(popcnt32_scalar<s2>::name == "popcnt32_b1s2_scalar");
  CHECK(popcnt32_scalar<u2>::name == "popcnt32_b1u2_scalar");
}
