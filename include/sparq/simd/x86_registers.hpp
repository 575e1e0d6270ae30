// SPDX-License-Identifier: MIT
#pragma once
// Registers of integers from memory and back, whatever the pointer points to: what the headers of x86 would write as a
// cast at every place. Nothing needs to be aligned.

#include <sparq/base/config.hpp>
#include <sparq/base/schedule.hpp>

#if SPARQ_HAS_AVX2

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

// a += x * wa, b += x * wb: both products, then both sums. Sums may take any vector unit, products two of four (Zen 3);
// where a sum stands between them, it takes one of the two more often: 0.68 cycles a product instead of 0.63. Compilers
// order them as they like, so the four are one statement; x is where the second product goes.
#if defined(__GNUC__)
#define SPARQ_ADD_PRODUCTS(a, b, wa, wb, x, multiply, add, multiply_lanes, add_lanes) \
  do {                                                                                \
    __m256i product_;                                                                 \
    __asm__(multiply " {%[v], %[x], %[p]|%[p], %[x], %[v]}\n\t"                       \
            multiply " {%[w], %[x], %[x]|%[x], %[x], %[w]}\n\t"                       \
            add " {%[p], %[s], %[s]|%[s], %[s], %[p]}\n\t"                            \
            add " {%[x], %[t], %[t]|%[t], %[t], %[x]}"                                \
            : [s] "+x"(a), [t] "+x"(b), [x] "+x"(x), [p] "=&x"(product_)              \
            : [v] "x"(wa), [w] "x"(wb));                                              \
  } while (false)
#else
#define SPARQ_ADD_PRODUCTS(a, b, wa, wb, x, multiply, add, multiply_lanes, add_lanes) \
  (static_cast<void>((a) = add_lanes((a), multiply_lanes((x), (wa)))),                \
   static_cast<void>((b) = add_lanes((b), multiply_lanes((x), (wb)))))
#endif

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
/// The same. @pre 0 < count <= 32
SPARQ_INLINE __m256i load_256(const void* from, std::size_t count) {
  if (count == 32) return load_256(from);
  const __m128i low = load_128(from, count < 16 ? count : 16);
  return _mm256_set_m128i(
      count > 16 ? load_128(static_cast<const std::uint8_t*>(from) + 16, count - 16) : _mm_setzero_si128(), low);
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

/// sum += products, lanes of 32 bits, in this order. gcc likes to put the sum where the products were and to copy it
/// back at the end of a turn, six times in a 6 x 2 block, and has no register left for one of the sums.
SPARQ_INLINE void add_in_place(__m256i& sum, __m256i products) {
#if defined(__GNUC__) && !defined(__clang__)
  __asm__("vpaddd {%1, %0, %0|%0, %0, %1}" : "+x"(sum) : "x"(products));
#else
  sum = _mm256_add_epi32(sum, products);
  SPARQ_KEEP_ORDER(sum);
#endif
}

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2
