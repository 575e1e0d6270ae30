// SPDX-License-Identifier: MIT
#include <sparq/simd/isa.hpp>
#include <sparq/simd/narrow/x86_avx512_sign_tables.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <vector>

using namespace sparq;

#if SPARQ_HAS_AVX512VNNI && SPARQ_HAS_AVX512VBMI

namespace {

/// - `style`: 0 anything, 1 the largest X and all weights -1, whose sums are the largest
template <class Code>
void check_wide_sign_tables(std::size_t k, int style, sparq_test::random_source& random) {
  INFO("k " << k << ", style " << style << ", signed " << std::is_signed_v<Code>);
  constexpr int offset = std::is_signed_v<Code> ? 128 : 0;
  std::vector<Code> x(k);
  for (auto& v : x) v = static_cast<Code>(style == 0 ? random.between(-offset, 255 - offset) : 255 - offset);
  const std::size_t count = (k + 31) / 32;
  std::vector<std::uint8_t> tables(count * machine::wide_sign_table_bytes + 1, 0x5a);
  const std::int32_t total = machine::make_wide_sign_tables(x.data(), k, tables.data());
  REQUIRE(tables.back() == 0x5a);
  std::int32_t all = 0;
  for (const Code v : x) all += v + offset;
  REQUIRE(total == all);

  std::vector<std::uint32_t> words(8 * count * 16);
  for (auto& word : words)
    word = style == 0 ? static_cast<std::uint32_t>(random.between(-2147483647 - 1, 2147483647)) : 0xffffffffU;
  std::int32_t sums[129] = {}, of_one[17] = {};
  sums[128] = of_one[16] = 7;
  machine::add_by_wide_sign_tables<8>(tables.data(), words.data(), count, sums);
  machine::add_by_wide_sign_tables<1>(tables.data(), words.data() + 2 * count * 16, count, of_one);
  REQUIRE(sums[128] == 7);
  REQUIRE(of_one[16] == 7);
  for (std::size_t c = 0; c < 128; ++c) {
    std::int32_t want = 0;
    for (std::size_t i = 0; i < k; ++i)
      if ((words[(c / 16 * count + i / 32) * 16 + c % 16] >> (i % 4 * 8 + i % 32 / 4) & 1) != 0) want += x[i] + offset;
    INFO("channel " << c);
    REQUIRE(sums[c] == want);
    if (c / 16 == 2) REQUIRE(of_one[c % 16] == want);
  }
}

}  // namespace

TEST_CASE("x86_avx512_sign_tables: sums of those x whose bit is set") {
  sparq_test::random_source random;
  INFO(random.text());
  for (const std::size_t k : {0u, 1u, 4u, 15u, 16u, 17u, 31u, 32u, 33u, 63u, 64u, 65u, 255u, 256u, 257u, 2000u})
    for (int style = 0; style < 2; ++style) {
      check_wide_sign_tables<std::uint8_t>(k, style, random);
      check_wide_sign_tables<std::int8_t>(k, style, random);
    }
}

#else

TEST_CASE("x86_avx512_sign_tables: not on this instruction set") { CHECK_FALSE(native_isa.has(feature::avx512vbmi)); }

#endif
