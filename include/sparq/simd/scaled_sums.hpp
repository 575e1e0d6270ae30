// SPDX-License-Identifier: MIT
#pragma once
// Sums of rows of codes, each with a scale and an offset of its own, in registers: what embedding bags add up.

#include <sparq/base/config.hpp>
#include <sparq/simd/x86_registers.hpp>

#if SPARQ_HAS_AVX2

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Asks for the cache line that `at` lies in.
SPARQ_INLINE void prefetch(const std::byte* at) { _mm_prefetch(reinterpret_cast<const char*>(at), _MM_HINT_T0); }

/// 8 * Registers neighbouring columns: sum = fma(scale, code, sum + offset), from 0 on.
template <std::size_t Registers>
class scaled_sums {
 public:
  SPARQ_INLINE scaled_sums() {
    SPARQ_UNROLL for (std::size_t r = 0; r < Registers; ++r) sums_[r] = _mm256_setzero_ps();
  }
  /// Adds one row. `codes`: of Bits bits, the first column in the low bits
  template <int Bits, bool IsSigned>
  SPARQ_INLINE void add(const std::byte* codes, float scale, float offset) {
    const __m256 scales = _mm256_set1_ps(scale), offsets = _mm256_set1_ps(offset);
    SPARQ_UNROLL for (std::size_t r = 0; r < Registers; ++r)
      sums_[r] = _mm256_fmadd_ps(scales, codes_at<Bits, IsSigned>(codes + r * Bits), _mm256_add_ps(sums_[r], offsets));
  }
  SPARQ_INLINE void store(float* to) const {
    SPARQ_UNROLL for (std::size_t r = 0; r < Registers; ++r) _mm256_storeu_ps(to + 8 * r, sums_[r]);
  }

 private:
  /// Eight codes, Bits bytes.
  template <int Bits, bool IsSigned>
  static SPARQ_INLINE __m256 codes_at(const std::byte* codes) {
    static_assert(Bits == 8 || (Bits == 4 && !IsSigned), "sparq: rows are of s8, u8 or u4; unpack others first");
    if constexpr (Bits == 4) {
      std::int32_t word;
      std::memcpy(&word, codes, 4);
      const __m128i bytes = _mm_cvtsi32_si128(word), nibble = _mm_set1_epi8(15);
      const __m128i low = _mm_and_si128(bytes, nibble), high = _mm_and_si128(_mm_srli_epi16(bytes, 4), nibble);
      return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_unpacklo_epi8(low, high)));
    } else {
      const __m128i bytes = load_64(codes);
      return _mm256_cvtepi32_ps(IsSigned ? _mm256_cvtepi8_epi32(bytes) : _mm256_cvtepu8_epi32(bytes));
    }
  }

  __m256 sums_[Registers];
};

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2
