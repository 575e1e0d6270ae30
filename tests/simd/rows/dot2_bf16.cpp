// SPDX-License-Identifier: MIT
#include <sparq/simd/rows/dot2_bf16.hpp>

#include "tests/support/atom_check.hpp"
#include "tests/support/brain_floats.hpp"

using namespace sparq;
using sparq_test::float_style;

namespace {

/// One word of W after the other onto the same sums equals the definition, bit for bit.
template <class Atom>
void check_sums(float_style style) {
  sparq_test::random_source random;
  INFO(std::string(Atom::name) << ", " << random.text());
  using loader = typename Atom::template loader<bf16>;
  static_assert(loader::groups == 2);
  for (int trial = 0; trial < 200; ++trial) {
    constexpr std::size_t count = 9;
    std::vector<brain_float> x(2 * count);
    for (auto& v : x) v = sparq_test::random_brain_float(style, random);
    std::vector<typename Atom::packed_x> packed(2 * count + 64);
    Atom::pack_row(x.data(), x.size(), true, packed.data());
    std::vector<std::uint32_t> words(count * Atom::lanes);
    std::vector<float> want(Atom::lanes), got(Atom::lanes);
    for (std::size_t i = 0; i < words.size(); ++i) {
      brain_float w[2];
      for (auto& v : w) v = sparq_test::random_brain_float(style, random);
      words[i] = w[0].bits | std::uint32_t{w[1].bits} << 16;
      float& sum = want[i % Atom::lanes];
      const std::size_t at = i / Atom::lanes * 2;
      sum = add_bf16_product(add_bf16_product(sum, x[at + 1], w[1]), x[at], w[0]);
    }
    auto acc = Atom::zero();
    {
      [[maybe_unused]] const machine::while_adding_t<Atom> scope;
      for (std::size_t i = 0; i < count; ++i) {
        const auto raw = loader::load(words.data() + i * Atom::lanes);
        constexpr std::size_t turns = 2 / machine::joined_groups_v<Atom>;
        constexpr std::size_t first = machine::group_of_turn<Atom>(0, 2);
        acc = Atom::dot(acc, loader::template decode<first>(raw), Atom::broadcast(packed.data() + 2 * i + first));
        if constexpr (turns == 2) {
          constexpr std::size_t last = machine::group_of_turn<Atom>(1, 2);
          acc = Atom::dot(acc, loader::template decode<last>(raw), Atom::broadcast(packed.data() + 2 * i + last));
        }
      }
      Atom::store(got.data(), acc);
    }
    for (std::size_t lane = 0; lane < Atom::lanes; ++lane) {
      INFO("lane " << lane << ": " << got[lane] << ", not " << want[lane]);
      REQUIRE(sparq_test::same_float(got[lane], want[lane]));
    }
  }
}

template <class Atom>
void check_all_styles() {
  check_sums<Atom>(float_style::plain);
  check_sums<Atom>(float_style::tiny);
  check_sums<Atom>(float_style::edge);
  check_sums<Atom>(float_style::special);
}

brain_float from_bits(std::uint16_t bits) {
  brain_float value;
  value.bits = bits;
  return value;
}

}  // namespace

TEST_CASE("dot2_bf16: every atom gives the bits of the definition") {
  check_all_styles<dot2_bf16_scalar>();
#if SPARQ_HAS_AVX2
  check_all_styles<dot2_bf16_avx2>();
#endif
#if SPARQ_HAS_AVX512
  check_all_styles<dot2_bf16_avx512>();
#endif
#if SPARQ_HAS_AVX512BF16
  check_all_styles<dot2_bf16_avx512bf16>();
#endif
}

