// SPDX-License-Identifier: MIT
#pragma once
// Rows of bits: activations of -1 and 1 as the popcount atoms read them. Bit i of a row is bit i % 8 of byte i / 8, as
// the codec of `binary` has it; the bits behind the last one are zero.

#include <sparq/base/config.hpp>
#include <sparq/numeric/numeric.hpp>
#include <sparq/numeric/sign.hpp>
#include <sparq/simd/copy.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if SPARQ_HAS_BMI2
#include <immintrin.h>
#endif

namespace sparq {

/// An element of X that holds eight codes of binary: what sources hand to the popcount atoms.
enum class eight_bits : std::uint8_t {};

namespace detail {
template <>
struct numeric_of<eight_bits> {
  using type = binary;
};
}  // namespace detail

/// Bytes behind the last one that a bit_writer may overwrite.
inline constexpr std::size_t bit_slack = 8;

SPARQ_ABI_BEGIN

namespace machine {

/// The bits of `mask` that are set in `from`, moved together.
SPARQ_INLINE std::uint64_t compact_bits_of(std::uint64_t from, std::uint64_t mask) {
#if SPARQ_HAS_BMI2
  return _pext_u64(from, mask);
#else
  std::uint64_t result = 0;
  for (int next = 0; mask != 0; mask &= mask - 1, ++next)
    result |= (from >> std::countr_zero(mask) & 1) << next;
  return result;
#endif
}

/// Up to eight bytes as a number; the missing ones are 0.
SPARQ_INLINE std::uint64_t load_bytes(const eight_bits* from, std::size_t bytes) {
  std::uint64_t word = 0;
  std::memcpy(&word, from, bytes < 8 ? bytes : 8);
  return word;
}

}  // namespace machine

/// Writes a row of bits one run after another.
class bit_writer {
 public:
  /// @pre bit_slack bytes behind the row may be overwritten
  explicit bit_writer(eight_bits* row) : to_(row) {}

  /// @pre count <= 56, and the bits of `bits` above them are 0
  SPARQ_INLINE void put(std::uint64_t bits, std::size_t count) {
    pending_ |= bits << used_;
    used_ += count;
    std::memcpy(to_, &pending_, sizeof pending_);
    to_ += used_ / 8;
    pending_ >>= used_ / 8 * 8;
    used_ %= 8;
  }
  /// Bits [first, first + count) of another row; no byte is read that holds none of them.
  SPARQ_INLINE void copy(const eight_bits* row, std::size_t first, std::size_t count) {
    row += first / 8;
    first %= 8;
    if (first == 0 && used_ == 0) {
      copy_elements(row, count / 8, to_);
      to_ += count / 8;
      row += count / 8;
      count %= 8;
    }
    while (count != 0) {
      const std::size_t run = count < 56 ? count : 56;
      put(machine::load_bytes(row, (first + run + 7) / 8) >> first & ((std::uint64_t{1} << run) - 1), run);
      row += 7;  // 56 bits
      count -= run;
    }
  }
  /// `count` bits, all of them `bit`.
  SPARQ_INLINE void fill(bool bit, std::size_t count) {
    for (; count != 0; count -= count < 56 ? count : 56) {
      const std::size_t run = count < 56 ? count : 56;
      put(bit ? (std::uint64_t{1} << run) - 1 : 0, run);
    }
  }

 private:
  eight_bits* to_;
  std::uint64_t pending_ = 0;
  std::size_t used_ = 0;  // bits of pending_, fewer than 8 between calls
};

/// Copies k bits; those of the last byte behind them become 0. The ranges must not overlap.
inline void copy_bits(const eight_bits* from, std::size_t k, eight_bits* to) {
  if (k == 0) return;
  std::memcpy(to, from, (k + 7) / 8);
  if (k % 8 != 0) to[k / 8] = static_cast<eight_bits>(static_cast<unsigned>(from[k / 8]) & ((1U << k % 8) - 1U));
}

/// Writes the bits of x[0 .. k) that are set in a mask to `out`, in order, zeros behind them up to a whole word of 64,
/// and returns their number.
/// @pre `mask` has ceil(k / 64) words, no bit beyond k; `out` has room for the kept bits and 2 bit_slack bytes more
inline std::size_t compact_bits(const eight_bits* x, const std::uint64_t* mask, std::size_t k, eight_bits* out) {
  bit_writer writer(out);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < k; i += 64) {
    const auto count = static_cast<std::size_t>(std::popcount(mask[i / 64]));
    const std::uint64_t bits = machine::compact_bits_of(machine::load_bytes(x + i / 8, (k - i + 7) / 8), mask[i / 64]);
    writer.put(bits & 0xffffffffU, count < 32 ? count : 32);
    if (count > 32) writer.put(bits >> 32, count - 32);
    kept += count;
  }
  writer.fill(false, 64);
  return kept;
}

SPARQ_ABI_END
}  // namespace sparq
