// SPDX-License-Identifier: MIT
#include <sparq/io/gguf_blocks.hpp>
#include <sparq/io/gguf_integer_blocks.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/gguf_rows.hpp"

#include <cmath>
#include <cstddef>
#include <vector>

using namespace sparq;
using namespace sparq_test;

TEST_CASE("gguf_blocks: sizes that are no blocks and numbers that are none are refused") {
  std::vector<float> x(33);
  std::vector<std::byte> blocks(18);
  CHECK(gguf::try_quantize<gguf::q4_0>(x, blocks).message() ==
        "q4_0: 33 numbers in 18 bytes; a block holds 32 in 18");
  x.resize(32);
  CHECK(!gguf::try_dequantize<gguf::q4_1>(blocks, x).ok());
  x[7] = NAN;
  CHECK(gguf::try_quantize<gguf::q4_0>(x, blocks).message() == "q4_0: number 7 is nan");
}

TEST_CASE("gguf_blocks: numbers too small for a scale become 0, and those too large are refused") {
  const auto small = [](auto type) {
    using block = decltype(type);
    const std::vector<float> x = dequantized<block>(quantized<block>(std::vector<float>(block::elements, 1e-40F)));
    for (const float number : x) REQUIRE(number == 0.0F);
  };
  small(gguf::q4_0{});
  small(gguf::q4_1{});
  small(gguf::q8_0{});
  small(gguf::tq2_0{});
  std::vector<float> x(64, 0.5F);
  x[40] = -1e9F;
  std::vector<std::byte> blocks(2 * gguf::q4_1::bytes, std::byte{7});
  CHECK(gguf::try_quantize<gguf::q4_1>(x, blocks).message() ==
        "q4_1: block 1 has numbers up to 1e+09, too large for its scale");
  CHECK(blocks == std::vector<std::byte>(blocks.size(), std::byte{7}));
  x[40] = 3e38F;
  x[41] = -3e38F;  // their difference overflows
  CHECK(!gguf::try_quantize<gguf::q4_1>(x, blocks).ok());
  x[40] = 500000.0F;  // 8 d
  x[41] = 0.0F;
  blocks.resize(2 * gguf::q4_0::bytes);
  CHECK(gguf::try_quantize<gguf::q4_0>(x, blocks).ok());
}
