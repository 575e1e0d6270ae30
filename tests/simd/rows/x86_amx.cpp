// SPDX-License-Identifier: MIT
#include <sparq/simd/rows/x86_amx.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"
#include "tests/support/amx.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

using namespace sparq;

#if SPARQ_HAS_AMX_INT8
namespace {

std::uint8_t random_byte(sparq_test::random_source& random) {
  static constexpr std::uint8_t ends[] = {0, 127, 128, 255};
  return random.chance(0.5) ? random.pick(ends) : static_cast<std::uint8_t>(random.below(256));
}

/// R x V tiles of sums equal plain ones, and nothing around them changes.
template <bool SignedW, std::size_t R, std::size_t V>
void check_tiles(std::size_t groups, sparq_test::random_source& random) {
  using tiles = machine::byte_tiles<SignedW>;
  using x_code = std::conditional_t<SignedW, std::uint8_t, std::int8_t>;
  using w_code = std::conditional_t<SignedW, std::int8_t, std::uint8_t>;
  constexpr std::size_t rows = 16 * R, channels = 16 * V;
  const std::size_t ldx = groups * 4 + random.below(70), lds = channels + random.below(20);
  const std::size_t next_group = 16 * (1 + random.below(2)), next_tile = groups * next_group + random.below(9);
  std::vector<x_code> x(rows * ldx);
  for (x_code& code : x) code = static_cast<x_code>(random_byte(random));
  std::vector<w_code> w(4 * (V * next_tile + groups * next_group));
  for (w_code& code : w) code = static_cast<w_code>(random_byte(random));
  const auto weight = [&](std::size_t channel, std::size_t k) {
    return w[4 * (channel / 16 * next_tile + k / 4 * next_group + channel % 16) + k % 4];
  };

  std::vector<w_code> last(V * 1024);  // of 16 groups, those that whole tiles leave
  const std::size_t left = groups % 16;
  for (std::size_t channel = 0; channel < channels; ++channel)
    for (std::size_t k = 0; k < 4 * left; ++k)
      last[channel / 16 * 1024 + 64 * (16 - left + k / 4) + 4 * (channel % 16) + k % 4] =
          weight(channel, 4 * (groups - left) + k);

  std::vector<std::uint32_t> words(w.size() / 4), last_words(last.size() / 4);
  std::memcpy(words.data(), w.data(), w.size());
  std::memcpy(last_words.data(), last.data(), last.size());
  std::vector<std::int32_t> sums(rows * lds + 1, 7);
  {
    const typename tiles::scope scope(true);
    tiles::template multiply<R, V>(x.data(), ldx, {words.data(), next_tile, next_group, groups, last_words.data()},
                                   sums.data(), lds);
  }
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c = 0; c < lds; ++c) {
      std::int32_t want = 0;
      for (std::size_t k = 0; k < 4 * groups && c < channels; ++k) want += x[r * ldx + k] * weight(c, k);
      INFO(groups << " groups, row " << r << ", channel " << c);
      REQUIRE(sums[r * lds + c] == (c < channels ? want : 7));
    }
  CHECK(sums.back() == 7);
}

}  // namespace
#endif

TEST_CASE("x86_amx: tiles hold the sums of bytes, with groups that fill none") {
#if SPARQ_HAS_AMX_INT8
  const sparq_test::amx_in_use tiles;
  sparq_test::random_source random;
  INFO(random.text());
  for (const std::size_t groups : {16U, 17U, 19U, 31U, 32U, 33U, 47U, 48U, 100U}) {
    check_tiles<true, 2, 2>(groups, random);
    check_tiles<true, 2, 1>(groups, random);
    check_tiles<true, 1, 2>(groups, random);
    check_tiles<true, 1, 1>(groups, random);
    check_tiles<false, 2, 2>(groups, random);
    check_tiles<false, 2, 1>(groups, random);
    check_tiles<false, 1, 2>(groups, random);
    check_tiles<false, 1, 1>(groups, random);
  }
#else
  SUCCEED("compiled without AMX");
#endif
}
