// SPDX-License-Identifier: MIT
#include <sparq/io/gguf_integer_blocks.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/gguf_rows.hpp"
#include "tests/support/random.hpp"

#include <cstddef>
#include <vector>

using namespace sparq;
using namespace sparq_test;

TEST_CASE("gguf_integer_blocks: bytes of ggml's reference functions") {
  CHECK(golden<gguf::q4_0>() == "4036e046acf258bd1379df358be046acf268");
  CHECK(golden<gguf::q4_1>() == "ab3640c2d0369bf257bd1369ce258ae0469cf258");
  CHECK(golden<gguf::q8_0>() == "4d2681df3d9af856b41270cd2b89e745a2005ebb1977d53390ee4caa0866c3217fdc");
  CHECK(golden<gguf::q8_1>() == "4d2616bb81df3d9af856b41270cd2b89e745a2005ebb1977d53390ee4caa0866c3217fdc");
  CHECK(golden<gguf::q1_0>() == "4e3ea4a52d6d69494b5b5ad2d29696b4b4a5");
  CHECK(golden<gguf::q2_0>() == "404214491649924592659164912459244916");
  CHECK(golden<gguf::tq1_0>() ==
        "12a3ba85b036e82d9012a3ba85b036e82d9012a3ba85b036e82d9012a3ba85b00ea8058eac84e42cf70ea8058eac84e4c8507946003a");
  CHECK(golden<gguf::tq2_0>() ==
        "9029522542a44a94099029522542a44a94099029522542a44a94099029522542522542a44a94099029522542a44a940990"
        "29522542a44a94099029522542a44a003a");
}

TEST_CASE("gguf_integer_blocks: numbers come back within the steps of their block") {
  check_round_trip<gguf::q4_0>(1.1 / 8);  // the far end may lie one step away
  check_round_trip<gguf::q4_1>(1.1 / 15);
  check_round_trip<gguf::q5_0>(1.1 / 16);
  check_round_trip<gguf::q5_1>(1.1 / 31);
  check_round_trip<gguf::q8_0>(1.1 / 254);
  check_round_trip<gguf::q8_1>(1.1 / 254);
  check_round_trip<gguf::q1_0>(1.0);
  check_round_trip<gguf::q2_0>(0.51);
  check_round_trip<gguf::tq1_0>(0.51);
  check_round_trip<gguf::tq2_0>(0.51);
}

TEST_CASE("gguf_integer_blocks: fifth bits belong to their elements") {
  std::vector<float> x(32);
  for (std::size_t i = 0; i < 32; ++i) x[i] = static_cast<float>(i);
  CHECK(dequantized<gguf::q5_1>(quantized<gguf::q5_1>(x)) == x);
  for (std::size_t i = 0; i < 32; ++i) x[i] = static_cast<float>(i) - 16;
  CHECK(dequantized<gguf::q5_0>(quantized<gguf::q5_0>(x)) == x);
  CHECK(hex(quantized<gguf::q5_0>(x)).substr(0, 12) == "003c0000ffff");  // d = 1, elements 16 and up have it
}

TEST_CASE("gguf_integer_blocks: every byte of tq1_0 decodes to five digits, the fourth value of q2_0 to 2 d") {
  std::vector<std::byte> blocks(gguf::tq2_0::bytes, std::byte{0xFF});
  blocks[64] = std::byte{0x00};
  blocks[65] = std::byte{0x3C};
  for (const float v : dequantized<gguf::tq2_0>(blocks)) REQUIRE(v == 2.0F);
  sparq_test::random_source random;
  for (int turn = 0; turn < 200; ++turn) {
    std::vector<float> t(256);
    for (auto& v : t) v = static_cast<float>(random.between(-1, 1)) * 0.5F;
    t[0] = 0.5F;
    REQUIRE(dequantized<gguf::tq1_0>(quantized<gguf::tq1_0>(t)) == t);
    REQUIRE(dequantized<gguf::tq2_0>(quantized<gguf::tq2_0>(t)) == t);
  }
}
