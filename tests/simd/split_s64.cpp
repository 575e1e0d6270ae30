// SPDX-License-Identifier: MIT
#include <sparq/simd/split_s64.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <array>
#include <cstdint>

using sparq::vec;
using sparq::split_s64;

namespace {

using lanes32 = std::array<std::int32_t, 16>;
using lanes64 = std::array<std::int64_t, 16>;

lanes32 lanes_of(const vec<std::int32_t>& v) {
  lanes32 lanes;
  v.store(lanes.data());
  return lanes;
}

/// All 64 bits, by way of the two halves.
lanes64 lanes_of(const split_s64& v) {
  const lanes32 low = lanes_of(low_halves(v)), high = lanes_of(low_halves(v >> split_s64(32)));
  lanes64 lanes;
  for (std::size_t i = 0; i < 16; ++i)
    lanes[i] =
        static_cast<std::int64_t>(static_cast<std::uint64_t>(std::uint32_t(high[i])) << 32 | std::uint32_t(low[i]));
  return lanes;
}

std::int32_t any32(sparq_test::random_source& random) {
  constexpr std::int32_t edges[] = {INT32_MIN, INT32_MIN + 1, -1, 0, 1, INT32_MAX};
  if (random.chance(0.2)) return random.pick(edges);
  return random.between(INT32_MIN, INT32_MAX) >> random.below(31);
}

std::int64_t any64(sparq_test::random_source& random) {
  const auto high = static_cast<std::uint64_t>(std::uint32_t(any32(random)));
  return static_cast<std::int64_t>(high << 32 | std::uint32_t(any32(random))) >> random.below(63);
}

}  // namespace

TEST_CASE("split_s64: products, sums and shifts are those of 64-bit integers") {
  sparq_test::random_source random;
  INFO(random.text());
  for (int turn = 0; turn < 4000; ++turn) {
    lanes32 a, b;
    lanes64 c, d, counts;
    for (std::size_t i = 0; i < 16; ++i) {
      a[i] = any32(random);
      b[i] = any32(random);
      c[i] = any64(random);
      d[i] = any64(random);
      counts[i] = static_cast<std::int64_t>(random.below(64));
    }
    const auto va = vec<std::int32_t>::load(a.data()), vb = vec<std::int32_t>::load(b.data());
    const auto vc = split_s64::load(c.data());
    const lanes64 same = lanes_of(vc), wide = lanes_of(split_s64(va)), product = lanes_of(multiply(va, split_s64(vb)));
    const lanes64 sum = lanes_of(vc + split_s64::load(d.data())),
                  shifted = lanes_of(vc >> split_s64::load(counts.data()));
    const lanes32 halves = lanes_of(sparq::halves_at<31>(vc)), few = lanes_of(sparq::halves_at<5>(vc));
    const lanes64 clamped = lanes_of(clamp_lanes(vc, -1000, std::int64_t{1} << 47));
    const lanes32 saturated = lanes_of(saturate_to_s32(vc));
    for (std::size_t i = 0; i < 16; ++i) {
      REQUIRE(same[i] == c[i]);
      REQUIRE(wide[i] == a[i]);
      REQUIRE(product[i] == std::int64_t{a[i]} * b[i]);
      REQUIRE(sum[i] == static_cast<std::int64_t>(static_cast<std::uint64_t>(c[i]) + static_cast<std::uint64_t>(d[i])));
      REQUIRE(shifted[i] == c[i] >> counts[i]);
      REQUIRE(halves[i] == static_cast<std::int32_t>(c[i] >> 31));
      REQUIRE(few[i] == static_cast<std::int32_t>(c[i] >> 5));
      REQUIRE(clamped[i] == (c[i] < -1000 ? -1000 : c[i] > std::int64_t{1} << 47 ? std::int64_t{1} << 47 : c[i]));
      REQUIRE(saturated[i] == (c[i] > INT32_MAX ? INT32_MAX : c[i] < INT32_MIN ? INT32_MIN : c[i]));
    }
  }
}

TEST_CASE("split_s64: 64-bit numbers times unsigned ones wrap at 2^64") {
  sparq_test::random_source random;
  INFO(random.text());
  for (int turn = 0; turn < 4000; ++turn) {
    lanes64 a, b;
    for (std::size_t i = 0; i < 16; ++i) {
      a[i] = any64(random);
      b[i] = static_cast<std::int64_t>(std::uint32_t(any32(random)));
    }
    const lanes64 got = lanes_of(multiply_by_unsigned(split_s64::load(a.data()), split_s64::load(b.data())));
    for (std::size_t i = 0; i < 16; ++i)
      REQUIRE(got[i] == static_cast<std::int64_t>(static_cast<std::uint64_t>(a[i]) * static_cast<std::uint64_t>(b[i])));
  }
}
