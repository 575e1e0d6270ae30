// SPDX-License-Identifier: MIT
#include <sparq/simd/vec_s64.hpp>

#include "tests/support/catch.hpp"

#include <vector>

using namespace sparq;
using lanes = vec<std::int64_t>;

namespace {

std::vector<std::int64_t> some_values() {
  std::vector<std::int64_t> values;
  for (std::int64_t i = 0; i < 16; ++i) values.push_back((i % 2 == 0 ? 1 : -1) * (i << (3 * i)));
  return values;
}

std::vector<std::int64_t> stored(const lanes& v) {
  std::vector<std::int64_t> result(16);
  v.store(result.data());
  return result;
}

}  // namespace

TEST_CASE("vec_s64: arithmetic works lane by lane") {
  const auto values = some_values();
  const lanes a = lanes::load(values.data()), b(7);
  const auto sum = stored(a + b), difference = stored(a - b), product = stored(a * b), low = stored(min(a, b)),
             high = stored(max(a, b));
  for (std::size_t i = 0; i < 16; ++i) {
    CHECK(sum[i] == values[i] + 7);
    CHECK(difference[i] == values[i] - 7);
    CHECK(product[i] == values[i] * 7);
    CHECK(low[i] == (values[i] < 7 ? values[i] : 7));
    CHECK(high[i] == (values[i] > 7 ? values[i] : 7));
  }
}

TEST_CASE("vec_s64: loads and stores of a few lanes stay inside them") {
  const auto values = some_values();
  for (std::size_t count = 0; count <= 16; ++count) {
    const std::vector<std::int64_t> few(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(count));
    const auto all = stored(lanes::load(few.data(), count));
    for (std::size_t i = 0; i < 16; ++i) REQUIRE(all[i] == (i < count ? values[i] : 0));
    std::vector<std::int64_t> out(17, 99);
    lanes(3).store(out.data(), count);
    std::vector<std::int16_t> shorts(17, 99);
    store_saturated_s16(shorts.data(), vec<std::int32_t>(-40000), count);
    for (std::size_t i = 0; i < 17; ++i) {
      REQUIRE(out[i] == (i < count ? 3 : 99));
      REQUIRE(shorts[i] == (i < count ? -32768 : 99));
    }
  }
}

TEST_CASE("vec_s64: conversions saturate and round to the nearest") {
  std::int64_t values[16] = {0, 5, -5, INT32_MAX, INT32_MIN, std::int64_t{INT32_MAX} + 1, std::int64_t{INT32_MIN} - 1,
                             INT64_MAX, INT64_MIN, (1 << 24) + 1, (1 << 24) + 3, 1, 2, 3, 4, -9};
  std::int32_t narrow[16];
  saturate_to_s32(lanes::load(values)).store(narrow);
  CHECK(std::vector<std::int32_t>(narrow, narrow + 9) ==
        std::vector<std::int32_t>{0, 5, -5, INT32_MAX, INT32_MIN, INT32_MAX, INT32_MIN, INT32_MAX, INT32_MIN});
  float floats[16];
  to_f32(lanes::load(values)).store(floats);
  CHECK(floats[9] == 16777216.0F);
  CHECK(floats[10] == 16777220.0F);
  CHECK(floats[8] == -0x1p63F);
  CHECK(stored(to_s64(vec<std::int32_t>::load(narrow)))[4] == INT32_MIN);
}
