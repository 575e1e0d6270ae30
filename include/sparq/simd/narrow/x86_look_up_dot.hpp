// SPDX-License-Identifier: MIT
#pragma once
// Few rows of X times one channel of a codebook, for kernel/loop/look_up_loop.hpp: entries go from the lookup to the
// multiplication in registers; lanes are k's. Bytes and floats on AVX2, floats on AVX-512.

#include <sparq/base/schedule.hpp>
#include <sparq/simd/narrow/x86_avx2_look_up.hpp>
#include <sparq/simd/sum_of.hpp>
#include <sparq/simd/x86_registers.hpp>

#if SPARQ_HAS_AVX2

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// How far ahead of the codes that are read others are asked for.
inline constexpr std::size_t look_up_ahead_bytes = 2048;

/// Bytes of X in halves of four bits: of each 64 two registers of lower ones, in the order in which codes come apart,
/// then two of upper ones. A signed X gets its top bit flipped, which adds 128.
/// - `out`: 2 round_up(k, 64) bytes
template <int Bits, class Code>
void split_row(const Code* x, std::size_t k, std::uint8_t* out) noexcept {
  constexpr auto flip = static_cast<char>(std::is_signed_v<Code> ? -128 : 0);
  const __m256i nibble = _mm256_set1_epi8(15);
  for (std::size_t i = 0; i < k; i += 64, out += 128) {
    alignas(32) Code rest[64];
    const Code* from = x + i;
    if (k - i < 64) {
      std::memset(rest, flip, sizeof rest);
      std::memcpy(rest, from, k - i);
      from = rest;
    }
    __m256i bytes[2];
    SPARQ_UNROLL for (int j = 0; j < 2; ++j)
      bytes[j] = _mm256_xor_si256(load_256(from + 32 * j), _mm256_set1_epi8(flip));
    if constexpr (Bits == 4) {
      const __m256i first = bytes[0];
      bytes[0] = _mm256_permute2x128_si256(first, bytes[1], 0x20);
      bytes[1] = _mm256_permute2x128_si256(first, bytes[1], 0x31);
    }
    SPARQ_UNROLL for (int j = 0; j < 2; ++j) {
      store_256(out + 32 * j, _mm256_and_si256(bytes[j], nibble));
      store_256(out + 64 + 32 * j, _mm256_and_si256(_mm256_srli_epi16(bytes[j], 4), nibble));
    }
  }
}

/// A chunk of 32 codes in the order of k.
/// - `Bits`: of a packed code, 2 or 4
template <class N, int Bits>
SPARQ_INLINE __m256i chunk_codes(const std::uint8_t* at) {
  __m256i codes;
  if constexpr (Bits == 4) {
    codes = _mm256_srlv_epi64(load_128_twice(at), _mm256_setr_epi64x(0, 0, 4, 4));
  } else {
    codes = _mm256_srlv_epi64(_mm256_set1_epi64x(load_as<long long>(at)), _mm256_setr_epi64x(0, 2, 4, 6));
  }
  return _mm256_and_si256(codes, _mm256_set1_epi8(static_cast<char>(N::entries - 1)));
}

/// Two chunks of codes as split_row orders X, or the last one alone beside zeros.
template <class N, int Bits, bool IsPair>
SPARQ_INLINE void codes_of_pair(const std::uint8_t* at, __m256i (&codes)[2]) {
  if constexpr (Bits == 4) {
    const __m256i mask = _mm256_set1_epi8(static_cast<char>(N::entries - 1));
    const __m256i both = IsPair ? load_256(at)
                                : _mm256_set_m128i(_mm_setzero_si128(), load_128(at));
    codes[0] = _mm256_and_si256(both, mask);
    codes[1] = _mm256_and_si256(_mm256_srli_epi16(both, 4), mask);
  } else {
    codes[0] = chunk_codes<N, Bits>(at);
    codes[1] = IsPair ? chunk_codes<N, Bits>(at + 4 * Bits) : _mm256_setzero_si256();
  }
}

/// Asks for the codes of eight chunks, far ahead of these.
template <int Bits>
SPARQ_INLINE void look_up_ahead(const std::uint8_t* codes) {
  for (std::size_t line = 0; line < 32 * Bits; line += 64)
    _mm_prefetch(reinterpret_cast<const char*>(reinterpret_cast<std::uintptr_t>(codes) + line + look_up_ahead_bytes),
                 _MM_HINT_T0);
}

