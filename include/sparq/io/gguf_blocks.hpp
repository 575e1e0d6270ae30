// SPDX-License-Identifier: MIT
#pragma once
// Blocks of quantized numbers as GGUF files hold them: what ggml's dequantize_row_* and quantize_row_*_ref compute,
// byte by byte. A block type names its size and gives two functions on one block; the functions here take whole rows.
// The types are in gguf_integer_blocks.hpp and gguf_float_blocks.hpp.

#include <sparq/base/error.hpp>
#include <sparq/base/schedule.hpp>
#include <sparq/numeric/floating.hpp>
#include <sparq/numeric/number_text.hpp>
#include <sparq/numeric/scale.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace sparq::gguf {

/// A block type of GGUF, or one of yours: `elements` numbers in `bytes` bytes, and two functions on one block.
template <class T>
concept block_type = requires(const std::byte* block, std::byte* written, const float* x, float* numbers) {
  { T::name } -> std::convertible_to<std::string_view>;
  { T::elements } -> std::convertible_to<std::size_t>;
  { T::bytes } -> std::convertible_to<std::size_t>;
  T::dequantize(block, numbers);
  T::quantize(x, written);
};

namespace detail {

using sparq::detail::largest_magnitude;

inline unsigned get(const std::byte* p, std::size_t i) { return std::to_integer<unsigned>(p[i]); }
inline void put(std::byte* p, std::size_t i, unsigned value) { p[i] = static_cast<std::byte>(value & 255U); }

/// A float of its own: compilers do not fuse the product behind it with the next sum.
inline float rounded(float value) {
  SPARQ_KEEP_ORDER(value);
  return value;
}

template <block_type Block>
status check_blocks(std::size_t bytes, std::size_t elements) {
  if (elements % Block::elements == 0 && bytes == elements / Block::elements * Block::bytes) return {};
  return status::failure(std::string(Block::name) + ": " + std::to_string(elements) + " numbers in " +
                         std::to_string(bytes) + " bytes; a block holds " + std::to_string(Block::elements) + " in " +
                         std::to_string(Block::bytes));
}

/// Whether a block can hold these finite numbers: a scale beyond binary16 would be infinite.
template <block_type Block>
bool reaches(const float* x) {
  if (largest_magnitude({x, Block::elements}) <= 65504.0F) return true;
  std::byte block[Block::bytes] = {};
  float back[Block::elements];
  Block::quantize(x, block);
  Block::dequantize(block, back);
  for (const float number : back)
    if (!is_finite(number)) return false;
  return true;
}

}  // namespace detail

/// Numbers of whole blocks. Errors: sizes that are no blocks. O(elements).
template <block_type Block>
status try_dequantize(std::span<const std::byte> blocks, std::span<float> numbers) {
  if (status s = detail::check_blocks<Block>(blocks.size(), numbers.size()); !s.ok()) return s;
  for (std::size_t i = 0; i < numbers.size() / Block::elements; ++i)
    Block::dequantize(blocks.data() + i * Block::bytes, numbers.data() + i * Block::elements);
  return {};
}

/// Blocks of numbers, as ggml's reference functions write them.
/// Errors: sizes that are no blocks, the first NaN or infinite number, the first block whose numbers are too large for
/// its scale. Nothing is written then. O(elements).
template <block_type Block>
status try_quantize(std::span<const float> numbers, std::span<std::byte> blocks) {
  if (status s = detail::check_blocks<Block>(blocks.size(), numbers.size()); !s.ok()) return s;
  for (std::size_t i = 0; i < numbers.size(); ++i)
    if (!is_finite(numbers[i]))
      return status::failure(std::string(Block::name) + ": number " + std::to_string(i) + " is " +
                             number_text(numbers[i]));
  for (std::size_t i = 0; i < numbers.size() / Block::elements; ++i)
    if (!detail::reaches<Block>(numbers.data() + i * Block::elements))
      return status::failure(std::string(Block::name) + ": block " + std::to_string(i) + " has numbers up to " +
                             number_text(detail::largest_magnitude(
                                 numbers.subspan(i * Block::elements, Block::elements))) +
                             ", too large for its scale");
  for (std::size_t i = 0; i < numbers.size() / Block::elements; ++i)
    Block::quantize(numbers.data() + i * Block::elements, blocks.data() + i * Block::bytes);
  return {};
}

/// Throwing twins.
template <block_type Block>
void dequantize(std::span<const std::byte> blocks, std::span<float> numbers) {
  try_dequantize<Block>(blocks, numbers).value();
}
template <block_type Block>
void quantize(std::span<const float> numbers, std::span<std::byte> blocks) {
  try_quantize<Block>(numbers, blocks).value();
}

}  // namespace sparq::gguf
