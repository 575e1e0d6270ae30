// SPDX-License-Identifier: MIT
#include <sparq/numeric/quantization_schema.hpp>
#include <sparq/numeric/requantize_fixed.hpp>
#include <sparq/numeric/scale_codes.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

using namespace sparq;

namespace {

std::vector<std::byte> bytes(std::initializer_list<int> values) {
  std::vector<std::byte> result;
  for (const int value : values) result.push_back(static_cast<std::byte>(value));
  return result;
}

}  // namespace

TEST_CASE("scale_codes: golden values of e8m0") {
  static_assert(e8m0::decode(127) == 1.0F && e8m0::encode(1.0F) == 127);
  CHECK(e8m0::decode(0) == 0x1p-127F);
  CHECK(e8m0::decode(1) == 0x1p-126F);
  CHECK(e8m0::decode(130) == 8.0F);
  CHECK(e8m0::decode(254) == 0x1p127F);
  CHECK(!e8m0::is_code(255));
  for (int code = 0; code < 255; ++code) {
    const auto byte = static_cast<std::uint8_t>(code);
    REQUIRE(e8m0::decode(byte) == std::ldexp(1.0F, code - 127));
    REQUIRE(e8m0::encode(e8m0::decode(byte)) == byte);
    if (code < 254 && code > 0)
      REQUIRE(e8m0::encode(std::nextafter(e8m0::decode(byte), 1e38F)) == code + 1);
  }
  CHECK(e8m0::encode(std::numeric_limits<float>::max()) == 254);
  CHECK(e8m0::encode(std::numeric_limits<float>::denorm_min()) == 0);
}

TEST_CASE("scale_codes: golden values of ue4m3") {
  static_assert(ue4m3::decode(0x38) == 1.0F && ue4m3::encode(1.0F) == 0x38);
  CHECK(ue4m3::decode(0) == 0.0F);
  CHECK(ue4m3::decode(0x01) == 0x1p-9F);
  CHECK(ue4m3::decode(0x07) == 0x7p-9F);
  CHECK(ue4m3::decode(0x08) == 0x1p-6F);
  CHECK(ue4m3::decode(0x30) == 0.5F);
  CHECK(ue4m3::decode(0x39) == 1.125F);
  CHECK(ue4m3::decode(0x78) == 256.0F);
  CHECK(ue4m3::decode(0x7E) == 448.0F);
  CHECK(!ue4m3::is_code(0x7F));
  CHECK(!ue4m3::is_code(0x80));
  for (int code = 0; code < 0x7F; ++code) {
    const auto byte = static_cast<std::uint8_t>(code);
    REQUIRE(ue4m3::encode(ue4m3::decode(byte)) == byte);
    if (code == 0x7E) break;
    const float here = ue4m3::decode(byte), next = ue4m3::decode(static_cast<std::uint8_t>(code + 1)),
                middle = (here + next) / 2;
    REQUIRE(ue4m3::encode(std::nextafter(middle, 0.0F)) == code);
    REQUIRE(ue4m3::encode(middle) == code + code % 2);
    REQUIRE(ue4m3::encode(std::nextafter(middle, 1e9F)) == code + 1);
  }
  CHECK(ue4m3::encode(1e30F) == 0x7E);
}

TEST_CASE("scale_codes: bytes become scales and scales bytes; what is no number is named") {
  CHECK(decode_scales<e8m0>(bytes({127, 126, 130})) == std::vector<float>{1.0F, 0.5F, 8.0F});
  CHECK(decode_scales<e8m0>(bytes({128, 0}), 0.5F) == std::vector<float>{1.0F, 0x1p-128F});
  CHECK(decode_scales<ue4m3>(bytes({0x38, 0, 0x7E}), 2.0F) == std::vector<float>{2.0F, 0.0F, 896.0F});
  CHECK(decode_scales<e8m0>({}).empty());
  CHECK(try_decode_scales<e8m0>(bytes({1, 255, 255})).error().message() ==
        "decode_scales: scale 1 is byte 255, no number in e8m0");
  CHECK(try_decode_scales<ue4m3>(bytes({1, 2, 127})).error().message() ==
        "decode_scales: scale 2 is byte 127, no number in ue4m3");
  CHECK(encode_scales<e8m0>(std::vector<float>{1.0F, 0.6F, 5.0F}) == bytes({127, 127, 130}));
  CHECK(encode_scales<ue4m3>(std::vector<float>{1.0F, 0.0001F, 1000.0F}) == bytes({0x38, 0, 0x7E}));
  for (const float wrong :
       {0.0F, -1.0F, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()})
    CHECK(!try_encode_scales<e8m0>(std::vector<float>{1.0F, wrong}).ok());
  CHECK(try_encode_scales<ue4m3>(std::vector<float>{1.0F, -2.0F}).error().message() ==
        "encode_scales: scale 1 is -2; scales are positive and finite");
  CHECK_THROWS(decode_scales<e8m0>(bytes({255})));
  CHECK_THROWS(encode_scales<e8m0>(std::vector<float>{0.0F}));
}

TEST_CASE("scale_codes: powers of two lie above what they stand for, as Glow's do, and requantize by a shift") {
  sparq_test::random_source random;
  INFO(random.text());
  CHECK(power_of_two_scale(0.25F) == 0.25F);
  CHECK(power_of_two_scale(std::numeric_limits<float>::denorm_min()) == 0x1p-126F);
  for (int turn = 0; turn < 2000; ++turn) {
    const float most = std::exp(random.real(-9.0F, 9.0F));
    const float scale = choose_quantization<s8>(-most, most, quantization_schema::symmetric).scale;
    const float power = power_of_two_scale(scale);
    REQUIRE(power >= scale);
    REQUIRE(power / 2 < scale);
    // Glow rounds the double that its float scale comes from
    const float glows = choose_quantization<s8>(-most, most, quantization_schema::symmetric_with_power2_scale).scale;
    if (scale < power && scale > power / 2 * 1.000001F) REQUIRE(power == glows);
    const float factor = power * 0x1p-7F / power_of_two_scale(random.real(0.01F, 3.0F));
    if (factor <= 1.0F && factor >= 0x1p-31F) REQUIRE(glow::from_real(factor).scale == 1);
  }
}
