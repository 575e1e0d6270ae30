// SPDX-License-Identifier: MIT
#include <sparq/base/memory.hpp>
#include <sparq/numeric/integer.hpp>
#include <sparq/numeric/sign.hpp>
#include <sparq/simd/narrow/x86_avx2_bit_tables.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <string>
#include <vector>

using namespace sparq;

#if SPARQ_HAS_AVX2

namespace {

/// What one k adds to the counts: planes of the weight, bit of x.
template <class W>
int count_of(unsigned p0, unsigned p1, unsigned b) {
  if constexpr (machine::bit_counts<W>::planes == 1)
    return static_cast<int>(p0 ^ b);
  else if constexpr (machine::bit_counts<W>::is_sign)
    return static_cast<int>(p0 & (p1 ^ b));
  else
    return static_cast<int>(p0 & b) + (W::is_signed ? -2 : 2) * static_cast<int>(p1 & b);
}

/// `words` words of 2 P rows and 32 channels against counting bit by bit.
/// - `style`: 0 anything, 1 all bits of W, 2 all bits of W and none of X, 3 the other way round, 4 all of both
template <class W, std::size_t P>
void check_bit_tables(std::size_t words, int style, sparq_test::random_source& random) {
  using counts = machine::bit_counts<W>;
  const auto bits = [&](bool all, bool none) {
    return none ? 0U : all ? 0xffffffffU : static_cast<std::uint32_t>(random.between(-2147483647 - 1, 2147483647));
  };
  std::vector<std::uint32_t> x(2 * P * words), w(2 * words * counts::planes * 16);
  for (auto& word : x) word = bits(style >= 3, style == 2);
  for (auto& word : w) word = bits(style == 1 || style == 2 || style == 4, style == 3);
  const std::size_t fields = (words * counts::word_lookups + counts::field_lookups - 1) / counts::field_lookups;
  const std::size_t lookups = fields * counts::field_lookups;
  aligned_buffer tables(lookups * P * 16), nibbles(lookups * 32), sums(2 * P * 128);
  machine::make_bit_tables<W, P>(reinterpret_cast<const eight_bits*>(x.data()), 4 * words, 4 * words,
                                 reinterpret_cast<std::uint8_t*>(tables.data()));
  auto* of_w = reinterpret_cast<std::uint8_t*>(nibbles.data());
  for (std::size_t i = 0; i < words; ++i)
    machine::split_bit_word<W>(&w[i * counts::planes * 16], &w[(words + i) * counts::planes * 16],
                               of_w + i * counts::word_lookups * 32);
  auto* got = reinterpret_cast<std::uint16_t*>(sums.data());
  for (std::size_t first = 0; first == 0 || first < fields; first += counts::part_fields) {
    const std::size_t part = fields - first < counts::part_fields ? fields - first : counts::part_fields;
    machine::count_by_tables<counts::field_lookups, P>(
        reinterpret_cast<const std::uint8_t*>(tables.data()) + first * counts::field_lookups * P * 16,
        of_w + first * counts::field_lookups * 32, part, first == 0, got, 64);
  }
  for (std::size_t r = 0; r < 2 * P; ++r) {
    std::int32_t of_row[32];
    for (std::size_t c = 0; c < 32; c += 16) machine::sums_of_counts(got + r * 64 + c, 7, of_row + c);
    for (std::size_t c = 0; c < 32; ++c) {
      int want = counts::offset * 8 * static_cast<int>(words);
      for (std::size_t k = 0; k < 32 * words; ++k) {
        const std::uint32_t* of_channel = &w[(c / 16 * words + k / 32) * counts::planes * 16 + c % 16];
        want += count_of<W>(of_channel[0] >> k % 32 & 1, of_channel[(counts::planes - 1) * 16] >> k % 32 & 1,
                            x[r * words + k / 32] >> k % 32 & 1);
      }
      INFO(std::string(W::name) << " pairs " << P << ", words " << words << ", style " << style << ", row " << r
                                << ", channel " << c);
      REQUIRE(got[r * 64 + c] == want);
      REQUIRE(of_row[c] == 7 - 2 * want);
    }
  }
}

template <class W>
void check_all() {
  sparq_test::random_source random;
  INFO(random.text());
  for (const std::size_t words : {0u, 1u, 2u, 5u, 7u, 8u, 9u, 17u}) {  // bytes are full after 2.6, 3.9 or 7.9 words
    for (int style = 0; style < 5; ++style) check_bit_tables<W, 1>(words, style, random);
    check_bit_tables<W, 2>(words, 0, random);
    check_bit_tables<W, 3>(words, 0, random);
    for (int style = 0; style < 5; ++style) check_bit_tables<W, 4>(words, style, random);
  }
}

}  // namespace

TEST_CASE("x86_avx2_bit_tables: counts equal those bit by bit") {
  check_all<binary>();
  check_all<ternary>();
  check_all<s2>();
  check_all<u2>();
}

#else

TEST_CASE("x86_avx2_bit_tables: not on this instruction set") { SUCCEED("needs AVX2"); }

#endif
