// SPDX-License-Identifier: MIT
#pragma once
// One row of bytes times ternary or s2 weights, whose bits are factors where they lie
// (simd/narrow/x86_avx2_two_bits.hpp).

#include <sparq/kernel/loop/one_row_loop.hpp>
#include <sparq/numeric/integer.hpp>
#include <sparq/numeric/sign.hpp>
#include <sparq/simd/narrow/x86_avx2_two_bits.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Whether two_bit_loop multiplies one row of X by these weights.
template <class Packed, class X>
inline constexpr bool sums_two_bits_v = [] {
  if constexpr (SPARQ_HAS_AVX2 && !SPARQ_HAS_AVX512 && meets_words_v<Packed, X>)
    return std::is_same_v<typename Packed::numeric_type, s2> || std::is_same_v<typename Packed::numeric_type, ternary>;
  else
    return false;
}();

#if SPARQ_HAS_AVX2

/// What one_row_loop asks for: sums of (w + 2) x.
struct sums_of_two_bits {
  static constexpr std::string_view loop_name = "rows, two bits in place", access = "copied";
  template <class Code>
  static constexpr std::string_view atom_name = std::is_signed_v<Code> ? "dot4_s8bits2_avx2" : "dot4_u8bits2_avx2";
  static constexpr std::size_t word_k = 16, prepared_bytes = 16, least_channels = 64,
                               most_k = ~std::size_t{0};

  template <class Code>
  static std::int32_t prepare(const Code* x, std::size_t k, std::uint8_t* out) noexcept {
    return copy_row_and_sum(x, k, out);
  }
  static void add(const std::uint8_t* x, const std::uint32_t* low, const std::uint32_t* high, std::size_t count,
                  std::int32_t* sums) noexcept {
    add_two_bits(x, low, high, count, sums);
  }
  static std::uint32_t corrected(std::uint32_t sum, std::uint32_t total) noexcept { return sum - 2 * total; }
};

#endif

}  // namespace machine

#if SPARQ_HAS_AVX2

template <class Packed, class Source, class Y, class Epilogue>
using two_bit_loop = one_row_loop<machine::sums_of_two_bits, Packed, Source, Y, Epilogue>;

#else

template <class Packed, class Source, class Y, class Epilogue>
class two_bit_loop;

#endif  // SPARQ_HAS_AVX2

SPARQ_ABI_END
}  // namespace sparq
