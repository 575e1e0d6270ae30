// SPDX-License-Identifier: MIT
#include <sparq/simd/bits.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <vector>

using namespace sparq;

namespace {

std::vector<eight_bits> random_bytes(std::size_t count, sparq_test::random_source& random) {
  std::vector<eight_bits> bytes(count);
  for (auto& byte : bytes) byte = static_cast<eight_bits>(random.below(256));
  return bytes;
}
bool bit(const std::vector<eight_bits>& row, std::size_t i) {
  return (static_cast<unsigned>(row[i / 8]) >> i % 8 & 1) != 0;
}

}  // namespace

TEST_CASE("bits: a writer puts runs of any length behind each other") {
  sparq_test::random_source random;
  INFO(random.text());
  for (int trial = 0; trial < 300; ++trial) {
    std::vector<eight_bits> out(600, eight_bits{0xff});
    std::vector<bool> want;
    bit_writer writer(out.data());
    while (want.size() < 3000) {
      const std::size_t count = random.chance(0.3) ? 8 * random.below(20) : random.below(200);
      const std::size_t first = random.chance(0.5) ? 0 : random.below(64);
      if (random.chance(0.2)) {
        const bool value = random.chance(0.5);
        writer.fill(value, count);
        want.insert(want.end(), count, value);
      } else {
        // exactly the bytes that hold the run: the sanitizers see a read beyond them
        const auto row = random_bytes((first + count + 7) / 8, random);
        writer.copy(row.data(), first, count);
        for (std::size_t i = 0; i < count; ++i) want.push_back(bit(row, first + i));
      }
    }
    for (std::size_t i = 0; i < want.size(); ++i) REQUIRE(bit(out, i) == want[i]);
    for (std::size_t i = want.size(); i % 8 != 0; ++i) REQUIRE(!bit(out, i));
  }
}

TEST_CASE("bits: a copied row ends with zeros") {
  sparq_test::random_source random;
  INFO(random.text());
  for (std::size_t k = 0; k < 200; ++k) {
    const auto row = random_bytes((k + 7) / 8, random);
    std::vector<eight_bits> out(k / 8 + 2, eight_bits{0xaa});
    copy_bits(row.data(), k, out.data());
    for (std::size_t i = 0; i < k; ++i) REQUIRE(bit(out, i) == bit(row, i));
    for (std::size_t i = k; i % 8 != 0; ++i) REQUIRE(!bit(out, i));
    REQUIRE(out[(k + 7) / 8] == eight_bits{0xaa});
  }
}

TEST_CASE("bits: compaction keeps the bits of the mask in order") {
  sparq_test::random_source random;
  INFO(random.text());
  for (int trial = 0; trial < 500; ++trial) {
    const std::size_t k = random.below(400);
    const double density = random.chance(0.2) ? 1.0 : random.chance(0.2) ? 0.0 : 0.5;
    const auto row = random_bytes((k + 7) / 8, random);
    std::vector<std::uint64_t> mask((k + 63) / 64);
    std::vector<bool> want;
    for (std::size_t i = 0; i < k; ++i)
      if (random.chance(density)) {
        mask[i / 64] |= std::uint64_t{1} << i % 64;
        want.push_back(bit(row, i));
      }
    std::vector<eight_bits> out(k / 8 + 2 * bit_slack + 1, eight_bits{0xff});
    REQUIRE(compact_bits(row.data(), mask.data(), k, out.data()) == want.size());
    for (std::size_t i = 0; i < want.size(); ++i) REQUIRE(bit(out, i) == want[i]);
    for (std::size_t i = want.size(); i % 64 != 0; ++i) REQUIRE(!bit(out, i));
  }
}
