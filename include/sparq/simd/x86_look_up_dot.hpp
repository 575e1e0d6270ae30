// SPDX-License-Identifier: MIT
#pragma once
// Few rows of X times one channel of a codebook, for kernel/look_up_loop.hpp: entries go from the lookup to the
// multiplication in registers; lanes are k's. Bytes and floats on AVX2, floats on AVX-512.

#include <sparq/simd/sum_of.hpp>
#include <sparq/simd/x86_avx2_look_up.hpp>

#if SPARQ_HAS_AVX2

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Bytes of X as s16, of each 32 the even ones first: as the two halves of a 16-bit lane are taken apart.
template <int Bits, class Code>
void split_row(const Code* x, std::size_t k, std::int16_t* out) noexcept {
  for (std::size_t i = 0; i < k; i += 32, out += 32) {
    alignas(32) Code rest[32] = {};
    const Code* from = x + i;
    if (k - i < 32) {
      std::memcpy(rest, from, k - i);
      from = rest;
    }
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    const __m256i even = std::is_signed_v<Code> ? _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8)
                                                : _mm256_and_si256(bytes, _mm256_set1_epi16(0xff));
    const __m256i odd = std::is_signed_v<Code> ? _mm256_srai_epi16(bytes, 8) : _mm256_srli_epi16(bytes, 8);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), even);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 16), odd);
  }
}

/// A chunk of 32 codes in the order of k.
/// - `Bits`: of a packed code, 2 or 4
template <class N, int Bits>
SPARQ_INLINE __m256i chunk_codes(const std::uint8_t* at) {
  __m256i codes;
  if constexpr (Bits == 4) {
    codes = _mm256_srlv_epi64(_mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at))),
                              _mm256_setr_epi64x(0, 0, 4, 4));
  } else {
    long long eight;
    std::memcpy(&eight, at, sizeof eight);
    codes = _mm256_srlv_epi64(_mm256_set1_epi64x(eight), _mm256_setr_epi64x(0, 2, 4, 6));
  }
  return _mm256_and_si256(codes, _mm256_set1_epi8(static_cast<char>(N::entries - 1)));
}

/// Sums of one channel for R rows of split X, `ldx` elements apart; row r's sum goes to sums[16 * r].
template <class N, int Bits, std::size_t R>
void look_up_dot(const std::uint8_t* codes, const std::int8_t* table, std::size_t chunks, const std::int16_t* x,
                 std::size_t ldx, std::int32_t* sums) noexcept {
  const table_pair<N> tables(table);
  __m256i acc[R][2];
  SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) acc[r][0] = acc[r][1] = _mm256_setzero_si256();
  SPARQ_KEEP_LOOP for (std::size_t i = 0; i < chunks; ++i) {
    __m256i bytes[1];
    tables.look_up(chunk_codes<N, Bits>(codes + i * 4 * Bits), bytes);
    const __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(bytes[0], 8), 8), odd = _mm256_srai_epi16(bytes[0], 8);
    SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
      const auto* at = reinterpret_cast<const __m256i*>(x + r * ldx + i * 32);
      acc[r][0] = _mm256_add_epi32(acc[r][0], _mm256_madd_epi16(even, _mm256_loadu_si256(at)));
      acc[r][1] = _mm256_add_epi32(acc[r][1], _mm256_madd_epi16(odd, _mm256_loadu_si256(at + 1)));
    }
  }
  SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
    const __m256i both = _mm256_add_epi32(acc[r][0], acc[r][1]);
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
    sums[16 * r] = _mm_cvtsi128_si32(sum);
  }
}

#if SPARQ_HAS_AVX512

/// The k's that nibble j of 64 bytes of codes chooses for: of 128, where it is in its word of 32 bits.
constexpr std::size_t place_of_nibble(std::size_t word, std::size_t j) { return word / 4 * 32 + j % 2 * 16 + word % 4 * 4 + j / 2; }

/// Floats, of each whole 128 those first that the lowest nibbles of words choose for; the others as they are.
template <int Bits>
void split_row(const float* x, std::size_t k, float* out) noexcept {
  const std::size_t whole = Bits == 4 ? k / 128 * 128 : 0;
  for (std::size_t i = 0; i < whole; i += 128)
    for (std::size_t j = 0; j < 8; ++j)
      for (std::size_t word = 0; word < 16; ++word) out[i + 16 * j + word] = x[i + place_of_nibble(word, j)];
  std::copy(x + whole, x + k, out + whole);
}