TEST_CASE("dot2_bf16: the definition flushes denormal numbers with their sign, and rounds once") {
  const brain_float one(1.0F), tiny = from_bits(0x0080), minus_denormal = from_bits(0x807f);
  CHECK(add_bf16_product(0.0F, one, tiny) == 0x1p-126F);
  CHECK(add_bf16_product(2.0F, minus_denormal, from_bits(0x7f00)) == 2.0F);  // -2^-127 and more times 2^127
  CHECK(sparq_test::same_float(add_bf16_product(-0.0F, minus_denormal, one), -0.0F));
  CHECK(sparq_test::same_float(add_bf16_product(0.0F, from_bits(0x8100), from_bits(0x3e80)), -0.0F));  // -2^-125 / 4
  CHECK(add_bf16_product(0x1.8p-126F, tiny, brain_float(-0.25F)) == 0x1.4p-126F);
  CHECK(add_bf16_product(0x1p-126F, tiny, from_bits(0xb300)) == 0x1p-126F);           // 2^-126 (1 - 2^-25) is a tie
  CHECK(add_bf16_product(0x1p-126F, tiny, from_bits(0xb301)) == 0.0F);                // a little less is not normal
  CHECK(add_bf16_product(-0x1p127F, from_bits(0x7f00), brain_float(2.0F)) == 0x1p127F);  // the product alone overflows
  CHECK(add_bf16_product(1.0F, from_bits(0x7f80), brain_float()) != 1.0F);            // infinity times 0
}

#if SPARQ_HAS_AVX2
TEST_CASE("dot2_bf16: adding leaves MXCSR as it was") {
  const unsigned before = _mm_getcsr();
  const unsigned upwards = (before & ~0x6000U & ~0x3fU) | 0x4000U;
  _mm_setcsr(upwards);
  {
    const machine::denormals_as_zero scope;
    const unsigned inside = _mm_getcsr();
    const __m128 inexact = _mm_div_ss(_mm_set_ss(1.0F), _mm_set_ss(3.0F));
    volatile float third = _mm_cvtss_f32(inexact);
    CHECK(third == 1.0F / 3.0F);
    CHECK((inside & 0xffc0U) == 0x9fc0U);
  }
  const unsigned after = _mm_getcsr();
  _mm_setcsr(before);
  CHECK(after == upwards);
}
#endif

#if SPARQ_HAS_AVX512BF16
TEST_CASE("dot2_bf16: joined groups take their k's from one window or two, or from anywhere") {
  sparq_test::random_source random;
  INFO(random.text());
  const auto check = [&]<std::size_t Window>(std::integral_constant<std::size_t, Window>) {
    using atom = dot2_bf16_avx512bf16;
    using selector = atom::selector<Window>;
    for (int trial = 0; trial < 50; ++trial) {
      std::vector<brain_float> x(Window + 64);
      for (auto& v : x) v = sparq_test::random_brain_float(float_style::plain, random);
      const std::size_t distance = random.below(Window);
      const machine::second_group second{static_cast<std::ptrdiff_t>(distance), 16};
      std::vector<std::uint8_t> positions(32);
      for (std::size_t i = 0; i < 32; ++i)
        positions[i] = static_cast<std::uint8_t>(random.below(i < 16 ? Window : Window - distance));
      const std::uint8_t shared[2] = {positions[0], positions[16]};
      for (const bool is_shared : {false, true}) {
        const auto control = [&](std::size_t c) {
          return is_shared ? selector::make_shared(shared, second, c) : selector::make(positions.data(), second, c);
        };
        auto pairs = selector::select(x.data(), control(0));
        for (std::size_t c = 1; c < selector::chunks; ++c)
          pairs = selector::combine(pairs, selector::select(x.data() + c * selector::chunk, control(c)));
        std::uint16_t got[32];
        _mm512_storeu_si512(got, pairs);
        INFO("window " << Window << ", distance " << distance << (is_shared ? ", shared" : ", by lane"));
        for (std::size_t lane = 0; lane < 16; ++lane) {
          REQUIRE(got[2 * lane] == x[positions[is_shared ? 0 : lane]].bits);
          REQUIRE(got[2 * lane + 1] == x[distance + positions[16 + (is_shared ? 0 : lane)]].bits);
        }
      }
    }
    std::uint16_t got[32];
    std::vector<brain_float> x(2 * Window);
    for (auto& v : x) v = sparq_test::random_brain_float(float_style::plain, random);
    _mm512_storeu_si512(got, atom::broadcast(x.data() + Window, {-static_cast<std::ptrdiff_t>(Window), 16}));
    for (std::size_t lane = 0; lane < 16; ++lane)
      REQUIRE((got[2 * lane] == x[Window].bits && got[2 * lane + 1] == x[0].bits));
  };
  [&]<std::size_t... Window>(std::index_sequence<Window...>) {
    (check(std::integral_constant<std::size_t, Window>{}), ...);
  }(std::index_sequence<1, 4, 8, 16, 32, 33, 64, 65, 128>{});
}
#endif
