// SPDX-License-Identifier: MIT
#include <sparq/numeric/codec.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <array>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string_view>
#include <vector>

namespace {

using sparq::packing_order;

template <int Bits, bool Signed, packing_order Order>
struct narrow {
  using code = std::int8_t;
  static constexpr int bits = Bits;
  static constexpr bool is_integer = true;
  static constexpr bool is_signed = Signed;
  static constexpr std::int32_t min_code = Signed ? -(1 << (Bits - 1)) : 0;
  static constexpr std::int32_t max_code = min_code + (1 << Bits) - 1;
  static constexpr packing_order order = Order;
  static constexpr std::string_view name = "narrow";
};
using own_s2 = narrow<2, true, packing_order::low_first>;
using own_u2_high_first = narrow<2, false, packing_order::high_first>;
using own_u1 = narrow<1, false, packing_order::low_first>;

template <class N>
typename N::code random_code(std::mt19937& random) {
  if constexpr (N::is_integer) {
    std::uniform_int_distribution<std::int32_t> any(N::min_code, N::max_code);
    std::int32_t code = any(random);
    while (!sparq::is_code<N>(code)) code = any(random);
    return static_cast<typename N::code>(code);
  } else {
    return std::uniform_real_distribution<float>(-2, 2)(random);
  }
}

template <class N>
std::vector<typename N::code> random_codes(std::size_t count, std::mt19937& random) {
  std::vector<typename N::code> codes(count);
  for (auto& code : codes) code = random_code<N>(random);
  return codes;
}

template <class N>
std::vector<std::byte> packed_bytes(const std::vector<typename N::code>& codes) {
  std::vector<std::byte> bytes(sparq::storage_bytes<N>(codes.size()), std::byte{0xAA});
  sparq::pack_codes<N>(codes, bytes.data());
  return bytes;
}

std::vector<std::byte> bytes_of(std::initializer_list<int> values) {
  std::vector<std::byte> bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

}  // namespace

TEST_CASE("codec: storage is ceil(count * bits / 8) bytes") {
  STATIC_REQUIRE(sparq::storage_bytes<sparq::s4>(0) == 0);
  STATIC_REQUIRE(sparq::storage_bytes<sparq::s4>(1) == 1);
  STATIC_REQUIRE(sparq::storage_bytes<sparq::s4>(2) == 1);
  STATIC_REQUIRE(sparq::storage_bytes<sparq::s4>(3) == 2);
  STATIC_REQUIRE(sparq::storage_bytes<own_s2>(5) == 2);
  STATIC_REQUIRE(sparq::storage_bytes<own_u1>(9) == 2);
  STATIC_REQUIRE(sparq::storage_bytes<sparq::s8>(7) == 7);
  STATIC_REQUIRE(sparq::storage_bytes<sparq::f32>(3) == 12);
  constexpr std::size_t many = std::size_t{1} << 59;  // 32 times as many bits are none in 64
  STATIC_REQUIRE(sparq::storage_bytes<sparq::f32>(many) == 4 * many);
  STATIC_REQUIRE(sparq::storage_bytes<sparq::s3>(many + 9) == many / 8 * 3 + 4);
}

TEST_CASE("codec: s4 writes the bytes of ONNX, TFLite and CMSIS-NN") {
  CHECK(packed_bytes<sparq::s4>({1, 2, 3, 4}) == bytes_of({0x21, 0x43}));
  CHECK(packed_bytes<sparq::s4>({-8, 7, -1}) == bytes_of({0x78, 0x0F}));
  CHECK(packed_bytes<sparq::s4>({-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7}) ==
        bytes_of({0x98, 0xBA, 0xDC, 0xFE, 0x10, 0x32, 0x54, 0x76}));
}

TEST_CASE("codec: s2, u2 and ternary write the bytes of ONNX and TFLite") {
  CHECK(packed_bytes<sparq::u2>({0, 1, 2, 3, 1}) == bytes_of({0xE4, 0x01}));
  CHECK(packed_bytes<sparq::s2>({-2, -1, 0, 1, -1}) == bytes_of({0x4E, 0x03}));
  CHECK(packed_bytes<sparq::ternary>({1, -1, 0, 1}) == bytes_of({0x4D}));
  CHECK(packed_bytes<sparq::u2_high_first>({0, 1, 2, 3}) == bytes_of({0x1B}));
  CHECK(packed_bytes<sparq::u4>({1, 15, 9}) == bytes_of({0xF1, 0x09}));
}

TEST_CASE("codec: codes of odd widths follow one another from the low bits") {
  CHECK(packed_bytes<sparq::s3>({1, 2, 3}) == bytes_of({0b11'010'001, 0b0}));
  CHECK(packed_bytes<sparq::s3>({-4, 3, -1, 0, 1, -2, 2, 3}) == bytes_of({0b11'011'100, 0b0'001'000'1, 0b011'010'11}));
  CHECK(packed_bytes<sparq::s5>({-16, 15, -1}) == bytes_of({0b111'10000, 0b0'11111'01}));
  CHECK(packed_bytes<sparq::s5>({-16, 15, -1, 1, 2, 3, -3, 4}) ==
        bytes_of({0xF0, 0xFD, 0x20, 0x46, 0x27}));
  CHECK(packed_bytes<sparq::u6>({63, 1, 32, 5}) == bytes_of({0b01'111111, 0b0000'0000, 0b000101'10}));
  CHECK(packed_bytes<sparq::u7>({127, 1, 64}) == bytes_of({0xFF, 0x00, 0x10}));
}

TEST_CASE("codec: s4_high_first writes the bytes of PyTorch int4pack") {
  CHECK(packed_bytes<sparq::s4_high_first>({1, 2, 3, 4}) == bytes_of({0x12, 0x34}));
  CHECK(packed_bytes<sparq::s4_high_first>({-8, 7, -1}) == bytes_of({0x87, 0xF0}));
}

TEST_CASE("codec: a user's 2-bit type packs four codes per byte in its order") {
  // ONNX INT2: x0 | x1 << 2 | x2 << 4 | x3 << 6
  CHECK(packed_bytes<own_s2>({1, -2, 0, -1, 1}) == bytes_of({0b11'00'10'01, 0b01}));
  CHECK(packed_bytes<own_u2_high_first>({1, 2, 0, 3, 1}) == bytes_of({0b01'10'00'11, 0b01'00'00'00}));
}

TEST_CASE("codec: codes of several bytes are little-endian") {
  CHECK(packed_bytes<sparq::s32>({0x01020304, -2}) == bytes_of({4, 3, 2, 1, 0xFE, 0xFF, 0xFF, 0xFF}));
  CHECK(packed_bytes<sparq::f32>({1.0f}) == bytes_of({0, 0, 0x80, 0x3F}));
}

TEST_CASE("codec: codes can be read and written in constant expressions") {
  constexpr std::array<std::byte, 2> bytes = [] {
    std::array<std::byte, 2> result{};
    sparq::store_code<sparq::s4>(result.data(), 0, 1);
    sparq::store_code<sparq::s4>(result.data(), 3, -4);
    return result;
  }();
  STATIC_REQUIRE(bytes[0] == std::byte{0x01});
  STATIC_REQUIRE(bytes[1] == std::byte{0xC0});
  STATIC_REQUIRE(sparq::load_code<sparq::s4>(bytes.data(), 3) == -4);
  STATIC_REQUIRE(sparq::load_code<sparq::u8>(bytes.data(), 1) == 0xC0);
  STATIC_REQUIRE(sparq::load_code<sparq::s8>(bytes.data(), 1) == -64);
}

TEMPLATE_TEST_CASE("codec: every count comes back, one by one and in bulk", "", sparq::s8, sparq::u8, sparq::s32,
                   sparq::f32, sparq::s4, sparq::s4_high_first, own_s2, own_u2_high_first, own_u1, sparq::s3, sparq::u5,
                   sparq::s6, sparq::u7, sparq::binary, sparq::ternary_dense5, sparq::pow2<3>, sparq::pow2<4>) {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  for (std::size_t count = 0; count <= 131; ++count) {
    INFO("count " << count);
    const auto codes = random_codes<TestType>(count, random);
    const auto bytes = packed_bytes<TestType>(codes);

    std::vector<typename TestType::code> bulk(count);
    sparq::unpack_codes<TestType>(bytes.data(), bulk);
    CHECK(bulk == codes);

    std::vector<typename TestType::code> single(count);
    for (std::size_t i = 0; i < count; ++i) single[i] = sparq::load_code<TestType>(bytes.data(), i);
    CHECK(single == codes);

    std::vector<std::byte> stored(bytes.size());
    for (std::size_t i = 0; i < count; ++i) sparq::store_code<TestType>(stored.data(), i, codes[i]);
    CHECK(stored == bytes);
  }
}

TEMPLATE_TEST_CASE("codec: the bits behind the last code are zero, whatever was there", "", sparq::s4,
                   sparq::s4_high_first, own_s2, own_u2_high_first, own_u1) {
  constexpr std::size_t per_byte = 8 / TestType::bits;
  for (std::size_t count = 1; count <= 3 * per_byte; ++count) {
    INFO("count " << count);
    const auto highest = static_cast<typename TestType::code>(TestType::is_signed ? -1 : TestType::max_code);
    const auto bytes = packed_bytes<TestType>(std::vector<typename TestType::code>(count, highest));
    for (std::size_t i = count; i < bytes.size() * per_byte; ++i)
      CHECK(sparq::load_code<TestType>(bytes.data(), i) == 0);
  }
}

TEMPLATE_TEST_CASE("codec: storing a code leaves the others as they are", "", sparq::s8, sparq::s32, sparq::s4,
                   sparq::s4_high_first, own_s2, own_u2_high_first, own_u1, sparq::s3, sparq::s5, sparq::u6, sparq::s7,
                   sparq::binary, sparq::ternary_dense5, sparq::pow2<3>) {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  auto codes = random_codes<TestType>(37, random);
  auto bytes = packed_bytes<TestType>(codes);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    INFO("i " << i);
    codes[i] = random_code<TestType>(random);
    sparq::store_code<TestType>(bytes.data(), i, codes[i]);
    CHECK(bytes == packed_bytes<TestType>(codes));
  }
}

TEST_CASE("codec: floats keep their bits, NaN payloads and the sign of zero included") {
  const std::vector<float> codes{0.0f, -0.0f, std::numeric_limits<float>::quiet_NaN(),
                                 -std::numeric_limits<float>::infinity(), std::numeric_limits<float>::denorm_min()};
  const auto bytes = packed_bytes<sparq::f32>(codes);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const float loaded = sparq::load_code<sparq::f32>(bytes.data(), i);
    CHECK(std::memcmp(&loaded, &codes[i], sizeof loaded) == 0);
  }
}
