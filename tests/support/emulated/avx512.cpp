// SPDX-License-Identifier: MIT
// The emulated instructions of immintrin.h beside this file. SIMDe does the work;
// those at the end are missing in its version
// 0.7.4.

#include <simde/x86/avx512.h>

#include <tests/support/emulated/immintrin.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sparq_test::emulated {

namespace {

simde__m512i in(m512i a) { return std::bit_cast<simde__m512i>(a); }
simde__m512 in(m512 a) { return std::bit_cast<simde__m512>(a); }
simde__m128i in(unsigned count) { return _mm_cvtsi32_si128(static_cast<int>(count)); }
m512i out(simde__m512i a) { return std::bit_cast<m512i>(a); }
m512 out(simde__m512 a) { return std::bit_cast<m512>(a); }

/// a[i] < b[i] for lanes of T.
template <class T>
std::uint64_t less(m512i a, m512i b) {
  std::uint64_t mask = 0;
  for (std::size_t i = 0; i < sizeof a / sizeof(T); ++i) {
    T left, right;
    std::memcpy(&left, a.bytes + i * sizeof(T), sizeof(T));
    std::memcpy(&right, b.bytes + i * sizeof(T), sizeof(T));
    mask |= std::uint64_t{left < right} << i;
  }
  return mask;
}

/// f(a, b) for 64-bit lanes.
template <class F>
m512i lanes64(m512i a, m512i b, F&& f) {
  m512i result;
  for (std::size_t i = 0; i < 64; i += 8) {
    std::int64_t left, right;
    std::memcpy(&left, a.bytes + i, 8);
    std::memcpy(&right, b.bytes + i, 8);
    left = f(left, right);
    std::memcpy(result.bytes + i, &left, 8);
  }
  return result;
}

/// Elements of T from the lower or upper halves of all 16 bytes of a and b in turns.
template <class T>
m512i interleaved(m512i a, m512i b, std::size_t first) {
  m512i result{};
  for (std::size_t part = 0; part < 64; part += 16)
    for (std::size_t i = 0; i < 8; i += sizeof(T)) {
      std::memcpy(result.bytes + part + 2 * i, a.bytes + part + first + i, sizeof(T));
      std::memcpy(result.bytes + part + 2 * i + sizeof(T), b.bytes + part + first + i, sizeof(T));
    }
  return result;
}

}  // namespace

m512i loadu_si512(const void* p) { return out(simde_mm512_loadu_si512(p)); }
m512i maskz_loadu_epi8(std::uint64_t k, const void* p) {  // reads what the mask names, and no more
  m512i result{};
  for (std::size_t i = 0; i < 64; ++i)
    if ((k >> i & 1) != 0) result.bytes[i] = static_cast<const std::uint8_t*>(p)[i];
  return result;
}
void storeu_si512(void* p, m512i a) { simde_mm512_storeu_si512(p, in(a)); }
m512 loadu_ps(const void* p) { return out(simde_mm512_loadu_ps(p)); }
void storeu_ps(void* p, m512 a) { simde_mm512_storeu_ps(p, in(a)); }

m512i setzero_si512() { return out(simde_mm512_setzero_si512()); }
m512 setzero_ps() { return out(simde_mm512_setzero_ps()); }
m512i set1_epi8(char a) { return out(simde_mm512_set1_epi8(static_cast<std::int8_t>(a))); }
m512i set1_epi16(short a) { return out(simde_mm512_set1_epi16(a)); }
m512i set1_epi32(int a) { return out(simde_mm512_set1_epi32(a)); }
m512i set1_epi64(long long a) { return out(simde_mm512_set1_epi64(a)); }
m512 set1_ps(float a) { return out(simde_mm512_set1_ps(a)); }
m512i broadcast_i32x4(__m128i a) { return out(simde_mm512_broadcast_i32x4(a)); }

