// SPDX-License-Identifier: MIT
#include "tests/data/operands.hpp"
#include "tests/data/ops.hpp"

#include <sparq/io/gguf_float_blocks.hpp>
#include <sparq/io/gguf_integer_blocks.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace cases {
namespace {

/// Both ways: bytes of the numbers, and the numbers of the published bytes.
template <class Block>
bool blocks_as(const neutral_case& one, verdict& v) {
  if (one.text("type") != Block::name) return false;
  const auto operand = one.input("x"), expected = one.expected("blocks");
  const auto x = operand.array.as<float>();
  std::vector<std::uint8_t> blocks(x.size() / Block::elements * Block::bytes);
  sparq::gguf::quantize<Block>(std::span<const float>(x.data(), x.size()), std::as_writable_bytes(std::span(blocks)));
  v.compare("blocks", blocks);
  const auto published = expected.array.as<std::uint8_t>();
  std::vector<float> numbers(x.size());
  sparq::gguf::dequantize<Block>(std::as_bytes(std::span(published.data(), published.size())), numbers);
  v.compare("dequantized", numbers);
  return true;
}

template <class... Blocks>
bool one_of(const neutral_case& one, verdict& v) {
  return (blocks_as<Blocks>(one, v) || ...);
}

}  // namespace

void block_quantize(const neutral_case& one, verdict& v) {
  using namespace sparq::gguf;
  if (!one_of<q4_0, q4_1, q5_0, q5_1, q8_0, q8_1, q1_0, q2_0, tq1_0, tq2_0, mxfp4, nvfp4>(one, v))
    v.leave_out("blocks of blocks (K-quants) of ggml");
}

}  // namespace cases
