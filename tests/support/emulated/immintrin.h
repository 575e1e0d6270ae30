// SPDX-License-Identifier: MIT
#pragma once
// AVX-512 on CPUs without it: the header that the library's intrinsics come from when the tests are built for an emulated
// instruction set. AVX2 and below are the compiler's own; the AVX-512 names that the library uses become functions of
// avx512.cpp, which SIMDe, another project's emulation, carries out. A name that is missing here does not compile.

#include_next <immintrin.h>

#include <sparq/base/schedule.hpp>

#include "tests/support/emulated/tiles.hpp"

#include <cstdint>

// gcc's form of it names a 512-bit register, and there is none.
#undef SPARQ_CLEAR
#define SPARQ_CLEAR(register) static_cast<void>(0)
#undef SPARQ_KEEP_ORDER
#define SPARQ_KEEP_ORDER(register) static_cast<void>(0)

namespace sparq_test::emulated {

struct m512i {
  std::uint8_t bytes[64];
};
struct m512 {
  float lanes[16];
};

m512i loadu_si512(const void* p);
m512i maskz_loadu_epi8(std::uint64_t k, const void* p);
void storeu_si512(void* p, m512i a);
m512 loadu_ps(const void* p);
void storeu_ps(void* p, m512 a);

m512i setzero_si512();
m512 setzero_ps();
m512i set1_epi8(char a);
m512i set1_epi16(short a);
m512i set1_epi32(int a);
m512i set1_epi64(long long a);
m512 set1_ps(float a);
m512i broadcast_i32x4(__m128i a);
m512i cvtepu8_epi16(__m256i a);
m512i cvtepu8_epi32(__m128i a);
m512i setr_epi32(int a, int b, int c, int d, int e, int f, int g, int h, int i, int j, int k, int l, int m, int n, int o,
                 int p);
m512 castsi512_ps(m512i a);
__m256i castsi512_si256(m512i a);
__m256i extracti64x4_epi64(m512i a, int half);
m512i castsi256_si512(__m256i a);

m512i and_si512(m512i a, m512i b);
m512i or_si512(m512i a, m512i b);
m512i xor_si512(m512i a, m512i b);
m512 or_ps(m512 a, m512 b);
m512i ternarylogic_epi32(m512i a, m512i b, m512i c, int table);
m512i slli_epi16(m512i a, unsigned count);
m512i slli_epi32(m512i a, unsigned count);
m512i srli_epi16(m512i a, unsigned count);
m512i srli_epi32(m512i a, unsigned count);
m512i srai_epi16(m512i a, unsigned count);
m512i srai_epi32(m512i a, unsigned count);

m512i add_epi32(m512i a, m512i b);
m512i add_epi8(m512i a, m512i b);
m512i sub_epi8(m512i a, m512i b);
m512i sub_epi16(m512i a, m512i b);
m512i sub_epi32(m512i a, m512i b);
m512i add_epi64(m512i a, m512i b);
m512i mul_epi32(m512i a, m512i b);
m512i mul_epu32(m512i a, m512i b);
m512i slli_epi64(m512i a, unsigned count);
m512i srli_epi64(m512i a, unsigned count);
m512i srav_epi64(m512i a, m512i counts);
m512i min_epi64(m512i a, m512i b);
m512i max_epi64(m512i a, m512i b);
m512i madd_epi16(m512i a, m512i b);
m512i mullo_epi16(m512i a, m512i b);
m512i mulhi_epu16(m512i a, m512i b);
m512i popcnt_epi32(m512i a);
m512i dpbusd_epi32(m512i sum, m512i a, m512i b);
m512 fmadd_ps(m512 a, m512 b, m512 c);
m512 dpbf16_ps(m512 sum, m512i a, m512i b);
m512 mul_ps(m512 a, m512 b);
m512i mullo_epi32(m512i a, m512i b);
m512 cvtepi32_ps(m512i a);

std::uint64_t cmpgt_epi8_mask(m512i a, m512i b);
std::uint64_t cmplt_epu8_mask(m512i a, m512i b);
std::uint32_t cmplt_epu16_mask(m512i a, m512i b);
std::uint16_t cmplt_epu32_mask(m512i a, m512i b);

m512i mask_blend_epi8(std::uint64_t k, m512i a, m512i b);
m512i mask_blend_epi32(std::uint16_t k, m512i a, m512i b);
m512i shuffle_epi8(m512i a, m512i positions);
m512i shuffle_epi32(m512i a, int places);
m512i mask_shuffle_epi8(m512i from, std::uint64_t k, m512i a, m512i positions);
m512i unpacklo_epi8(m512i a, m512i b);
m512i unpackhi_epi8(m512i a, m512i b);
m512i unpacklo_epi16(m512i a, m512i b);
m512i unpackhi_epi16(m512i a, m512i b);
m512i permutexvar_epi8(m512i positions, m512i a);
m512i permutexvar_epi16(m512i positions, m512i a);
m512i permutexvar_epi32(m512i positions, m512i a);
m512i permutex2var_epi8(m512i a, m512i positions, m512i b);
m512i permutex2var_epi64(m512i a, m512i positions, m512i b);
m512i set_epi64(long long h, long long g, long long f, long long e, long long d, long long c, long long b, long long a);
m512 permutexvar_ps(m512i positions, m512 a);
m512i maskz_permutexvar_epi8(std::uint64_t k, m512i positions, m512i a);
m512i mask_permutexvar_epi8(m512i other, std::uint64_t k, m512i positions, m512i a);
m512i maskz_permutexvar_epi16(std::uint32_t k, m512i positions, m512i a);
m512 maskz_permutexvar_ps(std::uint16_t k, m512i positions, m512 a);
m512i maskz_compress_epi8(std::uint64_t k, m512i a);
m512i maskz_expand_epi8(std::uint64_t k, m512i a);
m512 maskz_expand_ps(std::uint16_t k, m512 a);

}  // namespace sparq_test::emulated