m512i and_si512(m512i a, m512i b) { return out(simde_mm512_and_si512(in(a), in(b))); }
m512i or_si512(m512i a, m512i b) { return out(simde_mm512_or_si512(in(a), in(b))); }
m512i xor_si512(m512i a, m512i b) { return out(simde_mm512_xor_si512(in(a), in(b))); }
m512 or_ps(m512 a, m512 b) { return out(simde_mm512_or_ps(in(a), in(b))); }
m512i slli_epi16(m512i a, unsigned count) { return out(simde_mm512_sll_epi16(in(a), in(count))); }
m512i slli_epi32(m512i a, unsigned count) { return out(simde_mm512_sll_epi32(in(a), in(count))); }
m512i srli_epi16(m512i a, unsigned count) { return out(simde_mm512_srl_epi16(in(a), in(count))); }
m512i srli_epi32(m512i a, unsigned count) { return out(simde_mm512_srl_epi32(in(a), in(count))); }
m512i srai_epi16(m512i a, unsigned count) { return out(simde_mm512_sra_epi16(in(a), in(count))); }
m512i srai_epi32(m512i a, unsigned count) {  // SIMDe has none: two halves
  for (int half = 0; half < 2; ++half) {
    auto* p = reinterpret_cast<__m256i*>(a.bytes) + half;
    _mm256_storeu_si256(p, _mm256_sra_epi32(_mm256_loadu_si256(p), in(count)));
  }
  return a;
}

m512i add_epi32(m512i a, m512i b) { return out(simde_mm512_add_epi32(in(a), in(b))); }
m512i add_epi8(m512i a, m512i b) { return out(simde_mm512_add_epi8(in(a), in(b))); }
m512i sub_epi8(m512i a, m512i b) { return out(simde_mm512_sub_epi8(in(a), in(b))); }
m512i sub_epi16(m512i a, m512i b) { return out(simde_mm512_sub_epi16(in(a), in(b))); }
m512i sub_epi32(m512i a, m512i b) { return out(simde_mm512_sub_epi32(in(a), in(b))); }
m512i mullo_epi32(m512i a, m512i b) { return out(simde_mm512_mullo_epi32(in(a), in(b))); }
m512i madd_epi16(m512i a, m512i b) { return out(simde_mm512_madd_epi16(in(a), in(b))); }
m512i mullo_epi16(m512i a, m512i b) { return out(simde_mm512_mullo_epi16(in(a), in(b))); }
m512i popcnt_epi32(m512i a) { return out(simde_mm512_popcnt_epi32(in(a))); }
m512i dpbusd_epi32(m512i sum, m512i a, m512i b) { return out(simde_mm512_dpbusd_epi32(in(sum), in(a), in(b))); }
m512 mul_ps(m512 a, m512 b) { return out(simde_mm512_mul_ps(in(a), in(b))); }
m512 fmadd_ps(m512 a, m512 b, m512 c) { return out(simde_mm512_fmadd_ps(in(a), in(b), in(c))); }

std::uint64_t cmpgt_epi8_mask(m512i a, m512i b) { return simde_mm512_cmpgt_epi8_mask(in(a), in(b)); }
std::uint64_t cmplt_epu8_mask(m512i a, m512i b) { return simde_mm512_cmplt_epu8_mask(in(a), in(b)); }

m512i mask_blend_epi8(std::uint64_t k, m512i a, m512i b) { return out(simde_mm512_mask_blend_epi8(k, in(a), in(b))); }
m512i shuffle_epi8(m512i a, m512i positions) { return out(simde_mm512_shuffle_epi8(in(a), in(positions))); }
m512i mask_shuffle_epi8(m512i from, std::uint64_t k, m512i a, m512i positions) {
  return mask_blend_epi8(k, from, shuffle_epi8(a, positions));
}
m512i permutexvar_epi8(m512i positions, m512i a) { return out(simde_mm512_permutexvar_epi8(in(positions), in(a))); }
m512i permutexvar_epi16(m512i positions, m512i a) { return out(simde_mm512_permutexvar_epi16(in(positions), in(a))); }
m512 permutexvar_ps(m512i positions, m512 a) { return out(simde_mm512_permutexvar_ps(in(positions), in(a))); }
m512i maskz_permutexvar_epi8(std::uint64_t k, m512i positions, m512i a) {
  return out(simde_mm512_maskz_permutexvar_epi8(k, in(positions), in(a)));
}
m512i mask_permutexvar_epi8(m512i other, std::uint64_t k, m512i positions, m512i a) {
  return out(simde_mm512_mask_permutexvar_epi8(in(other), k, in(positions), in(a)));
}
m512i maskz_permutexvar_epi16(std::uint32_t k, m512i positions, m512i a) {
  return out(simde_mm512_maskz_permutexvar_epi16(k, in(positions), in(a)));
}
m512 maskz_permutexvar_ps(std::uint16_t k, m512i positions, m512 a) {
  return out(simde_mm512_maskz_permutexvar_ps(k, in(positions), in(a)));
}

