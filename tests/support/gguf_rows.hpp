// SPDX-License-Identifier: MIT
#pragma once
// What the tests of GGUF's blocks share: bytes as text, rows through blocks and back.

#include <sparq/io/gguf_blocks.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

namespace sparq_test {

namespace gguf = sparq::gguf;

inline std::string hex(const std::vector<std::byte>& bytes) {
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

}  // namespace sparq_test
