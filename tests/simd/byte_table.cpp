// SPDX-License-Identifier: MIT
#include <sparq/simd/byte_table.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <cstdint>
#include <vector>

TEST_CASE("byte_table: every byte at every place of a block, whatever the count") {
  sparq_test::random_source random;
  INFO(random.text());
  alignas(64) std::uint8_t table[256];
  for (auto& entry : table) entry = static_cast<std::uint8_t>(random.below(256));
  for (std::size_t count = 0; count < 200; ++count) {
    std::vector<std::uint8_t> in(count), out(count + 1, 0xCD);
    for (auto& byte : in) byte = static_cast<std::uint8_t>(random.below(256));
    sparq::look_up_bytes(table, in.data(), out.data(), count);
    for (std::size_t i = 0; i < count; ++i) REQUIRE(out[i] == table[in[i]]);
    REQUIRE(out[count] == 0xCD);
  }
  std::vector<std::uint8_t> all(256 * 64);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint8_t>(i + i / 256);
  std::vector<std::uint8_t> out = all;
  sparq::look_up_bytes(table, out.data(), out.data(), out.size());
  for (std::size_t i = 0; i < all.size(); ++i) REQUIRE(out[i] == table[all[i]]);
}