m512i mulhi_epu16(m512i a, m512i b) {
  m512i result{};
  for (std::size_t i = 0; i < 64; i += 2) {
    std::uint16_t left, right;
    std::memcpy(&left, a.bytes + i, 2);
    std::memcpy(&right, b.bytes + i, 2);
    const auto high = static_cast<std::uint16_t>(std::uint32_t{left} * right >> 16);
    std::memcpy(result.bytes + i, &high, 2);
  }
  return result;
}
/// Bit i of the table is the result where the bits of a, b and c are i.
m512i ternarylogic_epi32(m512i a, m512i b, m512i c, int table) {
  m512i result{};
  for (std::size_t i = 0; i < 512; ++i) {
    const auto bit = [i](const m512i& from) { return from.bytes[i / 8] >> (i % 8) & 1; };
    const int at = bit(a) << 2 | bit(b) << 1 | bit(c);
    result.bytes[i / 8] = static_cast<std::uint8_t>(result.bytes[i / 8] | (table >> at & 1) << (i % 8));
  }
  return result;
}
std::uint32_t cmplt_epu16_mask(m512i a, m512i b) { return static_cast<std::uint32_t>(less<std::uint16_t>(a, b)); }
std::uint16_t cmplt_epu32_mask(m512i a, m512i b) { return static_cast<std::uint16_t>(less<std::uint32_t>(a, b)); }
m512i cvtepu8_epi32(__m128i a) {
  std::uint8_t bytes[16];
  std::memcpy(bytes, &a, sizeof bytes);
  m512i result{};
  for (std::size_t i = 0; i < 16; ++i) result.bytes[4 * i] = bytes[i];
  return result;
}
m512i cvtepu8_epi16(__m256i a) {
  std::uint8_t bytes[32];
  std::memcpy(bytes, &a, sizeof bytes);
  m512i result{};
  for (std::size_t i = 0; i < 32; ++i) result.bytes[2 * i] = bytes[i];
  return result;
}
/// As the manual defines it, by the CPU's own fused multiply-add: the odd elements first; to nearest, denormal numbers
/// are 0 before and after, MXCSR stays as it is.
m512 dpbf16_ps(m512 sum, m512i a, m512i b) {
  const auto element = [](const m512i& from, std::size_t i) {
    std::uint16_t bits;
    std::memcpy(&bits, from.bytes + 2 * i, sizeof bits);
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  };
  const unsigned flushing = 0x9fc0;
  unsigned saved;
  for (std::size_t i = 0; i < 16; ++i)
    for (const std::size_t at : {2 * i + 1, 2 * i})
      __asm__ volatile(
          "vstmxcsr %1\n\tvldmxcsr %2\n\tvfmadd231ss %3, %4, %0\n\tvldmxcsr %1"
          : "+x"(sum.lanes[i]), "=m"(saved)
          : "m"(flushing), "x"(element(a, at)), "x"(element(b, at)));
  return sum;
}
m512i maskz_compress_epi8(std::uint64_t k, m512i a) {
  m512i result{};
  std::size_t next = 0;
  for (std::size_t i = 0; i < 64; ++i)
    if ((k >> i & 1) != 0) result.bytes[next++] = a.bytes[i];
  return result;
}
m512i maskz_expand_epi8(std::uint64_t k, m512i a) {
  m512i result{};
  std::size_t next = 0;
  for (std::size_t i = 0; i < 64; ++i)
    if ((k >> i & 1) != 0) result.bytes[i] = a.bytes[next++];
  return result;
}
m512 maskz_expand_ps(std::uint16_t k, m512 a) {
  m512 result{};
  std::size_t next = 0;
  for (std::size_t i = 0; i < 16; ++i)
    if ((k >> i & 1) != 0) result.lanes[i] = a.lanes[next++];
  return result;
}

