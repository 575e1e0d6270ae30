// SPDX-License-Identifier: MIT
#include <sparq/simd/vec.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <array>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>

using sparq::vec;

namespace {
template <class T>
std::array<T, 16> lanes_of(const vec<T>& v) {
  std::array<T, 16> lanes;
  v.store(lanes.data());
  return lanes;
}
}  // namespace

TEST_CASE("vec: arithmetic is lane by lane") {
  sparq_test::random_source random;
  INFO(random.text());
  std::array<std::int32_t, 16> a, b;
  for (std::size_t i = 0; i < 16; ++i) {
    a[i] = random.between(-30000, 30000);
    b[i] = random.between(-30000, 30000);
  }
  const auto x = vec<std::int32_t>::load(a.data()), y = vec<std::int32_t>::load(b.data());
  for (std::size_t i = 0; i < 16; ++i) {
    CHECK(lanes_of(x + y)[i] == a[i] + b[i]);
    CHECK(lanes_of(x - y)[i] == a[i] - b[i]);
    CHECK(lanes_of(x * y)[i] == a[i] * b[i]);
    CHECK(lanes_of(min(x, y))[i] == (std::min)(a[i], b[i]));
    CHECK(lanes_of(max(x, y))[i] == (std::max)(a[i], b[i]));
    CHECK(lanes_of(sparq::to_f32(x))[i] == static_cast<float>(a[i]));
  }
}

TEST_CASE("vec: integers wrap around, so that an offset which made a sum too large can be taken back") {
  constexpr std::int32_t most = std::numeric_limits<std::int32_t>::max(),
                         least = std::numeric_limits<std::int32_t>::min();
  const vec<std::int32_t> high(most), low(least), one(1), factor(128), large(30000000);
  CHECK(lanes_of(high + one)[7] == least);
  CHECK(lanes_of(low - one)[7] == most);
  CHECK(lanes_of(high + one - one)[0] == most);
  CHECK(lanes_of(factor * large)[15] == static_cast<std::int32_t>(128U * 30000000U));
}

TEST_CASE("vec: lanes are shifted by counts of their own, to the right towards minus infinity") {
  std::array<std::int32_t, 16> a, counts;
  for (std::size_t i = 0; i < 16; ++i) {
    a[i] = (i % 2 == 0 ? 1 : -1) * static_cast<std::int32_t>(123456789 + i);
    counts[i] = static_cast<std::int32_t>(2 * i + i % 2);
  }
  const auto x = vec<std::int32_t>::load(a.data()), by = vec<std::int32_t>::load(counts.data());
  for (std::size_t i = 0; i < 16; ++i) {
    CHECK(lanes_of(x >> by)[i] == a[i] >> counts[i]);
    CHECK(lanes_of(x << by)[i] == a[i] << counts[i]);
  }
}

#if SPARQ_HAS_AVX2
TEST_CASE("vec: a product and a sum are rounded once") {
  const vec<float> a(1 + 0x1p-12F);
  // rounded before, the product loses it
  CHECK(lanes_of(sparq::multiply_add(a, a, vec<float>(-1 - 0x1p-11F)))[3] == 0x1p-24F);
}
#endif

TEST_CASE("vec: rounds to nearest, ties to even, and saturates") {
  const float inputs[16] = {0.5F,  1.5F,  2.5F,  -0.5F, -1.5F, -2.5F,   0.49999997F, 3e9F,
                            -3e9F, 7.25F, -7.75F, 0.0F,  1e6F,  8388609, -8388609,    127.5F};
  const auto got = lanes_of(sparq::round_to_s32(vec<float>::load(inputs)));
  const std::int32_t want[16] = {0, 2, 2, 0, -2, -2, 0, 2147483520, std::numeric_limits<std::int32_t>::min(),
                                 7, -8, 0, 1000000, 8388609, -8388609, 128};
  for (std::size_t i = 0; i < 16; ++i) CHECK(got[i] == want[i]);
}