/// Sums of C channels for R rows of split X, `ldx` bytes apart. Halves of X times entries never saturate vpmaddubsw,
/// and eight of their pairs fit into 16 bits.
/// - `sums`: of row r and channel c go to sums[16 * (r * C + c)]
template <class N, int Bits, std::size_t R, std::size_t C>
void look_up_dot(std::array<const std::uint8_t*, C> codes, const std::array<const std::int8_t*, C>& of_channels,
                 std::size_t chunks, const std::uint8_t* x, std::size_t ldx, std::int32_t* sums) noexcept {
  SPARQ_ALIGN_FRAME;
  const auto tables = [&]<std::size_t... I>(std::index_sequence<I...>) {
    return std::array<table_pair<N>, C>{table_pair<N>(of_channels[I])...};
  }(std::make_index_sequence<C>{});
  __m256i acc[R][C], low[R][C], high[R][C];
  SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r)
    SPARQ_UNROLL for (std::size_t c = 0; c < C; ++c) acc[r][c] = low[r][c] = high[r][c] = _mm256_setzero_si256();
  const auto add = [&](auto is_pair) SPARQ_LAMBDA_INLINE {
    SPARQ_UNROLL for (std::size_t c = 0; c < C; ++c) {
      __m256i of_pair[2];
      codes_of_pair<N, Bits, decltype(is_pair)::value>(codes[c], of_pair);
      SPARQ_UNROLL for (std::size_t i = 0; i < 2; ++i) {
        __m256i bytes[1];
        tables[c].look_up(of_pair[i], bytes);
        SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
          const auto* at = reinterpret_cast<const __m256i*>(x + r * ldx) + i;
          low[r][c] = _mm256_add_epi16(low[r][c], _mm256_maddubs_epi16(_mm256_loadu_si256(at), bytes[0]));
          SPARQ_KEEP_ORDER(low[r][c]);
          high[r][c] = _mm256_add_epi16(high[r][c], _mm256_maddubs_epi16(_mm256_loadu_si256(at + 2), bytes[0]));
          SPARQ_KEEP_ORDER(high[r][c]);
        }
      }
      codes[c] += 8 * Bits;
    }
    x += 128;
  };
  const auto widen = [&]() SPARQ_LAMBDA_INLINE {
    SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r)
      SPARQ_UNROLL for (std::size_t c = 0; c < C; ++c) {
        acc[r][c] = _mm256_add_epi32(acc[r][c], _mm256_add_epi32(_mm256_madd_epi16(low[r][c], _mm256_set1_epi16(1)),
                                                                 _mm256_madd_epi16(high[r][c], _mm256_set1_epi16(16))));
        low[r][c] = high[r][c] = _mm256_setzero_si256();
      }
  };
  SPARQ_KEEP_LOOP for (; chunks >= 8; chunks -= 8) {
    SPARQ_UNROLL for (std::size_t c = 0; c < C; ++c) look_up_ahead<Bits>(codes[c]);
    SPARQ_UNROLL for (int i = 0; i < 4; ++i) add(std::true_type{});
    widen();
  }
  for (; chunks >= 2; chunks -= 2) add(std::true_type{});
  if (chunks != 0) add(std::false_type{});
  widen();
  SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r)
    SPARQ_UNROLL for (std::size_t c = 0; c < C; ++c) {
      __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(acc[r][c]), _mm256_extracti128_si256(acc[r][c], 1));
      sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
      sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
      sums[16 * (r * C + c)] = _mm_cvtsi128_si32(sum);
    }
}

#if SPARQ_HAS_AVX512

/// The k's that nibble j of 64 bytes of codes chooses for: of 128, where it is in its word of 32 bits.
constexpr std::size_t place_of_nibble(std::size_t word, std::size_t j) {
  return word / 4 * 32 + j % 2 * 16 + word % 4 * 4 + j / 2;
}

