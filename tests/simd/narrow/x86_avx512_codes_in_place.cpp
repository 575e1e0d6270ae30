// SPDX-License-Identifier: MIT
#include <sparq/base/math.hpp>
#include <sparq/numeric/codec.hpp>
#include <sparq/numeric/integer.hpp>
#include <sparq/numeric/sign.hpp>
#include <sparq/simd/isa.hpp>
#include <sparq/simd/narrow/x86_avx512_codes_in_place.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <vector>

using namespace sparq;

#if SPARQ_HAS_AVX512VNNI

namespace {

/// - `style`: 0 anything, 1 the largest X and bits that are all set, 2 the largest X and the lowest signed codes
template <integer_numeric N, class Code>
void check_codes_in_place(std::size_t k, int style, sparq_test::random_source& random) {
  INFO(N::name << ", k " << k << ", style " << style << ", signed " << std::is_signed_v<Code>);
  using codes = machine::codes_in_place<N>;
  constexpr int offset = std::is_signed_v<Code> ? 128 : 0;
  std::vector<Code> x(k);
  for (auto& v : x) v = static_cast<Code>(style == 0 ? random.between(-offset, 255 - offset) : 255 - offset);
  const std::size_t count = (k + codes::word_k - 1) / codes::word_k;
  std::vector<std::uint8_t> copied(round_up(k, std::size_t{64}) + 1, 0x5a);
  const std::int32_t total = machine::copy_for_codes<N>(x.data(), k, copied.data());
  REQUIRE(copied.back() == 0x5a);

  constexpr std::size_t strips = 16 / codes::fields;
  std::vector<std::uint32_t> words(strips * count * 16);
  for (auto& word : words)
    word = style == 0   ? static_cast<std::uint32_t>(random.between(-2147483647 - 1, 2147483647))
           : style == 1 ? 0xffffffffU
                        : (codes::bits == 4 ? 0x88888888U : 0xaaaaaaaaU);
  std::int32_t sums[strips * 16 + 1] = {}, of_one[17] = {};
  sums[strips * 16] = of_one[16] = 7;
  machine::add_codes_in_place<N, strips>(copied.data(), words.data(), count, sums);
  machine::add_codes_in_place<N, 1>(copied.data(), words.data() + count * 16, count, of_one);
  REQUIRE(sums[strips * 16] == 7);
  REQUIRE(of_one[16] == 7);
  for (std::size_t c = 0; c < strips * 16; ++c) {
    std::int32_t want = 0;
    for (std::size_t i = 0; i < k; ++i) {
      const std::uint32_t word = words[(c / 16 * count + i / codes::word_k) * 16 + c % 16];
      const std::uint32_t bits = word >> (i % 4 * 8 + i % codes::word_k / 4 * codes::bits) & ((1U << codes::bits) - 1);
      want += int{detail::code_of<N>(bits)} * (x[i] + offset);
    }
    INFO("channel " << c);
    const auto corrected = [&](std::int32_t sum) { return codes::bits == 1 ? total - 2 * sum : sum - total; };
    REQUIRE(corrected(sums[c]) == want);
    if (c / 16 == 1) REQUIRE(corrected(of_one[c % 16]) == want);
  }
}

template <integer_numeric N>
void check_all(sparq_test::random_source& random) {
  for (const std::size_t k : {0u, 1u, 4u, 31u, 32u, 33u, 63u, 64u, 65u, 255u, 256u, 257u, 2000u})
    for (int style = 0; style < 3; ++style) {
      check_codes_in_place<N, std::uint8_t>(k, style, random);
      check_codes_in_place<N, std::int8_t>(k, style, random);
    }
}

}  // namespace

TEST_CASE("x86_avx512_codes_in_place: sums of x times codes as they lie") {
  sparq_test::random_source random;
  INFO(random.text());
  check_all<s4>(random);
  check_all<u4>(random);
  check_all<s2>(random);
  check_all<u2>(random);
  check_all<ternary>(random);
  check_all<binary>(random);
}

TEST_CASE("x86_avx512_codes_in_place: sums of as many k's as there may be stay exact") {
  sparq_test::random_source random;
  INFO(random.text());
  for (int style = 0; style < 3; ++style) {
    check_codes_in_place<s4, std::uint8_t>(machine::codes_in_place<s4>::most_k, style, random);
    check_codes_in_place<u4, std::uint8_t>(machine::codes_in_place<u4>::most_k, style, random);
    check_codes_in_place<s2, std::uint8_t>(machine::codes_in_place<s2>::most_k, style, random);
  }
}

#else

TEST_CASE("x86_avx512_codes_in_place: not on this instruction set") {
  CHECK_FALSE(native_isa.has(feature::avx512vnni));
}

#endif
