// SPDX-License-Identifier: MIT
#pragma once
// Positions of an N:M pattern come in narrow fields, of several groups in one byte; selectors take bytes. A register of
// them is unpacked with one shift, one mask and one addition for each group, and stored as a whole, so that loading it
// again costs no more than loading bytes from memory would. Registers of 64 bytes stay where they are: one shift for
// each group brings its fields to the bottom of their bytes.

#include <sparq/base/config.hpp>
#include <sparq/simd/x86_registers.hpp>

#include <cstddef>
#include <cstdint>

namespace sparq {
SPARQ_ABI_BEGIN

/// Unpacks `Count` bytes of 8 / Bits groups: out[f][i] = field f of p[i] + byte i % 4 of `first`.
/// - `Count`: positions of one register, 4, 8, 16 or 32
/// - `first`: where in its window the span of every position starts
template <std::size_t Bits, std::size_t Count>
SPARQ_INLINE void unpack_positions(const std::uint8_t* p, std::uint32_t first, std::uint8_t (&out)[8 / Bits][Count]) {
  static_assert(Bits == 1 || Bits == 2 || Bits == 4, "sparq: fields share bytes evenly; use 1, 2 or 4 bits");
  constexpr std::size_t groups = 8 / Bits;
  [[maybe_unused]] constexpr auto mask = static_cast<char>((1U << Bits) - 1);
#if SPARQ_HAS_AVX2
  if constexpr (Count == 32) {
    const __m256i raw = machine::load_256(p);
    const __m256i firsts = _mm256_set1_epi32(static_cast<int>(first));
    SPARQ_UNROLL for (int f = 0; f < static_cast<int>(groups); ++f)
      machine::store_256(out[f], _mm256_add_epi8(_mm256_and_si256(_mm256_srli_epi16(raw, f * static_cast<int>(Bits)),
                                                                  _mm256_set1_epi8(mask)),
                                                 firsts));
    return;
  }
  if constexpr (Count == 16 || Count == 8) {
    const __m128i raw = Count == 8 ? machine::load_64(p) : machine::load_128(p);
    const __m128i firsts = _mm_set1_epi32(static_cast<int>(first));
    SPARQ_UNROLL for (int f = 0; f < static_cast<int>(groups); ++f) {
      const __m128i bytes = _mm_add_epi8(
          _mm_and_si128(_mm_srli_epi16(raw, f * static_cast<int>(Bits)), _mm_set1_epi8(mask)), firsts);
      if constexpr (Count == 8)
        machine::store_64(out[f], bytes);
      else
        machine::store_128(out[f], bytes);
    }
    return;
  }
#endif
  for (std::size_t f = 0; f < groups; ++f)
    for (std::size_t i = 0; i < Count; ++i)
      out[f][i] =
          static_cast<std::uint8_t>((p[i] >> (f * Bits) & ((1U << Bits) - 1)) + (first >> (8 * (i % 4)) & 255U));
}

namespace machine {

/// Positions of one register of channels, in fields of Bits bits, of the groups that share bytes.
/// - `First`: where in its window the span of every position starts
template <std::size_t Bits, std::size_t Count, std::uint32_t First>
class shared_positions {
 public:
  /// Reads those of 8 / Bits groups, of which `field` is the first that is asked for.
  SPARQ_INLINE void read(const std::uint8_t* p, std::size_t) { unpack_positions<Bits>(p, First, bytes_); }
  /// The control of a selector. - `field`: group, of those that were read; in order, and next() follows each group
  template <class Selector, class Place>
  SPARQ_INLINE auto control(std::size_t field, const Place& place, std::size_t chunk) const {
    return Selector::make(bytes_[field], place, chunk);
  }
  SPARQ_INLINE void next() {}

 private:
  alignas(64) std::uint8_t bytes_[8 / Bits][Count];
};

#if SPARQ_HAS_AVX512

template <std::size_t Bits, std::uint32_t First>
class shared_positions<Bits, 64, First> {
 public:
  SPARQ_INLINE void read(const std::uint8_t* p, std::size_t field) {
    fields_ = _mm512_loadu_si512(p);
    for (; field != 0; --field) next();
  }
  template <class Selector, class Place>
  SPARQ_INLINE auto control(std::size_t, const Place& place, std::size_t chunk) const {
    constexpr std::uint32_t mask = ((1U << Bits) - 1) * 0x01010101U;
    const __m512i masks = _mm512_set1_epi32(static_cast<int>(mask));
    [[maybe_unused]] const __m512i first = _mm512_set1_epi32(static_cast<int>(First));
    if constexpr (First == 0)
      return Selector::of_bytes(_mm512_and_si512(fields_, masks), place, chunk);
    else if constexpr ((First & mask) == 0)  // (fields & masks) | first
      return Selector::of_bytes(_mm512_ternarylogic_epi32(fields_, masks, first, 0xea), place, chunk);
    else
      return Selector::of_bytes(_mm512_add_epi8(_mm512_and_si512(fields_, masks), first), place, chunk);
  }
  SPARQ_INLINE void next() { fields_ = _mm512_srli_epi16(fields_, Bits); }

 private:
  __m512i fields_ = _mm512_setzero_si512();
};

#endif

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
