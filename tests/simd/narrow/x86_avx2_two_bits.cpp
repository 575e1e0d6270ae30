// SPDX-License-Identifier: MIT
#include <sparq/base/memory.hpp>
#include <sparq/simd/narrow/x86_avx2_two_bits.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <string>
#include <vector>

using namespace sparq;

#if SPARQ_HAS_AVX2

namespace {

/// - `style`: 0 anything, 1 the largest X and all weights 1, whose sums are the largest
template <class Code>
void check_two_bits(std::size_t k, int style, sparq_test::random_source& random) {
  INFO("k " << k << ", style " << style << ", signed " << std::is_signed_v<Code>);
  constexpr int offset = std::is_signed_v<Code> ? 128 : 0;
  std::vector<Code> x(k);
  for (auto& v : x) v = static_cast<Code>(style == 0 ? random.between(-offset, 255 - offset) : 255 - offset);
  const std::size_t count = (k + 15) / 16;
  std::vector<std::uint8_t> copied(count * 16 + 1, 0x5a);
  const std::int32_t total = machine::copy_row_and_sum(x.data(), k, copied.data());
  REQUIRE(copied.back() == 0x5a);
  std::vector<std::uint32_t> words(2 * count * 16);
  for (auto& word : words)
    word = style == 0 ? static_cast<std::uint32_t>(random.between(-2147483647 - 1, 2147483647)) : 0x55555555U;
  std::int32_t sums[33] = {};
  for (std::int32_t& sum : sums) sum = 7;
  machine::add_two_bits(copied.data(), words.data(), words.data() + count * 16, count, sums);
  REQUIRE(sums[32] == 7);
  std::int32_t all = 0;
  for (const Code v : x) all += v + offset;
  REQUIRE(total == all);
  for (std::size_t c = 0; c < 32; ++c) {
    std::int32_t want = 7;
    for (std::size_t i = 0; i < k; ++i) {
      const std::uint32_t word = words[(c / 16 * count + i / 16) * 16 + c % 16];
      const auto bits = static_cast<int>(word >> (i % 4 * 8 + i % 16 / 4 * 2) & 3);
      want += (bits ^ 2) * (x[i] + offset);
    }
    INFO("channel " << c);
    REQUIRE(sums[c] == want);
  }
}

}  // namespace

TEST_CASE("x86_avx2_two_bits: sums of (w + 2) x") {
  sparq_test::random_source random;
  INFO(random.text());
  for (const std::size_t k :
       {0u, 1u, 4u, 15u, 16u, 17u, 63u, 64u, 65u, 79u, 80u, 81u, 96u, 160u, 161u, 300u, 2000u, 9000u})
    for (int style = 0; style < 2; ++style) {
      check_two_bits<std::uint8_t>(k, style, random);
      check_two_bits<std::int8_t>(k, style, random);
    }
}

#else

TEST_CASE("x86_avx2_two_bits: not on this instruction set") { SUCCEED("needs AVX2"); }

#endif
