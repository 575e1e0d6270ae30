// SPDX-License-Identifier: MIT
#pragma once
// Registers of integers from memory and back, whatever the pointer points to: what the headers of x86 would write as a
// cast at every place. Nothing needs to be aligned.

#include <sparq/base/config.hpp>

#if SPARQ_HAS_AVX2

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// So many bits at p; load_64 clears the upper half of its register.
SPARQ_INLINE __m128i load_64(const void* p) { return _mm_loadl_epi64(static_cast<const __m128i*>(p)); }
SPARQ_INLINE __m128i load_128(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
SPARQ_INLINE __m256i load_256(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
/// `count` bytes, zeros behind them, without the call and the stall of a memcpy into a buffer. Never touches memory
/// beyond them. @pre 0 < count <= 16
SPARQ_INLINE __m128i load_128(const void* from, std::size_t count) {
  if (count == 16) return load_128(from);
  const auto* bytes = static_cast<const std::uint8_t*>(from);
  std::uint64_t low = 0, high = 0;
  if (count >= 8) {
    std::memcpy(&low, bytes, 8);
    std::memcpy(&high, bytes + count - 8, 8);
    high = high >> 8 * (15 - count) >> 8;
  } else if (count >= 4) {
    std::uint32_t first, last;  // which overlap
    std::memcpy(&first, bytes, 4);
    std::memcpy(&last, bytes + count - 4, 4);
    low = first | std::uint64_t{last} << 8 * (count - 4);
  } else {
    const std::size_t middle = count / 2, last = count - 1;
    low = bytes[0] | std::uint64_t{bytes[middle]} << 8 * middle | std::uint64_t{bytes[last]} << 8 * last;
  }
  return _mm_set_epi64x(static_cast<std::int64_t>(high), static_cast<std::int64_t>(low));
}

/// The 128 bits at p, in both halves of a register.
SPARQ_INLINE __m256i load_128_twice(const void* p) { return _mm256_broadcastsi128_si256(load_128(p)); }

/// 128 bits at `low`, and those at `high` in the upper half.
SPARQ_INLINE __m256i load_halves(const void* low, const void* high) {
  return _mm256_inserti128_si256(_mm256_castsi128_si256(load_128(low)), load_128(high), 1);
}

/// So many bits to p; store_64 takes the lower half.
SPARQ_INLINE void store_64(void* p, __m128i v) { _mm_storel_epi64(static_cast<__m128i*>(p), v); }
SPARQ_INLINE void store_128(void* p, __m128i v) { _mm_storeu_si128(static_cast<__m128i*>(p), v); }
SPARQ_INLINE void store_256(void* p, __m256i v) { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }

/// Two or four numbers of 16 bits from one load. One load for each takes as long as so many registers: of either, Zen 3
/// does two a cycle.
template <std::size_t Count>
  requires(Count == 2 || Count == 4)
class loaded_shorts {
 public:
  explicit SPARQ_INLINE loaded_shorts(const std::uint16_t* p) {
    std::memcpy(&all_, p, sizeof all_);
    SPARQ_LOAD_AGAIN(all_);  // compilers would load each by itself
  }
  SPARQ_INLINE std::size_t operator[](std::size_t i) const { return all_ >> 16 * i & 0xffff; }

 private:
  std::conditional_t<Count == 2, std::uint32_t, std::uint64_t> all_;
};

/// p[i] += v[i] for eight sums; they wrap around.
SPARQ_INLINE void add_eight(std::int32_t* p, __m256i v) { store_256(p, _mm256_add_epi32(load_256(p), v)); }

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2
