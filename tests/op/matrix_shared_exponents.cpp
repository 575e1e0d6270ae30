// SPDX-License-Identifier: MIT
// Weights of four bits with a scale of one byte for each 32 or 16 of them, as MXFP4 and NVFP4 files hold them.
#include <sparq/format/dense.hpp>
#include <sparq/io/gguf_float_blocks.hpp>
#include <sparq/numeric/scale_codes.hpp>
#include <sparq/op/gemm.hpp>
#include <sparq/tensor/encode_codebook.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

using namespace sparq;

namespace {

using e2m1 = codebook<4, s8, per_tensor>;

std::vector<std::byte> from_hex(std::string_view text) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i < text.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(digit(text[i]) * 16 + digit(text[i + 1])));
  return bytes;
}

/// Blocks of n x k weights, the golden one first, as a tensor; multiplied by codes with a zero point.
/// `ends`: the least and the largest byte of random scales, close enough for sums that binary32 holds exactly
template <class Block, scale_code Scale, std::size_t Group>
void check_blocks(std::string_view golden, int first_scale, int last_scale) {
  sparq_test::random_source random;
  INFO(random.text());
  constexpr std::size_t n = 21, k = 192, m = 9, scales_per_block = Block::elements / Group;
  std::vector<std::byte> blocks = from_hex(golden);
  while (blocks.size() < n * k / Block::elements * Block::bytes) {
    for (std::size_t i = 0; i < scales_per_block; ++i)
      blocks.push_back(static_cast<std::byte>(random.between(first_scale, last_scale)));
    for (std::size_t i = scales_per_block; i < Block::bytes; ++i)
      blocks.push_back(static_cast<std::byte>(random.between(0, 255)));
  }
  std::vector<float> numbers(n * k);
  gguf::dequantize<Block>(blocks, numbers);

  std::vector<std::byte> scale_bytes;
  std::vector<std::uint8_t> codes;
  for (std::size_t b = 0; b < blocks.size(); b += Block::bytes) {
    scale_bytes.insert(scale_bytes.end(), blocks.data() + b, blocks.data() + b + scales_per_block);
    for (std::size_t g = 0; g < scales_per_block; ++g)
      for (std::size_t j = 0; j < Group; ++j) {  // the first half of a group in low nibbles, the second in high ones
        const auto byte = std::to_integer<unsigned>(blocks[b + scales_per_block + (g * Group) / 2 + j % (Group / 2)]);
        codes.push_back(static_cast<std::uint8_t>(j < Group / 2 ? byte & 15U : byte >> 4));
      }
  }
  const auto w = encode_codes<dense, e2m1, per_group<Group>>(codes, {n, k}, mask({n, k}, true),
                                                             {e2m1_doubled.begin(), e2m1_doubled.end()},
                                                             decode_scales<Scale>(scale_bytes, 0.5F));
  REQUIRE(decode(w) == numbers);

  std::vector<std::uint8_t> x(m * k);
  for (auto& v : x) v = static_cast<std::uint8_t>(random.between(0, 255));
  std::vector<float> y(m * n);
  workspace scratch;
  gemm(matrix_view<const std::uint8_t>(x.data(), m, k), pack(w), matrix_view<float>(y.data(), m, n),
       epilogue(subtract_zero_point(128)), serial, scratch);
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      double want = 0;
      for (std::size_t q = 0; q < k; ++q)
        want += (static_cast<double>(x[i * k + q]) - 128) * double{numbers[j * k + q]};
      REQUIRE(double{y[i * n + j]} == want);
    }
}

}  // namespace

TEST_CASE("matrix: blocks of mxfp4 multiply exactly") {
  check_blocks<gguf::mxfp4, e8m0, 32>("7e6fdb257ec946fea267ec146fda357eb0", 124, 127);
}

TEST_CASE("matrix: blocks of nvfp4 multiply exactly") {
  check_blocks<gguf::nvfp4, ue4m3, 16>("303030307fcb45fea956ee0266ed1267dc347fba45ffb956ee0167dd0267dc347fca56fe", 0x30,
                                       0x37);
}