/// The same for floats, C channels: sixteen entries are a register, in which a permute looks up what the lowest nibble of
/// every word says. Multiplying brings the other nibbles there, on other pipes than permutes and shifts.
/// - `ahead`: bytes of codes to the next channels, which are asked for
/// - `sums`: of row r and channel c go to sums[16 * r + c]
template <class N, int Bits, std::size_t R, std::size_t C>
void look_up_fma(const std::uint8_t* const (&codes)[C], const float* const (&tables)[C], std::size_t k, const float* x,
                 std::size_t ldx, std::size_t ahead, float* sums) noexcept {
  __m512 entries[C], acc[R][C];
  SPARQ_UNROLL for (std::size_t c = 0; c < C; ++c) {
    alignas(64) float sixteen[16];
    for (std::size_t i = 0; i < 16; ++i) sixteen[i] = tables[c][i & (N::entries - 1)];
    entries[c] = _mm512_loadu_ps(sixteen);
    SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) acc[r][c] = _mm512_setzero_ps();
  }
  const auto add = [&](std::size_t c, __m512i at, const __m512 (&xs)[R]) SPARQ_LAMBDA_INLINE {
    const __m512 found = _mm512_permutexvar_ps(at, entries[c]);
    SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) acc[r][c] = _mm512_fmadd_ps(found, xs[r], acc[r][c]);
  };
  const std::size_t whole = Bits == 4 ? k / 128 : 0;
  SPARQ_KEEP_LOOP for (std::size_t i = 0; i < whole; ++i) {
    __m512i words[C];
    SPARQ_UNROLL for (std::size_t c = 0; c < C; ++c) {
      words[c] = _mm512_loadu_si512(codes[c] + 64 * i);
      _mm_prefetch(reinterpret_cast<const char*>(reinterpret_cast<std::uintptr_t>(codes[c]) + 64 * i + ahead), _MM_HINT_T0);
    }
    SPARQ_UNROLL for (std::size_t half = 0; half < 2; ++half) {
      SPARQ_UNROLL for (unsigned j = 0; j < 4; ++j) {
        __m512 xs[R];
        SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) xs[r] = _mm512_loadu_ps(x + r * ldx + 128 * i + 64 * half + 16 * j);
        SPARQ_UNROLL for (std::size_t c = 0; c < C; ++c)
          add(c, j == 0 ? words[c] : _mm512_mulhi_epu16(words[c], _mm512_set1_epi16(static_cast<short>(1 << (16 - 4 * j)))), xs);
      }
      SPARQ_UNROLL for (std::size_t c = 0; c < C; ++c) words[c] = _mm512_srli_epi32(words[c], 16);
    }
  }
  for (std::size_t i = 128 * whole; i < k; i += 32)
    SPARQ_UNROLL for (std::size_t c = 0; c < C; ++c) {
      const __m256i of_chunk = chunk_codes<N, Bits>(codes[c] + i / 8 * static_cast<std::size_t>(Bits));
      const __m128i halves[2] = {_mm256_castsi256_si128(of_chunk), _mm256_extracti128_si256(of_chunk, 1)};
      SPARQ_UNROLL for (std::size_t h = 0; h < 2; ++h) {
        __m512 xs[R];
        SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) xs[r] = _mm512_loadu_ps(x + r * ldx + i + h * 16);
        add(c, _mm512_cvtepu8_epi32(halves[h]), xs);
      }
    }
  SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
    SPARQ_UNROLL for (std::size_t c = 0; c < C; ++c) {
      float lanes[16];
      _mm512_storeu_ps(lanes, acc[r][c]);
      sums[16 * r + c] = sum_of(lanes, 16);
    }
  }
}

#else

/// Floats, of each 32 in the order in which look_up_fma takes bytes apart: 0-3, 16-19, 4-7, 20-23, ...
template <int Bits>
void split_row(const float* x, std::size_t k, float* out) noexcept {
  for (std::size_t i = 0; i < k; i += 4)
    std::copy_n(x + i, k - i < 4 ? k - i : 4, out + i / 32 * 32 + i / 4 % 4 * 8 + i / 16 % 2 * 4);
}

/// The same for floats: each byte of the entries is looked up, and 32 codes become four registers.
template <class N, int Bits, std::size_t R>
void look_up_fma(const std::uint8_t* codes, const float* table, std::size_t chunks, const float* x, std::size_t ldx,
                 float* sums) noexcept {
  const table_pair<N> tables(table);
  __m256 acc[R][2];
  SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) acc[r][0] = acc[r][1] = _mm256_setzero_ps();
  SPARQ_KEEP_LOOP for (std::size_t i = 0; i < chunks; ++i) {
    __m256i words[4];
    tables.look_up(chunk_codes<N, Bits>(codes + i * 4 * Bits), words);
    SPARQ_UNROLL for (std::size_t j = 0; j < 4; ++j)
      SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) acc[r][j % 2] = _mm256_fmadd_ps(
          _mm256_castsi256_ps(words[j]), _mm256_loadu_ps(x + r * ldx + i * 32 + j * 8), acc[r][j % 2]);
  }
  SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
    const __m256 both = _mm256_add_ps(acc[r][0], acc[r][1]);
    __m128 sum = _mm_add_ps(_mm256_castps256_ps128(both), _mm256_extractf128_ps(both, 1));
    sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
    sum = _mm_add_ss(sum, _mm_movehdup_ps(sum));
    sums[16 * r] = _mm_cvtss_f32(sum);
  }
}

#endif  // SPARQ_HAS_AVX512

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2