m512i shuffle_epi32(m512i a, int places) {
  m512i result;
  for (std::size_t i = 0; i < 16; ++i) {
    const std::size_t from = i / 4 * 4 + (static_cast<std::size_t>(places) >> (i % 4 * 2) & 3);
    std::memcpy(result.bytes + 4 * i, a.bytes + 4 * from, 4);
  }
  return result;
}
/// The upper half is anything.
m512i castsi256_si512(__m256i a) {
  m512i result;
  std::memset(result.bytes, 0x5a, sizeof result.bytes);
  std::memcpy(result.bytes, &a, sizeof a);
  return result;
}
__m256i castsi512_si256(m512i a) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a.bytes)); }
__m256i extracti64x4_epi64(m512i a, int half) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a.bytes + 32 * half));
}
m512i setr_epi32(int a, int b, int c, int d, int e, int f, int g, int h, int i, int j, int k, int l, int m, int n,
                 int o, int p) {
  const int lanes[] = {a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p};
  return std::bit_cast<m512i>(lanes);
}
m512 cvtepi32_ps(m512i a) {
  std::int32_t from[16];
  float to[16];
  std::memcpy(from, a.bytes, sizeof from);
  for (std::size_t i = 0; i < 16; ++i) to[i] = static_cast<float>(from[i]);
  return std::bit_cast<m512>(to);
}
m512 castsi512_ps(m512i a) { return std::bit_cast<m512>(a); }
m512i unpacklo_epi8(m512i a, m512i b) { return interleaved<std::uint8_t>(a, b, 0); }
m512i unpackhi_epi8(m512i a, m512i b) { return interleaved<std::uint8_t>(a, b, 8); }
m512i unpacklo_epi16(m512i a, m512i b) { return interleaved<std::uint16_t>(a, b, 0); }
m512i unpackhi_epi16(m512i a, m512i b) { return interleaved<std::uint16_t>(a, b, 8); }
m512i permutexvar_epi32(m512i positions, m512i a) {
  m512i result{};
  for (std::size_t i = 0; i < 16; ++i)
    std::memcpy(result.bytes + 4 * i, a.bytes + 4 * (positions.bytes[4 * i] % 16), 4);
  return result;
}
m512i add_epi64(m512i a, m512i b) { return out(simde_mm512_add_epi64(in(a), in(b))); }
m512i mul_epi32(m512i a, m512i b) { return out(simde_mm512_mul_epi32(in(a), in(b))); }
m512i mul_epu32(m512i a, m512i b) { return out(simde_mm512_mul_epu32(in(a), in(b))); }
m512i slli_epi64(m512i a, unsigned count) { return out(simde_mm512_sll_epi64(in(a), in(count))); }
m512i srli_epi64(m512i a, unsigned count) { return out(simde_mm512_srl_epi64(in(a), in(count))); }
m512i srav_epi64(m512i a, m512i counts) {
  return lanes64(a, counts,
                 [](std::int64_t x, std::int64_t by) { return x >> (static_cast<std::uint64_t>(by) > 63 ? 63 : by); });
}
m512i min_epi64(m512i a, m512i b) {
  return lanes64(a, b, [](std::int64_t x, std::int64_t y) { return y < x ? y : x; });
}
m512i max_epi64(m512i a, m512i b) {
  return lanes64(a, b, [](std::int64_t x, std::int64_t y) { return x < y ? y : x; });
}
m512i mask_blend_epi32(std::uint16_t k, m512i a, m512i b) {
  for (std::size_t i = 0; i < 16; ++i)
    if ((k >> i & 1) != 0) std::memcpy(a.bytes + 4 * i, b.bytes + 4 * i, 4);
  return a;
}
m512i permutex2var_epi8(m512i a, m512i positions, m512i b) {
  m512i result;
  for (std::size_t i = 0; i < 64; ++i) {
    const std::size_t from = positions.bytes[i] % 128;
    result.bytes[i] = (from < 64 ? a : b).bytes[from % 64];
  }
  return result;
}
m512i permutex2var_epi64(m512i a, m512i positions, m512i b) {
  m512i result;
  for (std::size_t i = 0; i < 8; ++i) {
    const std::size_t from = positions.bytes[8 * i] % 16;
    std::memcpy(result.bytes + 8 * i, (from < 8 ? a : b).bytes + 8 * (from % 8), 8);
  }
  return result;
}
m512i set_epi64(long long h, long long g, long long f, long long e, long long d, long long c, long long b,
                long long a) {
  const long long lanes[] = {a, b, c, d, e, f, g, h};
  return std::bit_cast<m512i>(lanes);
}

}  // namespace sparq_test::emulated
