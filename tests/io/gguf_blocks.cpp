// SPDX-License-Identifier: MIT
#include <sparq/io/gguf_blocks.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

using namespace sparq;
namespace gguf = sparq::gguf;

namespace {

std::string hex(const std::vector<std::byte>& bytes) {
  std::string text;
  for (const std::byte b : bytes) {
    text += "0123456789abcdef"[std::to_integer<unsigned>(b) >> 4];
    text += "0123456789abcdef"[std::to_integer<unsigned>(b) & 15U];
  }
  return text;
}

template <class Block>
std::vector<std::byte> quantized(const std::vector<float>& x) {
  std::vector<std::byte> blocks(x.size() / Block::elements * Block::bytes);
  gguf::quantize<Block>(x, blocks);
  return blocks;
}

template <class Block>
std::vector<float> dequantized(const std::vector<std::byte>& blocks) {
  std::vector<float> x(blocks.size() / Block::bytes * Block::elements);
  gguf::dequantize<Block>(blocks, x);
  return x;
}

/// One block of the numbers that the golden bytes come from.
template <class Block>
std::string golden() {
  std::vector<float> x;
  for (int i = 0; i < static_cast<int>(Block::elements); ++i)
    x.push_back(Block::elements == 256 ? static_cast<float>((i * 7 + i / 3) % 3 - 1) * 0.75F
                                       : static_cast<float>((i * 37) % 101 - 50) / 16.0F);
  return hex(quantized<Block>(x));
}

}  // namespace

TEST_CASE("gguf_blocks: bytes of ggml's reference functions") {
  CHECK(golden<gguf::q4_0>() == "4036e046acf258bd1379df358be046acf268");
  CHECK(golden<gguf::q4_1>() == "ab3640c2d0369bf257bd1369ce258ae0469cf258");
  CHECK(golden<gguf::q8_0>() == "4d2681df3d9af856b41270cd2b89e745a2005ebb1977d53390ee4caa0866c3217fdc");
  CHECK(golden<gguf::q8_1>() == "4d2616bb81df3d9af856b41270cd2b89e745a2005ebb1977d53390ee4caa0866c3217fdc");
  CHECK(golden<gguf::q1_0>() == "4e3ea4a52d6d69494b5b5ad2d29696b4b4a5");
  CHECK(golden<gguf::q2_0>() == "404214491649924592659164912459244916");
  CHECK(golden<gguf::mxfp4>() == "7e6fdb257ec946fea267ec146fda357eb0");
  CHECK(golden<gguf::nvfp4>() == "303030307fcb45fea956ee0266ed1267dc347fba45ffb956ee0167dd0267dc347fca56fe");
  CHECK(golden<gguf::tq1_0>() ==
        "12a3ba85b036e82d9012a3ba85b036e82d9012a3ba85b036e82d9012a3ba85b00ea8058eac84e42cf70ea8058eac84e4c8507946003a");
  CHECK(golden<gguf::tq2_0>() ==
        "9029522542a44a94099029522542a44a94099029522542a44a94099029522542522542a44a94099029522542a44a940990"
        "29522542a44a94099029522542a44a003a");
}

namespace {

/// Numbers of random blocks quantize back to themselves where the block is one that quantize can write, and what is
/// dequantized is at most `steps` steps of d away from the numbers.
template <class Block>
void check_round_trip(double steps) {
  sparq_test::random_source random;
  INFO(Block::name << ", " << random.text());
  for (int turn = 0; turn < 50; ++turn) {
    std::vector<float> x(Block::elements * 3);
    const float reach = std::exp(random.real(-2.0F, 8.0F));
    for (auto& v : x) v = random.chance(0.05) ? 0.0F : random.real(-reach, reach);
    if (turn == 0) x.assign(x.size(), 0.0F);
    const auto blocks = quantized<Block>(x);
    const auto back = dequantized<Block>(blocks);
    for (std::size_t i = 0; i < x.size(); ++i) REQUIRE(std::fabs(back[i] - x[i]) <= steps * reach + 1e-12);
  }
}

}  // namespace

TEST_CASE("gguf_blocks: numbers come back within the steps of their block") {
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
  check_round_trip<gguf::mxfp4>(0.26);
  check_round_trip<gguf::nvfp4>(0.26);
}

TEST_CASE("gguf_blocks: fifth bits belong to their elements") {
  std::vector<float> x(32);
  for (std::size_t i = 0; i < 32; ++i) x[i] = static_cast<float>(i);
  CHECK(dequantized<gguf::q5_1>(quantized<gguf::q5_1>(x)) == x);
  for (std::size_t i = 0; i < 32; ++i) x[i] = static_cast<float>(i) - 16;
  CHECK(dequantized<gguf::q5_0>(quantized<gguf::q5_0>(x)) == x);
  CHECK(hex(quantized<gguf::q5_0>(x)).substr(0, 12) == "003c0000ffff");  // d = 1, elements 16 and up have it
}

TEST_CASE("gguf_blocks: every byte of tq1_0 decodes to five digits, the fourth value of q2_0 to 2 d") {
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

TEST_CASE("gguf_blocks: ue4m3 and e8m0") {
  CHECK(gguf::half_of_e8m0(128) == 1.0F);
  CHECK(gguf::half_of_e8m0(0) == 0x1p-128F);
  CHECK(gguf::half_of_e8m0(1) == 0x1p-127F);
  CHECK(gguf::half_of_e8m0(255) == 0x1p127F);
  CHECK(gguf::half_of_ue4m3(0x7F) == 0.0F);
  for (int code = 1; code < 0x78; ++code)  // 0x78 and above are written as 0x7e
    REQUIRE(gguf::to_ue4m3(2 * gguf::half_of_ue4m3(static_cast<std::uint8_t>(code))) == code);
  CHECK(gguf::to_ue4m3(1000.0F) == 0x7E);
  CHECK(gguf::to_ue4m3(250.0F) == 0x7E);
  CHECK(gguf::to_ue4m3(-1.0F) == 0);
  CHECK(gguf::to_ue4m3(1.0625F) == 0x39);  // a tie between 1 and 1.125 goes up
}

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