#define __m512i ::sparq_test::emulated::m512i
#define __m512 ::sparq_test::emulated::m512
#define __m512bh ::sparq_test::emulated::m512i
#undef _mm512_setr_epi32
#undef _mm512_extracti64x4_epi64
#undef _mm512_slli_epi16
#undef _mm512_slli_epi32
#undef _mm512_slli_epi64
#undef _mm512_srli_epi64
#undef _mm512_srli_epi16
#undef _mm512_srli_epi32
#undef _mm512_srai_epi16
#undef _mm512_srai_epi32
#undef _mm512_ternarylogic_epi32
#undef _mm512_shuffle_epi32
#undef _mm512_cmpgt_epi8_mask
#undef _mm512_cmplt_epu8_mask
#undef _mm512_cmplt_epu16_mask
#undef _mm512_cmplt_epu32_mask
#define _mm512_loadu_si512 ::sparq_test::emulated::loadu_si512
#define _mm512_maskz_loadu_epi8 ::sparq_test::emulated::maskz_loadu_epi8
#define _mm512_storeu_si512 ::sparq_test::emulated::storeu_si512
#define _mm512_loadu_ps ::sparq_test::emulated::loadu_ps
#define _mm512_storeu_ps ::sparq_test::emulated::storeu_ps
#define _mm512_setzero_si512 ::sparq_test::emulated::setzero_si512
#define _mm512_setzero_ps ::sparq_test::emulated::setzero_ps
#define _mm512_set1_epi8 ::sparq_test::emulated::set1_epi8
#define _mm512_set1_epi16 ::sparq_test::emulated::set1_epi16
#define _mm512_set1_epi32 ::sparq_test::emulated::set1_epi32
#define _mm512_set1_epi64 ::sparq_test::emulated::set1_epi64
#define _mm512_set1_ps ::sparq_test::emulated::set1_ps
#define _mm512_broadcast_i32x4 ::sparq_test::emulated::broadcast_i32x4
#define _mm512_cvtepu8_epi16 ::sparq_test::emulated::cvtepu8_epi16
#define _mm512_cvtepu8_epi32 ::sparq_test::emulated::cvtepu8_epi32
#define _mm512_and_si512 ::sparq_test::emulated::and_si512
#define _mm512_or_si512 ::sparq_test::emulated::or_si512
#define _mm512_xor_si512 ::sparq_test::emulated::xor_si512
#define _mm512_or_ps ::sparq_test::emulated::or_ps
#define _mm512_slli_epi16 ::sparq_test::emulated::slli_epi16
#define _mm512_srli_epi16 ::sparq_test::emulated::srli_epi16
#define _mm512_srai_epi16 ::sparq_test::emulated::srai_epi16
#define _mm512_srai_epi32 ::sparq_test::emulated::srai_epi32
#define _mm512_add_epi32 ::sparq_test::emulated::add_epi32
#define _mm512_add_epi8 ::sparq_test::emulated::add_epi8
#define _mm512_sub_epi8 ::sparq_test::emulated::sub_epi8
#define _mm512_sub_epi16 ::sparq_test::emulated::sub_epi16
#define _mm512_sub_epi32 ::sparq_test::emulated::sub_epi32
#define _mm512_mullo_epi32 ::sparq_test::emulated::mullo_epi32
#define _mm512_madd_epi16 ::sparq_test::emulated::madd_epi16
#define _mm512_popcnt_epi32 ::sparq_test::emulated::popcnt_epi32
#define _mm512_dpbusd_epi32 ::sparq_test::emulated::dpbusd_epi32
#define _mm512_fmadd_ps ::sparq_test::emulated::fmadd_ps
#define _mm512_dpbf16_ps ::sparq_test::emulated::dpbf16_ps
#define _mm512_mul_ps ::sparq_test::emulated::mul_ps
#define _mm512_cvtepi32_ps ::sparq_test::emulated::cvtepi32_ps
#define _mm512_cmpgt_epi8_mask ::sparq_test::emulated::cmpgt_epi8_mask
#define _mm512_cmplt_epu8_mask ::sparq_test::emulated::cmplt_epu8_mask
#define _mm512_cmplt_epu16_mask ::sparq_test::emulated::cmplt_epu16_mask
#define _mm512_cmplt_epu32_mask ::sparq_test::emulated::cmplt_epu32_mask
#define _mm512_mask_blend_epi8 ::sparq_test::emulated::mask_blend_epi8
#define _mm512_shuffle_epi8 ::sparq_test::emulated::shuffle_epi8
#define _mm512_permutexvar_epi8 ::sparq_test::emulated::permutexvar_epi8
#define _mm512_permutexvar_epi16 ::sparq_test::emulated::permutexvar_epi16
#define _mm512_permutexvar_ps ::sparq_test::emulated::permutexvar_ps
#define _mm512_maskz_permutexvar_epi8 ::sparq_test::emulated::maskz_permutexvar_epi8
#define _mm512_mask_permutexvar_epi8 ::sparq_test::emulated::mask_permutexvar_epi8
#define _mm512_maskz_permutexvar_epi16 ::sparq_test::emulated::maskz_permutexvar_epi16
#define _mm512_maskz_permutexvar_ps ::sparq_test::emulated::maskz_permutexvar_ps
#define _mm512_maskz_compress_epi8 ::sparq_test::emulated::maskz_compress_epi8
#define _mm512_maskz_expand_epi8 ::sparq_test::emulated::maskz_expand_epi8
#define _mm512_maskz_expand_ps ::sparq_test::emulated::maskz_expand_ps
#define _mm512_setr_epi32 ::sparq_test::emulated::setr_epi32
#define _mm512_castsi512_ps ::sparq_test::emulated::castsi512_ps
#define _mm512_slli_epi32 ::sparq_test::emulated::slli_epi32
#define _mm512_unpacklo_epi8 ::sparq_test::emulated::unpacklo_epi8
#define _mm512_unpackhi_epi8 ::sparq_test::emulated::unpackhi_epi8
#define _mm512_unpacklo_epi16 ::sparq_test::emulated::unpacklo_epi16
#define _mm512_unpackhi_epi16 ::sparq_test::emulated::unpackhi_epi16
#define _mm512_permutexvar_epi32 ::sparq_test::emulated::permutexvar_epi32
#define _mm512_add_epi64 ::sparq_test::emulated::add_epi64
#define _mm512_mul_epi32 ::sparq_test::emulated::mul_epi32
#define _mm512_mul_epu32 ::sparq_test::emulated::mul_epu32
#define _mm512_slli_epi64 ::sparq_test::emulated::slli_epi64
#define _mm512_srli_epi64 ::sparq_test::emulated::srli_epi64
#define _mm512_srav_epi64 ::sparq_test::emulated::srav_epi64
#define _mm512_min_epi64 ::sparq_test::emulated::min_epi64
#define _mm512_max_epi64 ::sparq_test::emulated::max_epi64
#define _mm512_mask_blend_epi32 ::sparq_test::emulated::mask_blend_epi32
#define _mm512_permutex2var_epi64 ::sparq_test::emulated::permutex2var_epi64
#define _mm512_set_epi64 ::sparq_test::emulated::set_epi64
#define _mm512_permutex2var_epi8 ::sparq_test::emulated::permutex2var_epi8
#define _mm512_mullo_epi16 ::sparq_test::emulated::mullo_epi16
#define _mm512_mulhi_epu16 ::sparq_test::emulated::mulhi_epu16
#define _mm512_ternarylogic_epi32 ::sparq_test::emulated::ternarylogic_epi32
#define _mm512_mask_shuffle_epi8 ::sparq_test::emulated::mask_shuffle_epi8
#define _mm512_srli_epi32 ::sparq_test::emulated::srli_epi32
#define _mm512_castsi512_si256 ::sparq_test::emulated::castsi512_si256
#define _mm512_extracti64x4_epi64 ::sparq_test::emulated::extracti64x4_epi64
#define _mm512_castsi256_si512 ::sparq_test::emulated::castsi256_si512
#define _mm512_shuffle_epi32 ::sparq_test::emulated::shuffle_epi32
