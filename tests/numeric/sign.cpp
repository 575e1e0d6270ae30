// SPDX-License-Identifier: MIT
#include <sparq/numeric/codec.hpp>
#include <sparq/numeric/sign.hpp>

#include "tests/support/catch.hpp"

#include <cstdint>
#include <type_traits>
#include <vector>

using namespace sparq;

namespace {

template <class N>
std::vector<int> packed(const std::vector<std::int8_t>& codes) {
  std::vector<std::byte> bytes(storage_bytes<N>(codes.size()), std::byte{0xAA});
  pack_codes<N>(codes, bytes.data());
  std::vector<int> values;
  for (const std::byte byte : bytes) values.push_back(std::to_integer<int>(byte));
  return values;
}

}  // namespace

TEST_CASE("sign: ternary has a code less than s2 and the same bytes") {
  STATIC_REQUIRE(ternary::bits == s2::bits);
  STATIC_REQUIRE(ternary::min_code == s2::min_code + 1);
  STATIC_REQUIRE(ternary::max_code == s2::max_code);
  CHECK(packed<ternary>({1, -1, 0, 1}) == std::vector{0x4D});
  CHECK(packed<s2>({1, -1, 0, 1}) == std::vector{0x4D});
}

TEST_CASE("sign: binary stores the sign bit, the first code in the low bit") {
  CHECK(packed<binary>({1, -1, -1, 1}) == std::vector{0x06});
  CHECK(packed<binary>({-1, 1, 1, 1, 1, 1, 1, -1, 1, -1}) == std::vector{0x81, 0x02});
  STATIC_REQUIRE(is_code<binary>(-1));
  STATIC_REQUIRE(!is_code<binary>(0));
  STATIC_REQUIRE(is_code<binary>(1));
  STATIC_REQUIRE(!has_zero_v<binary>);
  STATIC_REQUIRE(has_zero_v<ternary>);
}

TEST_CASE("sign: the sign of zero is plus") {
  STATIC_REQUIRE(binary::nearest(0.0F) == 1);
  STATIC_REQUIRE(binary::nearest(-0.0F) == 1);
  STATIC_REQUIRE(binary::nearest(-1e-30F) == -1);
}

TEST_CASE("sign: binary stays as it is only where every place is a weight") {
  STATIC_REQUIRE(std::is_same_v<packed_numeric_t<binary, true>, binary>);
  STATIC_REQUIRE(std::is_same_v<packed_numeric_t<binary>, ternary>);
  STATIC_REQUIRE(std::is_same_v<packed_numeric_t<ternary_dense5, true>, ternary>);
}

TEST_CASE("sign: five ternary codes are the digits of a byte to base 3") {
  STATIC_REQUIRE(storage_bytes<ternary_dense5>(0) == 0);
  STATIC_REQUIRE(storage_bytes<ternary_dense5>(5) == 1);
  STATIC_REQUIRE(storage_bytes<ternary_dense5>(6) == 2);
  CHECK(packed<ternary_dense5>({1, -1, 0, 1, -1}) == std::vector{1 + 2 * 3 + 0 * 9 + 1 * 27 + 2 * 81});
  CHECK(packed<ternary_dense5>({-1, -1, -1, -1, -1, 1, -1}) == std::vector{242, 7});
  CHECK(packed<ternary_dense5>({0, 0, 0, 0, 0, 0}) == std::vector{0, 0});
}

TEST_CASE("sign: all bytes of five ternary codes come back, and the thirteen that are never written read as codes") {
  for (int byte = 0; byte < 256; ++byte) {
    std::vector<std::int8_t> codes(5);
    const auto data = static_cast<std::byte>(byte);
    unpack_codes<ternary_dense5>(&data, codes);
    for (const std::int8_t code : codes) REQUIRE(is_code<ternary>(code));
    if (byte < 243) REQUIRE(packed<ternary_dense5>(codes) == std::vector{byte});
  }
}
