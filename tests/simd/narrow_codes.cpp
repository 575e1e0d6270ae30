// SPDX-License-Identifier: MIT
#include <sparq/simd/narrow_codes.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <algorithm>
#include <vector>

using namespace sparq;

#define NARROW_TYPES \
  u4, s4, u2, s2, u1, u4_high_first, s4_high_first, u2_high_first, s2_high_first, u1_high_first, binary

TEMPLATE_TEST_CASE("narrow_codes: unpacking gives what the codec gives, from any element on", "", NARROW_TYPES) {
  sparq_test::random_source random;
  INFO(random.text());
  using code = typename TestType::code;
  for (std::size_t first = 0; first < 10; ++first)
    for (std::size_t count = 0; count < 150; ++count) {
      std::vector<std::byte> row(storage_bytes<TestType>(first + count));  // a sanitizer sees a read behind it
      for (auto& byte : row) byte = static_cast<std::byte>(random.below(256));
      std::vector<code> out(count + unpack_slack + 1, code{99});
      unpack_narrow<TestType>(row.data(), first, count, out.data());
      for (std::size_t i = 0; i < count; ++i) REQUIRE(out[i] == load_code<TestType>(row.data(), first + i));
      REQUIRE(out.back() == 99);
    }
}

TEMPLATE_TEST_CASE("narrow_codes: lanes saturate and take their place beside those before them", "", NARROW_TYPES) {
  sparq_test::random_source random;
  INFO(random.text());
  for (std::size_t first = 0; first < 20; ++first)
    for (std::size_t count = 1; count <= 16; ++count) {
      std::int32_t lanes[16];
      for (auto& lane : lanes)
        lane = random.chance(0.2) ? random.between(INT32_MIN, INT32_MAX) : random.between(-20, 20);
      const std::size_t bytes = storage_bytes<TestType>(first + count);
      std::vector<std::byte> row(bytes + 2);
      for (auto& byte : row) byte = static_cast<std::byte>(random.below(256));
      std::vector<std::byte> want = row;
      store_narrow<TestType>(row.data(), first, vec<std::int32_t>::load(lanes), count);

      constexpr std::size_t per_byte = 8 / static_cast<std::size_t>(TestType::bits);
      for (std::size_t i = 0; i < bytes * per_byte - first; ++i) {
        const std::int32_t lane = i < count ? lanes[i] : 0;
        const std::int32_t value =
            i < count ? std::clamp(lane, std::int32_t{TestType::min_code}, std::int32_t{TestType::max_code}) : 0;
        // of 0: the bit of +
        store_code<TestType>(want.data(), first + i, static_cast<typename TestType::code>(value));
      }
      REQUIRE(row == want);
    }
}