TEST_CASE("vec: least and largest take the second where neither is less, and NaN becomes an end") {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  const vec<float> zero(0.0F), negative_zero(-0.0F), one(1.0F), none(nan);
  for (std::size_t i = 0; i < 16; ++i) {
    CHECK(std::signbit(lanes_of(max(zero, negative_zero))[i]));
    CHECK(!std::signbit(lanes_of(max(negative_zero, zero))[i]));
    CHECK(std::signbit(lanes_of(min(zero, negative_zero))[i]));
    CHECK(!std::signbit(lanes_of(min(negative_zero, zero))[i]));
    CHECK(std::isnan(lanes_of(max(one, none))[i]));
    CHECK(lanes_of(max(none, one))[i] == 1.0F);
    CHECK(std::isnan(lanes_of(min(one, none))[i]));
    CHECK(lanes_of(min(none, one))[i] == 1.0F);
    CHECK(lanes_of(sparq::round_to_s32(none))[i] == 2147483520);
    CHECK(lanes_of(sparq::round_to_s32<sparq::rounding::down>(none))[i] == 2147483520);
    CHECK(lanes_of(sparq::round_to_s32(none, vec<float>(-7.0F), one))[i] == -7);
  }
}

TEST_CASE("vec: partial loads and stores touch what they are told and no more") {
  const std::int32_t source[3] = {5, 6, 7};
  const auto v = vec<std::int32_t>::load(source, 3);
  CHECK(lanes_of(v)[2] == 7);
  CHECK(lanes_of(v)[3] == 0);
  std::int32_t target[4] = {-1, -1, -1, -1};
  v.store(target, 3);
  CHECK(target[2] == 7);
  CHECK(target[3] == -1);
}

TEST_CASE("vec: bytes saturate, whatever the count") {
  std::int32_t lanes[16];
  for (std::int32_t i = 0; i < 16; ++i) lanes[i] = (i - 8) * 40;
  const auto v = vec<std::int32_t>::load(lanes);
  for (std::size_t count = 0; count <= 16; ++count) {
    std::uint8_t u[17];
    std::int8_t s[17];
    std::fill(std::begin(u), std::end(u), std::uint8_t{99});
    std::fill(std::begin(s), std::end(s), std::int8_t{99});
    sparq::store_saturated(u, v, count);
    sparq::store_saturated(s, v, count);
    for (std::size_t i = 0; i < 17; ++i) {
      const std::int32_t lane = i < 16 ? lanes[i] : 0;
      CHECK(u[i] == (i < count ? (std::min)((std::max)(lane, 0), 255) : 99));
      CHECK(s[i] == (i < count ? (std::min)((std::max)(lane, -128), 127) : 99));
    }
  }
}

TEST_CASE("vec: codes that are in range are stored as they are") {
  std::int32_t lanes[16], signed_lanes[16];
  for (int i = 0; i < 16; ++i) lanes[i] = i == 3 ? 255 : i * 16, signed_lanes[i] = i == 5 ? 127 : i * 16 - 128;
  for (std::size_t count = 0; count <= 16; ++count) {
    std::uint8_t u[17];
    std::int8_t s[17];
    std::fill(std::begin(u), std::end(u), std::uint8_t{99});
    std::fill(std::begin(s), std::end(s), std::int8_t{99});
    sparq::store_saturated<true>(u, sparq::vec<std::int32_t>::load(lanes), count);
    sparq::store_saturated<true>(s, sparq::vec<std::int32_t>::load(signed_lanes), count);
    for (std::size_t i = 0; i < 17; ++i) {
      CHECK(u[i] == (i < count ? lanes[i] : 99));
      CHECK(s[i] == (i < count ? signed_lanes[i] : 99));
    }
  }
}

namespace {
template <class T>
void check_load_codes() {
  T codes[17];
  for (std::size_t i = 0; i < 17; ++i) codes[i] = static_cast<T>(i % 2 == 0 ? 120 + i : 140 - 37 * i);
  for (std::size_t count = 0; count <= 16; ++count) {
    const auto lanes = lanes_of(sparq::load_codes(codes + 1, count));
    for (std::size_t i = 0; i < 16; ++i) CHECK(lanes[i] == (i < count ? std::int32_t{codes[i + 1]} : 0));
  }
}
}  // namespace

TEST_CASE("vec: integers of any width become lanes, whatever the count") {
  check_load_codes<std::int8_t>();
  check_load_codes<std::uint8_t>();
  check_load_codes<std::int16_t>();
  check_load_codes<std::int32_t>();
}
