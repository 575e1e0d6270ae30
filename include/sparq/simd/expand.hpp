// SPDX-License-Identifier: MIT
#pragma once
// The reverse of compact: elements that follow each other go to the places whose bits are set in a mask, zeros to all
// others. How weights that are stored without their zeros become words of the rows loop.

#include <sparq/base/config.hpp>
#include <sparq/simd/x86_registers.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sparq {

/// Bytes behind the last element that expand may read.
inline constexpr std::size_t expand_slack = 64;

SPARQ_ABI_BEGIN

namespace machine {

/// For every byte of a mask, which of the following elements each of its 8 places takes: 0x80 for none. 256 rows of 8;
/// one more, because rows are read 16 bytes at a time.
alignas(64) inline constexpr std::array<std::uint64_t, 257> places_to_ranks = [] {
  std::array<std::uint64_t, 257> table{};
  for (std::size_t byte = 0; byte < 256; ++byte) {
    std::uint64_t next = 0;
    for (std::uint64_t place = 0; place < 8; ++place)
      table[byte] |= ((byte >> place & 1) != 0 ? next++ : 0x80) << (8 * place);
  }
  return table;
}();

#if SPARQ_HAS_AVX2

/// Eight places.
SPARQ_INLINE void expand_byte(const std::uint8_t* values, std::uint8_t mask, std::uint8_t* out) {
  const __m128i eight = load_64(values);
  const __m128i ranks = load_128(&places_to_ranks[mask]);
  store_64(out, _mm_shuffle_epi8(eight, ranks));
}
template <class T>
  requires(sizeof(T) == 4)
SPARQ_INLINE void expand_byte(const T* values, std::uint8_t mask, T* out) {
  const __m256i ranks = _mm256_cvtepi8_epi32(load_64(&places_to_ranks[mask]));
  const __m256i taken = _mm256_permutevar8x32_epi32(load_256(values), ranks);
  store_256(out, _mm256_andnot_si256(_mm256_srai_epi32(ranks, 31), taken));
}

#endif

/// The 64 places of one word of mask; returns the element behind the last one taken.
template <class T>
SPARQ_INLINE const T* expand_word(const T* values, std::uint64_t mask, T* out) {
#if SPARQ_HAS_AVX512VBMI2
  if constexpr (sizeof(T) == 1) {
    _mm512_storeu_si512(out, _mm512_maskz_expand_epi8(mask, _mm512_loadu_si512(values)));
    return values + std::popcount(mask);
  }
#endif
#if SPARQ_HAS_AVX512
  if constexpr (sizeof(T) == 4) {
    SPARQ_UNROLL for (std::size_t i = 0; i < 64; i += 16) {
      const auto part = static_cast<std::uint16_t>(mask >> i);
      _mm512_storeu_ps(out + i, _mm512_maskz_expand_ps(part, _mm512_loadu_ps(values)));
      values += std::popcount(part);
    }
    return values;
  }
#endif
#if SPARQ_HAS_AVX2
  if constexpr (sizeof(T) <= 4) {
    std::uint8_t bytes[8];
    std::memcpy(bytes, &mask, sizeof bytes);
    SPARQ_UNROLL for (std::size_t i = 0; i < 8; ++i) {
      expand_byte(values, bytes[i], out + 8 * i);
      values += std::popcount(bytes[i]);
    }
    return values;
  }
#endif
  for (std::size_t i = 0; i < 64; ++i, mask >>= 1) out[i] = (mask & 1) != 0 ? *values++ : T{};
  return values;
}

}  // namespace machine

/// Writes 64 elements for each of `count` words of mask: from `values`, in order, where a bit is set, and zeros.
/// - `T`: of one byte, of four or of eight
/// Returns the element behind the last one taken. @pre expand_slack bytes are readable from there on
template <class T>
const T* expand(const T* values, const std::uint64_t* mask, std::size_t count, T* out) {
  static_assert(sizeof(T) != 2, "sparq: expand moves elements of one byte, four or eight; decode the codes first");
  for (std::size_t i = 0; i < count; ++i) values = machine::expand_word(values, mask[i], out + 64 * i);
  return values;
}

SPARQ_ABI_END
}  // namespace sparq
