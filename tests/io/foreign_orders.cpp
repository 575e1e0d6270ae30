// SPDX-License-Identifier: MIT
#include <sparq/io/foreign_orders.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

using namespace sparq;

namespace {

using byte_list = std::vector<unsigned>;

template <class Order, class Code>
byte_list packed(const std::vector<Code>& codes, weight_shape shape) {
  std::vector<std::byte> data(Order::bytes(shape), std::byte{0xFF});
  orders::pack<Order, Code>(codes, shape, data);
  std::vector<Code> back(codes.size());
  orders::unpack<Order, Code>(data, shape, back);
  CHECK(back == codes);
  byte_list bytes;
  for (const std::byte b : data) bytes.push_back(std::to_integer<unsigned>(b));
  return bytes;
}

using s8_codes = std::vector<std::int8_t>;
using u8_codes = std::vector<std::uint8_t>;

}  // namespace

TEST_CASE("foreign_orders: ONNX, TFLite, CMSIS-NN and oneDNN: the first code in the low bits, rows not padded") {
  CHECK(packed<orders::flat<4>>(s8_codes{1, 2, 3, 4}, {1, 4}) == byte_list{0x21, 0x43});
  CHECK(packed<orders::flat<4>>(s8_codes{-8, 7, -1, 5, 0, -2}, {2, 3}) == byte_list{0x78, 0x5F, 0xE0});
  // odd: one pad nibble at the end
  CHECK(packed<orders::flat<4>>(u8_codes{15, 0, 9}, {3, 1}) == byte_list{0x0F, 0x09});
  CHECK(packed<orders::flat<2>>(u8_codes{0, 1, 2, 3, 3}, {1, 5}) == byte_list{0xE4, 0x03});
  CHECK(packed<orders::flat<2>>(s8_codes{-2, -1, 0, 1}, {2, 2}) == byte_list{0x4E});
}

TEST_CASE("foreign_orders: bytes of bitsandbytes and PyTorch: the first code in the high bits") {
  CHECK(packed<orders::flat_high_first<4>>(u8_codes{1, 2, 3, 4, 5, 6}, {2, 3}) == byte_list{0x12, 0x34, 0x56});
  CHECK(packed<orders::rows_high_first<4>>(u8_codes{1, 2, 3, 4, 5, 6, 7, 8}, {2, 4}) ==
        byte_list{0x12, 0x34, 0x56, 0x78});
}

TEST_CASE("foreign_orders: bytes of ORT MatMulNBits: rows of whole blocks, zero points in rows of bytes") {
  std::vector<std::uint8_t> codes(2 * 18);
  std::iota(codes.begin(), codes.end(), std::uint8_t{0});
  for (auto& c : codes) c &= 15;
  const byte_list bytes = packed<orders::blocks_of_k<4, 16>>(codes, {2, 18});
  REQUIRE(bytes.size() == 2 * 2 * 8);
  CHECK(byte_list(bytes.begin(), bytes.begin() + 10) ==
        byte_list{0x10, 0x32, 0x54, 0x76, 0x98, 0xBA, 0xDC, 0xFE, 0x10, 0});
  CHECK(bytes[16] == 0x32);  // row 1 starts with code 18 & 15
  CHECK(packed<orders::rows<4>>(u8_codes{8, 7, 6, 1, 2, 3}, {2, 3}) == byte_list{0x78, 0x06, 0x21, 0x03});
}

TEST_CASE("foreign_orders: words of GPTQ go along k, and 3 bits straddle them") {
  // two channels, k = 32; channel 0 holds 5 at k = 10 (bits 30, 31 and 32) and 6 at k = 21 (bits 63, 64, 65)
  std::vector<std::uint8_t> codes(64, 0);
  codes[10] = 5;
  codes[21] = 6;
  codes[32] = 7;  // channel 1, k = 0
  const byte_list bytes = packed<orders::gptq<3>>(codes, {2, 32});
  std::vector<std::uint32_t> words(6);
  for (std::size_t i = 0; i < bytes.size(); ++i) words[i / 4] |= bytes[i] << i % 4 * 8;
  CHECK(words == std::vector<std::uint32_t>{0x40000000U, 7U, 0x00000001U, 0U, 0x3U, 0U});
  const byte_list four = packed<orders::gptq<4>>(u8_codes{1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0,
                                                          0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9}, {1, 32});
  CHECK(four == byte_list{0x21, 0x43, 0x65, 0x87, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x90});
}

TEST_CASE("foreign_orders: zero points of GPTQ are stored less one, along n") {
  std::vector<std::uint8_t> zeros(32 * 2, 8);  // 32 channels, 2 groups: [n][group]
  zeros[0] = 1;                                // channel 0, group 0
  zeros[3] = 16;                               // channel 1, group 1
  const byte_list bytes = packed<orders::gptq_zeros<4>>(zeros, {32, 2});
  CHECK(bytes[0] == 0x70);   // channel 0: 0, channel 1: 7
  CHECK(bytes[1] == 0x77);
  CHECK(bytes[16] == 0xF7);  // group 1: channel 1 holds 15
}

TEST_CASE("foreign_orders: nibbles of AWQ hold columns 0 2 4 6 1 3 5 7") {
  CHECK(packed<orders::awq>(u8_codes{0, 1, 2, 3, 4, 5, 6, 7}, {8, 1}) == byte_list{0x20, 0x64, 0x31, 0x75});
  std::vector<std::uint8_t> codes(16 * 2, 0);
  codes[9 * 2 + 1] = 0xA;  // column 9, k = 1: word 1 * 2 + 1, nibble 4
  byte_list want(16, 0);
  want[3 * 4 + 2] = 0x0A;
  CHECK(packed<orders::awq>(codes, {16, 2}) == want);
}