/// Floats, of each whole 128 those first that the lowest nibbles of words choose for; the others as they are.
template <int Bits>
void split_row(const float* x, std::size_t k, float* out) noexcept {
  const std::size_t whole = Bits == 4 ? k / 128 * 128 : 0;
  for (std::size_t i = 0; i < whole; i += 128)
    for (std::size_t j = 0; j < 8; ++j)
      for (std::size_t word = 0; word < 16; ++word) out[i + 16 * j + word] = x[i + place_of_nibble(word, j)];
  std::copy(x + whole, x + k, out + whole);
}

/// The same for floats, C channels: sixteen entries are a register, in which a permute looks up what the lowest nibble
/// of every word says. Multiplying brings the other nibbles there, on other pipes than permutes and shifts.
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
      _mm_prefetch(reinterpret_cast<const char*>(reinterpret_cast<std::uintptr_t>(codes[c]) + 64 * i + ahead),
                   _MM_HINT_T0);
    }
    SPARQ_UNROLL for (std::size_t half = 0; half < 2; ++half) {
      SPARQ_UNROLL for (unsigned j = 0; j < 4; ++j) {
        __m512 xs[R];
        SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r)
          xs[r] = _mm512_loadu_ps(x + r * ldx + 128 * i + 64 * half + 16 * j);
        SPARQ_UNROLL for (std::size_t c = 0; c < C; ++c) add(
            c,
            j == 0 ? words[c] : _mm512_mulhi_epu16(words[c], _mm512_set1_epi16(static_cast<short>(1 << (16 - 4 * j)))),
            xs);
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

/// Floats in the order in which look_up_fma takes bytes apart: of each 32 k's 0-3, 16-19, 4-7, 20-23, ..., or with
/// codes of four bits, of each 64, 0-3, 32-35, 4-7, 36-39, ..., then 16-19, 48-51, ...
template <int Bits>
void split_row(const float* x, std::size_t k, float* out) noexcept {
  for (std::size_t i = 0; i < k; i += 4) {
    const std::size_t registers = Bits == 4 ? i / 64 * 2 + i / 16 % 2 : i / 32, lane = i / (Bits == 4 ? 32 : 16) % 2;
    std::copy_n(x + i, k - i < 4 ? k - i : 4, out + registers * 32 + i / 4 % 4 * 8 + lane * 4);
  }
}

/// The same for floats: each byte of the entries is looked up, and 32 codes become four registers. Two chunks of four
/// bits are taken together; their upper codes come down by multiplying,
/// which the units that shuffle are not needed for.
template <class N, int Bits, std::size_t R>
void look_up_fma(const std::uint8_t* codes, const float* table, std::size_t chunks, const float* x, std::size_t ldx,
                 float* sums) noexcept {
  const table_pair<N> tables(table);
  __m256 acc[R][2];
  SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) acc[r][0] = acc[r][1] = _mm256_setzero_ps();
  const auto add = [&](__m256i of_chunk, const float* at) SPARQ_LAMBDA_INLINE {
    __m256i words[4];
    tables.look_up(of_chunk, words);
    SPARQ_UNROLL for (std::size_t j = 0; j < 4; ++j)
      SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) acc[r][j % 2] = _mm256_fmadd_ps(
          _mm256_castsi256_ps(words[j]), _mm256_loadu_ps(at + r * ldx + j * 8), acc[r][j % 2]);
  };
  if constexpr (Bits == 4) {
    const auto add_pair = [&](__m256i both) SPARQ_LAMBDA_INLINE {
      const __m256i mask = _mm256_set1_epi8(static_cast<char>(N::entries - 1));
      add(_mm256_and_si256(both, mask), x);
      const __m256i upper = R <= 2 ? _mm256_mulhi_epu16(both, _mm256_set1_epi16(1 << 12)) : _mm256_srli_epi16(both, 4);
      add(_mm256_and_si256(upper, mask), x + 32);
    };
    SPARQ_KEEP_LOOP for (; chunks >= 2; chunks -= 2, codes += 32, x += 64) add_pair(load_256(codes));
    if (chunks != 0) add_pair(_mm256_set_m128i(_mm_setzero_si128(), load_128(codes)));
  } else {
    SPARQ_KEEP_LOOP for (; chunks != 0; --chunks, codes += 4 * Bits, x += 32) add(chunk_codes<N, Bits>(codes), x);
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
