// SPDX-License-Identifier: MIT
#include <sparq/base/memory.hpp>
#include <sparq/simd/narrow/x86_avx2_sign_tables.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <algorithm>
#include <string>
#include <vector>

using namespace sparq;

#if SPARQ_HAS_AVX2

namespace {

/// - `style`: 0 anything, 1 the largest X and all weights -1, whose sums are the largest
template <class Code>
void check_sign_tables(std::size_t k, int style, sparq_test::random_source& random) {
  INFO("k " << k << ", style " << style << ", signed " << std::is_signed_v<Code>);
  constexpr int offset = std::is_signed_v<Code> ? 128 : 0;
  std::vector<Code> x(k);
  for (auto& v : x) v = static_cast<Code>(style == 0 ? random.between(-offset, 255 - offset) : 255 - offset);
  const std::size_t count = (k + 31) / 32;
  std::vector<std::uint8_t> tables(count * machine::sign_table_bytes + 1, 0x5a);
  const std::int32_t total = machine::make_sign_tables(x.data(), k, tables.data());
  REQUIRE(tables.back() == 0x5a);
  std::vector<std::uint32_t> words(2 * count * 16);
  for (auto& word : words)
    word = style == 0 ? static_cast<std::uint32_t>(random.between(-2147483647 - 1, 2147483647)) : 0xffffffffU;
  std::int32_t sums[33] = {};
  sums[32] = 7;
  for (std::size_t i = 0; i < count; i += machine::sign_table_steps)
    machine::add_by_sign_tables(tables.data() + i * machine::sign_table_bytes, words.data() + i * 16,
                                words.data() + (count + i) * 16, (std::min)(count - i, machine::sign_table_steps),
                                sums);
  REQUIRE(sums[32] == 7);
  std::int32_t all = 0;
  for (const Code v : x) all += v + offset;
  REQUIRE(total == all);
  for (std::size_t c = 0; c < 32; ++c) {
    std::int32_t want = 0;
    for (std::size_t i = 0; i < k; ++i) {
      const std::uint32_t word = words[(c / 16 * count + i / 32) * 16 + c % 16];
      if ((word >> (i % 4 * 8 + i % 32 / 4) & 1) != 0) want += x[i] + offset;
    }
    INFO("channel " << c);
    REQUIRE(sums[c] == want);
  }
}

}  // namespace

TEST_CASE("x86_avx2_sign_tables: sums of those x whose bit is set") {
  sparq_test::random_source random;
  INFO(random.text());
  for (const std::size_t k :
       {0u, 1u, 4u, 31u, 32u, 33u, 63u, 64u, 65u, 255u, 256u, 257u, 300u, 512u, 2000u, 8448u, 8449u, 9000u})
    for (int style = 0; style < 2; ++style) {
      check_sign_tables<std::uint8_t>(k, style, random);
      check_sign_tables<std::int8_t>(k, style, random);
    }
}

#else

TEST_CASE("x86_avx2_sign_tables: not on this instruction set") { SUCCEED("needs AVX2"); }

#endif