TEST_CASE("foreign_orders: bitnet's I2_S keeps a quarter of 128 codes in two bits of 32 bytes") {
  std::vector<std::int8_t> codes(128, 0);
  codes[0] = -1;
  codes[64] = 1;
  codes[96] = -1;
  codes[127] = 1;
  byte_list want(32, 0x55);
  want[0] = 0x18;   // 0, 1, 2, 0 from the top
  want[31] = 0x56;
  CHECK(packed<orders::i2_s>(codes, {2, 64}) == want);
}

namespace {

/// No two bits of codes share a place, and all are inside; random codes come back.
template <class Order, class Code>
void check_order(sparq_test::random_source& random, weight_shape shape) {
  INFO(Order::name << " " << to_string(shape));
  std::vector<bool> taken(Order::bytes(shape) * 8);
  for (std::size_t n = 0; n < shape.n; ++n)
    for (std::size_t k = 0; k < shape.k; ++k)
      for (int b = 0; b < Order::bits; ++b) {
        const std::size_t at = Order::bit(n, k, b, shape);
        REQUIRE(at < taken.size());
        REQUIRE(!taken[at]);
        taken[at] = true;
      }
  std::vector<Code> codes(shape.n * shape.k);
  constexpr int least = orders::detail::least_code_v<Order, Code>;
  for (auto& c : codes)
    c = static_cast<Code>(least + static_cast<int>(random.below(orders::detail::most_stored_v<Order> + 1U)));
  packed<Order>(codes, shape);
}

}  // namespace

TEST_CASE("foreign_orders: every order holds every code, whatever the shape it allows") {
  sparq_test::random_source random;
  INFO(random.text());
  for (std::size_t n = 0; n < 6; ++n)
    for (std::size_t k = 0; k < 40; k += 3) {
      check_order<orders::flat<1>, std::uint8_t>(random, {n, k});
      check_order<orders::flat<2>, std::int8_t>(random, {n, k});
      check_order<orders::flat_high_first<4>, std::int8_t>(random, {n, k});
      check_order<orders::rows<2>, std::uint8_t>(random, {n, k});
      check_order<orders::rows_high_first<4>, std::uint8_t>(random, {n, k});
      check_order<orders::blocks_of_k<4, 32>, std::uint8_t>(random, {n, k});
      check_order<orders::gptq<2>, std::uint8_t>(random, {n, 32 * (k / 3)});
      check_order<orders::gptq<3>, std::uint8_t>(random, {n, 32 * (k / 3)});
      check_order<orders::gptq<8>, std::uint8_t>(random, {n, 32 * (k / 3)});
      check_order<orders::gptq_zeros<3>, std::uint8_t>(random, {32 * n, k / 3});
      check_order<orders::awq, std::uint8_t>(random, {8 * n, k});
      check_order<orders::i2_s, std::int8_t>(random, {n, 128 * (k / 12)});
    }
}

TEST_CASE("foreign_orders: what an order cannot hold is refused") {
  const s8_codes codes{1, 2, 8, 0};
  std::vector<std::byte> two(2);
  CHECK(orders::try_pack<orders::flat<4>, std::int8_t>(codes, {2, 2}, two).message() ==
        "flat: code 8 at [n=1][k=0] is not in [-8, 7]");
  CHECK(orders::try_pack<orders::flat<4>, std::int8_t>(codes, {1, 4}, std::span(two).first(1)).message() ==
        "flat: 1 x 4 codes take 2 bytes; there are 4 codes and 1 bytes");
  CHECK(orders::try_pack<orders::gptq<4>, std::int8_t>(codes, {1, 4}, two).message() ==
        "gptq: k = 4 is no multiple of 32");
  CHECK(orders::try_pack<orders::awq, std::int8_t>(codes, {4, 1}, two).message() == "awq: n = 4 is no multiple of 8");
  CHECK(!orders::try_pack<orders::i2_s, std::int8_t>(codes, {2, 2}, two).ok());
  const std::size_t half = std::size_t{1} << 32;  // n k wraps to 0
  CHECK(orders::try_unpack<orders::awq, std::uint8_t>({}, {half, half}, {}).message() ==
        "awq: a matrix of 4294967296 x 4294967296 has an extent above 4294967295");
  CHECK(!orders::try_pack<orders::flat<4>, std::int8_t>({}, {half, half}, {}).ok());
  s8_codes ternary_codes(128, 0);
  ternary_codes[100] = 2;
  std::vector<std::byte> bytes(32, std::byte{0x55});
  CHECK(orders::try_pack<orders::i2_s, std::int8_t>(ternary_codes, {2, 64}, bytes).message() ==
        "i2_s: code 2 at [n=1][k=36] is not in [-1, 1]");
  bytes[4] = std::byte{0x57};
  const s8_codes before = ternary_codes;
  CHECK(orders::try_unpack<orders::i2_s, std::int8_t>(bytes, {2, 64}, ternary_codes).message() ==
        "i2_s: [n=1][k=36] has the bits of 3, which is no code");
  CHECK(ternary_codes == before);
  s8_codes out(3);
  CHECK(!orders::try_unpack<orders::flat<4>, std::int8_t>(two, {1, 4}, out).ok());
}
