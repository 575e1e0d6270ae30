// SPDX-License-Identifier: MIT
#include <sparq/numeric/codebook.hpp>

#include "tests/support/catch.hpp"

#include <algorithm>
#include <array>
#include <cmath>

using namespace sparq;

TEST_CASE("codebook: a table serves a tensor, a channel or a bucket") {
  CHECK(table_entries<codebook<4, s8, per_tensor>>(3, 100) == 16);
  CHECK(table_entries<codebook<3, s8, per_channel>>(3, 100) == 24);
  CHECK(table_entries<codebook<1, f32, per_bucket<256>>>(3, 100) == 4);
  CHECK(table_entries<codebook<8, f32, per_bucket<256>>>(0, 100) == 0);
  CHECK(table_start<codebook<4, s8, per_tensor>>(2, 99, 100) == 0);
  CHECK(table_start<codebook<4, s8, per_channel>>(2, 99, 100) == 32);
}

TEST_CASE("codebook: buckets run through the ends of channels") {
  using buckets = codebook<4, f32, per_bucket<256>>;
  CHECK(table_start<buckets>(2, 55, 100) == 0);   // weight 255
  CHECK(table_start<buckets>(2, 56, 100) == 16);  // weight 256
  CHECK(table_start<buckets>(5, 11, 100) == 16);
  CHECK(table_start<buckets>(5, 12, 100) == 32);  // weight 512
}

TEST_CASE("codebook: names tell types apart") {
  CHECK(codebook<4, s8, per_channel>::name == "codebook<4,s8,per_channel>");
  CHECK(codebook<5, f32, per_bucket<256>>::name == "codebook<5,f32,per_bucket<256>>");
  CHECK(codebook<5, f32, per_bucket<64>>::name == "codebook<5,f32,per_bucket<64>>");
  CHECK(codebook<8>::name == "codebook<8,s8,per_tensor>");
}

TEST_CASE("codebook: what is multiplied is the entry") {
  static_assert(std::is_same_v<entry_t<codebook<4, f32>>, f32> && std::is_same_v<entry_t<s4>, s4>);
  static_assert(codebook<4, s8>::is_integer && !codebook<4, f32>::is_integer);
  static_assert(has_tables<codebook<2>> && !has_tables<u8>);
}

TEST_CASE("codebook: tables of number formats") {
  for (std::size_t i = 0; i < 16; ++i) {
    const auto exponent = static_cast<int>(i >> 1 & 3);  // sign, two bits of exponent with bias 1, one of fraction
    const double magnitude =
        exponent == 0 ? static_cast<double>(i & 1) : std::ldexp(2.0 + static_cast<double>(i & 1), exponent - 1);
    CHECK(e2m1_doubled[i] == static_cast<std::int8_t>(i < 8 ? magnitude : -magnitude));
  }
  CHECK(std::is_sorted(nf4.begin(), nf4.end()));
  CHECK((nf4[0] == -1 && nf4[7] == 0 && nf4[15] == 1));
  for (std::size_t i = 0; i < 8; ++i) CHECK(fp4_bitsandbytes[i] == -fp4_bitsandbytes[i + 8]);
}

TEST_CASE("codebook: the code of zero is the first") {
  const std::array<std::int8_t, 4> table = {3, 0, -1, 0}, none = {1, 2, 3, 4};
  CHECK(zero_code<codebook<2>>(table.data()) == 1);
  CHECK(zero_code<codebook<2>>(none.data()) == 4);
  const std::array<float, 2> negative = {1, -0.0F};
  CHECK(zero_code<codebook<1, f32>>(negative.data()) == 1);
}
