// SPDX-License-Identifier: MIT
#pragma once
// Copies the short runs of which patches are made: tens to hundreds of bytes, where a call of memcpy costs as much as
// the copy; rows of narrow floats, which become f32; and single values.

#include <sparq/base/config.hpp>
#include <sparq/simd/x86_registers.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sparq {
SPARQ_ABI_BEGIN

/// Copies `count` elements; the ranges must not overlap and nothing beyond them is touched.
template <class T>
SPARQ_INLINE void copy_elements(const T* from, std::size_t count, T* to) {
  constexpr std::size_t step = 32;
  const auto* source = reinterpret_cast<const char*>(from);
  auto* target = reinterpret_cast<char*>(to);
  const std::size_t bytes = count * sizeof(T);
  if (bytes < step) {
    if (bytes != 0) std::memcpy(target, source, bytes);  // of nothing, pointers may be null
    return;
  }
  std::size_t i = 0;
  for (; i + step <= bytes; i += step) std::memcpy(target + i, source + i, step);
  std::memcpy(target + bytes - step, source + bytes - step, step);  // the rest, over what is there already
}

namespace machine {

/// A T at p, which needs no alignment and may point to anything.
template <class T>
SPARQ_INLINE T load_as(const void* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

/// 16 bytes of elements that lie Stride = 1 or 2 apart, of which a mask chooses. Reads 16 Stride bytes.
template <std::size_t Stride, class T>
SPARQ_INLINE void add_chosen(const T* from, const std::uint8_t (&mask)[16], std::uint8_t (&sum)[16]) {
#if SPARQ_HAS_AVX2
  __m128i v = load_128(from);
  if constexpr (Stride == 2) {
    const __m128i next = load_128(from + 16 / sizeof(T));
    if constexpr (sizeof(T) == 1) {
      const __m128i low = _mm_set1_epi16(0xff);
      v = _mm_packus_epi16(_mm_and_si128(v, low), _mm_and_si128(next, low));
    } else if constexpr (sizeof(T) == 2) {
      const __m128i low = _mm_set1_epi32(0xffff);
      v = _mm_packus_epi32(_mm_and_si128(v, low), _mm_and_si128(next, low));
    } else {
      v = _mm_castps_si128(_mm_shuffle_ps(_mm_castsi128_ps(v), _mm_castsi128_ps(next), 0x88));
    }
  }
  store_128(sum, _mm_or_si128(load_128(sum), _mm_and_si128(v, load_128(mask))));
#else
  for (std::size_t i = 0; i < 16 / sizeof(T); ++i) {
    std::uint8_t bytes[sizeof(T)];
    std::memcpy(bytes, from + i * Stride, sizeof(T));
    for (std::size_t j = 0; j < sizeof(T); ++j)
      sum[i * sizeof(T) + j] = static_cast<std::uint8_t>(sum[i * sizeof(T) + j] | (bytes[j] & mask[i * sizeof(T) + j]));
  }
#endif
}

/// Floats of any kind as f32.
template <class T>
inline void widen_floats(const T* from, std::size_t count, float* to) {
  if constexpr (sizeof(T) == sizeof(float)) {
    if (count != 0) std::memcpy(to, from, count * sizeof(float));
  } else {
    for (std::size_t i = 0; i < count; ++i) to[i] = from[i];
  }
}

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
