// SPDX-License-Identifier: MIT
#pragma once
// Sums of neighbouring elements: exact for bytes, in a fixed order for floats.

#include <sparq/simd/vec.hpp>
#include <sparq/simd/x86_registers.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Sum of `count` bytes.
template <class Byte>
std::int64_t sum_of(const Byte* x, std::size_t count) noexcept {
  static_assert(sizeof(Byte) == 1, "sparq: row sums are of bytes, floats or narrow integers; convert X");
  std::int64_t sum = 0;
  std::size_t i = 0;
#if SPARQ_HAS_AVX2
  // Distances of unsigned bytes to 0, added by eights; signed bytes are moved up by 128 before and down behind.
  const __m256i up = _mm256_set1_epi8(std::is_signed_v<Byte> ? static_cast<char>(-128) : char{0});
  __m256i sums = _mm256_setzero_si256();
  for (; i + 32 <= count; i += 32) {
    const __m256i bytes = load_256(x + i);
    sums = _mm256_add_epi64(sums, _mm256_sad_epu8(_mm256_xor_si256(bytes, up), _mm256_setzero_si256()));
  }
  std::int64_t parts[4];
  store_256(parts, sums);
  sum = parts[0] + parts[1] + parts[2] + parts[3] -
        (std::is_signed_v<Byte> ? std::int64_t{128} : 0) * static_cast<std::int64_t>(i);
#endif
  for (; i < count; ++i) sum += x[i];
  return sum;
}
/// Sum of `count` floats: x[i] goes to sum i % 16, and those are halved until one is left; the same on every CPU.
inline float sum_of(const float* x, std::size_t count) noexcept {
  vec<float> sums(0.0F);
  for (std::size_t i = 0; i < count; i += 16)
    sums = sums + vec<float>::load(x + i, (std::min)(count - i, std::size_t{16}));
  float lanes[16];
  sums.store(lanes);
  for (std::size_t half = 8; half > 0; half /= 2)
    for (std::size_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  return lanes[0];
}

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
