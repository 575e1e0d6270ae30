// SPDX-License-Identifier: MIT
#pragma once
// Integers of 32 bits become codes of bytes, 64 at a time: the zero point is added to shorts and the lower bound taken
// of bytes, which are two and four times as many in a register.

#include <sparq/base/config.hpp>
#include <sparq/simd/vec.hpp>
#include <sparq/simd/x86_registers.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// max(low, the code of Byte nearest to v + zero_point). Byte: int8_t or uint8_t.
template <class Byte>
class byte_codes {
 public:
  using four_lanes = vec<std::int32_t>[4];

  /// @pre zero_point and low are codes of Byte
  SPARQ_INLINE byte_codes(std::int32_t zero_point, std::int32_t low)
#if SPARQ_HAS_XSIMD && SPARQ_HAS_AVX512
      : zero_point_(_mm512_set1_epi16(static_cast<short>(zero_point))),
        low_(_mm512_set1_epi8(static_cast<char>(low))) {}
#elif SPARQ_HAS_XSIMD && SPARQ_HAS_AVX2
      : zero_point_(_mm256_set1_epi16(static_cast<short>(zero_point))),
        low_(_mm256_set1_epi8(static_cast<char>(low))) {}
#else
      : zero_point_(zero_point), low_(low) {}
#endif

  /// Rows of 16 * Parts codes, `distance` from one to the next: a row for each vector, or two of 32.
  template <int Parts>
    requires(Parts == 1 || Parts == 2)
  SPARQ_INLINE void store_rows(const four_lanes& v, Byte* to, std::ptrdiff_t distance) const {
#if SPARQ_HAS_XSIMD && SPARQ_HAS_AVX512
    const __m512i rows = in_order(v);
    if constexpr (Parts == 2) {
      store_256(to, _mm512_castsi512_si256(rows));
      store_256(to + distance, _mm512_extracti64x4_epi64(rows, 1));
    } else {
      store_128(to, _mm512_castsi512_si128(rows));
      store_128(to + distance, _mm512_extracti32x4_epi32(rows, 1));
      store_128(to + 2 * distance, _mm512_extracti32x4_epi32(rows, 2));
      store_128(to + 3 * distance, _mm512_extracti32x4_epi32(rows, 3));
    }
#elif SPARQ_HAS_XSIMD && SPARQ_HAS_AVX2
    SPARQ_UNROLL for (int i = 0; i < 4; i += 2) {
      const __m256i two = in_order(v[i], v[i + 1]);
      if constexpr (Parts == 2) {
        store_256(to + i / 2 * distance, two);
      } else {
        store_128(to + i * distance, _mm256_castsi256_si128(two));
        store_128(to + (i + 1) * distance, _mm256_extracti128_si256(two, 1));
      }
    }
#else
    for (int i = 0; i < 4; ++i) {
      Byte codes[16];
      write(v[i], codes);
      std::memcpy(to + i / Parts * distance + i % Parts * 16, codes, sizeof codes);
    }
#endif
  }

  /// All 64 beside each other.
  SPARQ_INLINE void store(const four_lanes& v, Byte* to) const {
#if SPARQ_HAS_XSIMD && SPARQ_HAS_AVX512
    _mm512_storeu_si512(to, in_order(v));
#else
    store_rows<2>(v, to, 32);
#endif
  }

  /// A word of the four codes of each lane.
  SPARQ_INLINE void store_words(const four_lanes& v, std::uint32_t* to) const {
#if SPARQ_HAS_XSIMD && SPARQ_HAS_AVX512
    const __m512i order = _mm512_broadcast_i32x4(word_order());
    _mm512_storeu_si512(to, _mm512_shuffle_epi8(packed(v[0].r[0], v[1].r[0], v[2].r[0], v[3].r[0]), order));
#elif SPARQ_HAS_XSIMD && SPARQ_HAS_AVX2
    const __m256i order = _mm256_broadcastsi128_si256(word_order());
    SPARQ_UNROLL for (int half = 0; half < 2; ++half)
      store_256(to + 8 * half,
                _mm256_shuffle_epi8(packed(v[0].r[half], v[1].r[half], v[2].r[half], v[3].r[half]), order));
#else
    Byte codes[4][16];
    for (int i = 0; i < 4; ++i) write(v[i], codes[i]);
    for (int lane = 0; lane < 16; ++lane) {
      const Byte word[4] = {codes[0][lane], codes[1][lane], codes[2][lane], codes[3][lane]};
      std::memcpy(to + lane, word, sizeof word);
    }
#endif
  }

 private:
#if SPARQ_HAS_XSIMD && SPARQ_HAS_AVX512
  /// Each 128 bits hold four codes of a, of b, of c and of d.
  SPARQ_INLINE __m512i packed(__m512i a, __m512i b, __m512i c, __m512i d) const {
    const __m512i ab = _mm512_adds_epi16(_mm512_packs_epi32(a, b), zero_point_),
                  cd = _mm512_adds_epi16(_mm512_packs_epi32(c, d), zero_point_);
    if constexpr (std::is_signed_v<Byte>)
      return _mm512_max_epi8(_mm512_packs_epi16(ab, cd), low_);
    else
      return _mm512_max_epu8(_mm512_packus_epi16(ab, cd), low_);
  }
  SPARQ_INLINE __m512i in_order(const four_lanes& v) const {
    return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15),
                                    packed(v[0].r[0], v[1].r[0], v[2].r[0], v[3].r[0]));
  }
  __m512i zero_point_, low_;
#elif SPARQ_HAS_XSIMD && SPARQ_HAS_AVX2
  SPARQ_INLINE __m256i packed(__m256i a, __m256i b, __m256i c, __m256i d) const {
    const __m256i ab = _mm256_adds_epi16(_mm256_packs_epi32(a, b), zero_point_),
                  cd = _mm256_adds_epi16(_mm256_packs_epi32(c, d), zero_point_);
    if constexpr (std::is_signed_v<Byte>)
      return _mm256_max_epi8(_mm256_packs_epi16(ab, cd), low_);
    else
      return _mm256_max_epu8(_mm256_packus_epi16(ab, cd), low_);
  }
  SPARQ_INLINE __m256i in_order(const vec<std::int32_t>& a, const vec<std::int32_t>& b) const {
    return _mm256_permutevar8x32_epi32(packed(a.r[0], a.r[1], b.r[0], b.r[1]),
                                       _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  }
  __m256i zero_point_, low_;
#else
  void write(const vec<std::int32_t>& v, Byte (&codes)[16]) const {
    constexpr std::int32_t most = std::is_signed_v<Byte> ? 127 : 255;
    std::int32_t lanes[16];
    min(max(v, vec<std::int32_t>(low_ - zero_point_)), vec<std::int32_t>(most - zero_point_)).store(lanes);
    for (int i = 0; i < 16; ++i) codes[i] = static_cast<Byte>(lanes[i] + zero_point_);
  }
  std::int32_t zero_point_, low_;
#endif

#if SPARQ_HAS_XSIMD && SPARQ_HAS_AVX2
  static SPARQ_INLINE __m128i word_order() {
    return _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  }
#endif
};

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
