// SPDX-License-Identifier: MIT
#pragma once
// Bytes through a table of 256 bytes. A shuffle knows 16 entries, so AVX2 asks all sixteen sixteenths of the table and
// chooses by the upper four bits of the byte, two by two; AVX-512 VBMI knows 128 entries and chooses once.

#include <sparq/base/config.hpp>
#include <sparq/simd/x86_registers.hpp>

#include <cstddef>
#include <cstdint>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

#if SPARQ_HAS_AVX2

/// Two or one registers of 16 bytes.
struct bytes32 {
  using type = __m256i;
  static SPARQ_INLINE type load(const std::uint8_t* p) { return load_256(p); }
  static SPARQ_INLINE void store(std::uint8_t* p, type v) { store_256(p, v); }
  static SPARQ_INLINE type low_nibbles(type v) { return _mm256_and_si256(v, _mm256_set1_epi8(15)); }
  template <int Count>
  static SPARQ_INLINE type left(type v) { return _mm256_slli_epi16(v, Count); }
  static SPARQ_INLINE type choose(type a, type b, type by) { return _mm256_blendv_epi8(a, b, by); }
  static SPARQ_INLINE type sixteenth(const std::uint8_t* table, type positions) {
    return _mm256_shuffle_epi8(load_128_twice(table), positions);
  }
};
struct bytes16 {
  using type = __m128i;
  static SPARQ_INLINE type load(const std::uint8_t* p) { return load_128(p); }
  static SPARQ_INLINE void store(std::uint8_t* p, type v) { store_128(p, v); }
  static SPARQ_INLINE type low_nibbles(type v) { return _mm_and_si128(v, _mm_set1_epi8(15)); }
  template <int Count>
  static SPARQ_INLINE type left(type v) { return _mm_slli_epi16(v, Count); }
  static SPARQ_INLINE type choose(type a, type b, type by) { return _mm_blendv_epi8(a, b, by); }
  static SPARQ_INLINE type sixteenth(const std::uint8_t* table, type positions) {
    return _mm_shuffle_epi8(load(table), positions);
  }
};

/// The entries of 2^Bits sixteenths of the table; the bit that chooses at each level is brought to the top of its byte.
template <class Bytes, int Bits>
SPARQ_INLINE typename Bytes::type choose_entries(const std::uint8_t* table, typename Bytes::type codes,
                                                 typename Bytes::type positions) {
  if constexpr (Bits == 0) {
    return Bytes::sixteenth(table, positions);
  } else {
    const auto lower = choose_entries<Bytes, Bits - 1>(table, codes, positions);
    const auto upper = choose_entries<Bytes, Bits - 1>(table + (8 << Bits), codes, positions);
    return Bytes::choose(lower, upper, Bytes::template left<4 - Bits>(codes));
  }
}

template <class Bytes>
SPARQ_INLINE void look_up_block(const std::uint8_t* table, const std::uint8_t* in, std::uint8_t* out) {
  const auto codes = Bytes::load(in);
  Bytes::store(out, choose_entries<Bytes, 4>(table, codes, Bytes::low_nibbles(codes)));
}

#endif

#if SPARQ_HAS_AVX512VBMI
SPARQ_INLINE void look_up_64(const std::uint8_t* table, const std::uint8_t* in, std::uint8_t* out) {
  const __m512i codes = _mm512_loadu_si512(in);
  const __m512i lower = _mm512_permutex2var_epi8(_mm512_loadu_si512(table), codes, _mm512_loadu_si512(table + 64));
  const __m512i upper =
      _mm512_permutex2var_epi8(_mm512_loadu_si512(table + 128), codes, _mm512_loadu_si512(table + 192));
  const auto is_upper = _mm512_cmpgt_epi8_mask(_mm512_setzero_si512(), codes);
  _mm512_storeu_si512(out, _mm512_mask_blend_epi8(is_upper, lower, upper));
}
#endif

}  // namespace machine

/// out[i] = table[in[i]] for `count` bytes; `out` may be `in`. `table`: 256 bytes.
SPARQ_INLINE void look_up_bytes(const std::uint8_t* table, const std::uint8_t* in, std::uint8_t* out,
                                std::size_t count) {
  std::size_t i = 0;
#if SPARQ_HAS_AVX512VBMI
  for (; i + 64 <= count; i += 64) machine::look_up_64(table, in + i, out + i);
#endif
#if SPARQ_HAS_AVX2
  for (; i + 32 <= count; i += 32) machine::look_up_block<machine::bytes32>(table, in + i, out + i);
  for (; i + 16 <= count; i += 16) machine::look_up_block<machine::bytes16>(table, in + i, out + i);
#endif
  for (; i < count; ++i) out[i] = table[in[i]];
}

SPARQ_ABI_END
}  // namespace sparq
