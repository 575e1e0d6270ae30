// SPDX-License-Identifier: MIT
#include <sparq/numeric/look_up_table.hpp>

#include "tests/support/catch.hpp"

#include <cmath>
#include <cstdint>
#include <string>

using namespace sparq;

TEST_CASE("look_up_table: each code holds the quantized function of its number") {
  const activation_quantization x{0.05F, -3}, y{1.0F / 256, -128};
  const auto sigmoid = [](float v) { return 1.0F / (1.0F + std::exp(-v)); };
  const auto table = table_of<s8, s8>(x, y, sigmoid);
  for (std::int32_t code = -128; code <= 127; ++code) {
    const float value = sigmoid(0.05F * static_cast<float>(code + 3));
    const float steps = std::nearbyint(value * 256.0F);  // 1/256 divides exactly
    CHECK(table[static_cast<std::int8_t>(code)] == static_cast<int>(std::fmin(steps - 128, 127.0F)));
  }
}

TEST_CASE("look_up_table: codes may change their sign on the way") {
  constexpr auto table = table_of_codes<s8, u8>([](std::int8_t code) { return static_cast<std::uint8_t>(code + 128); });
  STATIC_REQUIRE(table[-128] == 0);
  STATIC_REQUIRE(table[127] == 255);
  STATIC_REQUIRE(table.entries[255] == 127);  // the byte of -1
  CHECK(try_table_of<s8, u8>({0.0F, 0}, {1.0F, 0}, [](float v) { return v; }).error().message().find("scale 0") !=
        std::string::npos);
  CHECK(table_of<u8, s8>({1.0F, 0}, {1.0F, 5}, [](float) { return NAN; })[7] == 5);
}
