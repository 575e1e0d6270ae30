// SPDX-License-Identifier: MIT
#pragma once
// Transposes of small tiles: rows of X into lanes, and sums back into rows of Y.

#include <sparq/base/config.hpp>
#include <sparq/simd/copy.hpp>
#include <sparq/simd/x86_registers.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

#if SPARQ_HAS_AVX2

/// 8 x 8 elements of 32 bits: element (i, j) of `from` becomes (j, i) of `to`.
SPARQ_INLINE void transpose_8x8(const float* const* from, float* to, std::size_t ldt) {
  __m256 a[8], b[8];
  SPARQ_UNROLL for (int i = 0; i < 8; ++i) a[i] = _mm256_loadu_ps(from[i]);
  SPARQ_UNROLL for (int i = 0; i < 8; i += 2) {
    b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
    b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
  }
  SPARQ_UNROLL for (int i = 0; i < 8; i += 4) {
    a[i] = _mm256_shuffle_ps(b[i], b[i + 2], 0x44);
    a[i + 1] = _mm256_shuffle_ps(b[i], b[i + 2], 0xee);
    a[i + 2] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0x44);
    a[i + 3] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0xee);
  }
  SPARQ_UNROLL for (std::size_t i = 0; i < 4; ++i) {
    _mm256_storeu_ps(to + i * ldt, _mm256_permute2f128_ps(a[i], a[i + 4], 0x20));
    _mm256_storeu_ps(to + (i + 4) * ldt, _mm256_permute2f128_ps(a[i], a[i + 4], 0x31));
  }
}

/// Sixteen bytes of sixteen rows: register i gets column 2i in its low half, column 2i + 1 in its high half.
SPARQ_INLINE void transpose_bytes_16x16(const std::uint8_t* const* rows, std::size_t at, __m256i (&columns)[8]) {
  __m256i a[8], b[8];
  SPARQ_UNROLL for (int i = 0; i < 8; ++i) {
    a[i] = load_halves(rows[i] + at, rows[i + 8] + at);
  }
  SPARQ_UNROLL for (int i = 0; i < 4; ++i) {
    b[2 * i] = _mm256_unpacklo_epi8(a[2 * i], a[2 * i + 1]);      // columns 0..7 of two rows
    b[2 * i + 1] = _mm256_unpackhi_epi8(a[2 * i], a[2 * i + 1]);  // columns 8..15
  }
  SPARQ_UNROLL for (int i = 0; i < 2; ++i) {
    SPARQ_UNROLL for (int h = 0; h < 2; ++h) {
      a[4 * i + 2 * h] = _mm256_unpacklo_epi16(b[4 * i + h], b[4 * i + 2 + h]);      // columns 8h + 0..3 of four rows
      a[4 * i + 2 * h + 1] = _mm256_unpackhi_epi16(b[4 * i + h], b[4 * i + 2 + h]);  // columns 8h + 4..7
    }
  }
  SPARQ_UNROLL for (int i = 0; i < 4; ++i) {
    columns[2 * i] = _mm256_permute4x64_epi64(_mm256_unpacklo_epi32(a[i], a[i + 4]), 0xd8);
    columns[2 * i + 1] = _mm256_permute4x64_epi64(_mm256_unpackhi_epi32(a[i], a[i + 4]), 0xd8);
  }
}

/// Calls f(k, registers of columns k and k + 1) for the k's of sixteen rows, sixteen k's at a time; the last k's come
/// from copies, so that nothing is read beyond a row's end.
template <class F>
SPARQ_INLINE void for_transposed_bytes(const std::uint8_t* const* rows, std::size_t k, F&& f) {
  __m256i columns[8];
  std::size_t at = 0;
  for (; at + 16 <= k; at += 16) {
    transpose_bytes_16x16(rows, at, columns);
    SPARQ_UNROLL for (std::size_t i = 0; i < 8; ++i) f(at + 2 * i, columns[i]);
  }
  if (at == k) return;
  std::uint8_t rest[16][16] = {};
  const std::uint8_t* rest_rows[16];
  for (std::size_t r = 0; r < 16; ++r) {
    std::memcpy(rest[r], rows[r] + at, k - at);
    rest_rows[r] = rest[r];
  }
  transpose_bytes_16x16(rest_rows, 0, columns);
  for (std::size_t i = 0; at + 2 * i < k; ++i) f(at + 2 * i, columns[i]);
}

/// Bytes of eight rows, [k][row]: 32 k's at a time, whose halves of registers change places once at the end. The last
/// k's come from copies, so that nothing is read beyond a row's end.
inline void transpose_eight_rows(const std::uint8_t* const* rows, std::size_t k, std::uint8_t* to) {
  const auto turn = [](const std::uint8_t* const* from, std::size_t at, std::uint8_t* out) SPARQ_LAMBDA_INLINE {
    __m256i a[8], b[8];
    SPARQ_UNROLL for (int i = 0; i < 8; ++i) a[i] = load_256(from[i] + at);
    SPARQ_UNROLL for (int i = 0; i < 8; i += 2) {
      b[i] = _mm256_unpacklo_epi8(a[i], a[i + 1]);      // columns 0..7 and 16..23 of two rows
      b[i + 1] = _mm256_unpackhi_epi8(a[i], a[i + 1]);  // 8..15 and 24..31
    }
    SPARQ_UNROLL for (int i = 0; i < 8; i += 4) {
      SPARQ_UNROLL for (int h = 0; h < 2; ++h) {
        a[i + 2 * h] = _mm256_unpacklo_epi16(b[i + h], b[i + h + 2]);      // columns 8h + 0..3 of four rows
        a[i + 2 * h + 1] = _mm256_unpackhi_epi16(b[i + h], b[i + h + 2]);  // columns 8h + 4..7
      }
    }
    SPARQ_UNROLL for (int i = 0; i < 4; ++i) {
      const __m256i low = _mm256_unpacklo_epi32(a[i], a[i + 4]), high = _mm256_unpackhi_epi32(a[i], a[i + 4]);
      store_256(out + 32 * i, _mm256_permute2x128_si256(low, high, 0x20));
      store_256(out + 32 * i + 128, _mm256_permute2x128_si256(low, high, 0x31));
    }
  };
  std::size_t at = 0;
  for (; at + 32 <= k; at += 32) turn(rows, at, to + at * 8);
  if (at == k) return;
  std::uint8_t rest[8][32] = {}, turned[32 * 8];
  const std::uint8_t* rest_rows[8];
  for (std::size_t r = 0; r < 8; ++r) {
    std::memcpy(rest[r], rows[r] + at, k - at);
    rest_rows[r] = rest[r];
  }
  turn(rest_rows, 0, turned);
  std::memcpy(to + at * 8, turned, (k - at) * 8);
}

/// A block of Rows rows of floats, [k][row].
template <std::size_t Rows, class T>
void pack_float_rows(const T* const* rows, std::size_t k, float* block) {
  std::size_t at = 0;
  for (; at + 8 <= k; at += 8)
    for (std::size_t r = 0; r < Rows; r += 8) {
      const float* from[8];
      float widened[8][8];
      for (std::size_t i = 0; i < 8; ++i) {
        if constexpr (sizeof(T) == sizeof(float)) {
          from[i] = rows[r + i] + at;
        } else {
          widen_floats(rows[r + i] + at, 8, widened[i]);
          from[i] = widened[i];
        }
      }
      transpose_8x8(from, block + at * Rows + r, Rows);
    }
  for (; at < k; ++at)
    for (std::size_t r = 0; r < Rows; ++r) block[at * Rows + r] = rows[r][at];
}

/// The same from rows that are stored by columns, the first `count` of them; zeros stand for the others.
template <std::size_t Rows, class T>
void pack_float_columns(const T* x, std::size_t stride, std::size_t k, std::size_t count, float* block) {
  if constexpr (sizeof(T) == sizeof(float)) {
    __m256i are_there[Rows / 8];
    SPARQ_UNROLL for (std::size_t i = 0; i < Rows / 8; ++i) {
      const __m256i left = _mm256_set1_epi32(static_cast<int>(count) - static_cast<int>(8 * i));
      are_there[i] = _mm256_cmpgt_epi32(left, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    }
    for (std::size_t i = 0; i < k; ++i, x += stride, block += Rows)
      SPARQ_UNROLL for (std::size_t r = 0; r < Rows; r += 8) {
        const __m256 column = count == Rows ? _mm256_loadu_ps(x + r) : _mm256_maskload_ps(x + r, are_there[r / 8]);
        _mm256_storeu_ps(block + r, column);
      }
  } else {
    for (std::size_t i = 0; i < k; ++i, x += stride, block += Rows) {
      if (count < Rows) std::memset(block, 0, Rows * sizeof(float));
      widen_floats(x, count, block);
    }
  }
}

#endif

/// Sixteen rows of `from` become columns of `to`: to[j * 16 + i] = from[i * ldf + j], j < columns.
/// @pre to has round_up(columns, 8) * 16 elements; rows of `from` have round_up(columns, 8)
template <class T>
void transpose_16(const T* from, std::size_t ldf, std::size_t columns, T* to) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "sparq: sums have four bytes or eight");
#if SPARQ_HAS_AVX2
  if constexpr (sizeof(T) == 4) {
    for (std::size_t j = 0; j < columns; j += 8)
      for (std::size_t i = 0; i < 16; i += 8) {
        const float* rows[8];
        for (std::size_t r = 0; r < 8; ++r) rows[r] = reinterpret_cast<const float*>(from + (i + r) * ldf + j);
        transpose_8x8(rows, reinterpret_cast<float*>(to + j * 16 + i), 16);
      }
    return;
  }
#endif
  for (std::size_t j = 0; j < columns; ++j)
    for (std::size_t i = 0; i < 16; ++i) to[j * 16 + i] = from[i * ldf + j];
}

/// Rows in quads become columns: columns[i * ldc + r] = quads[4 r + i], r < rows, i < 4.
template <class T>
void transpose_quads(const T* quads, std::size_t rows, T* columns, std::size_t ldc) {
  std::size_t r = 0;
#if SPARQ_HAS_AVX2
  if constexpr (sizeof(T) <= 4) {
    constexpr std::size_t at_once = 4 / sizeof(T);  // rows in a register: its word i becomes k i of theirs
    const __m128i words = sizeof(T) == 1 ? _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)
                                         : _mm_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15);
    const auto load = [&](std::size_t row) SPARQ_LAMBDA_INLINE {
      const __m128i loaded = load_128(quads + 4 * row);
      return sizeof(T) == 4 ? loaded : _mm_shuffle_epi8(loaded, words);
    };
    for (; r + 4 * at_once <= rows; r += 4 * at_once) {
      __m128i a[4], b[4];
      SPARQ_UNROLL for (std::size_t i = 0; i < 4; ++i) a[i] = load(r + i * at_once);
      SPARQ_UNROLL for (std::size_t i = 0; i < 4; i += 2) {
        b[i] = _mm_unpacklo_epi32(a[i], a[i + 1]);
        b[i + 1] = _mm_unpackhi_epi32(a[i], a[i + 1]);
      }
      SPARQ_UNROLL for (std::size_t i = 0; i < 2; ++i) {
        store_128(columns + 2 * i * ldc + r, _mm_unpacklo_epi64(b[i], b[i + 2]));
        store_128(columns + (2 * i + 1) * ldc + r, _mm_unpackhi_epi64(b[i], b[i + 2]));
      }
    }
    for (; r + at_once <= rows; r += at_once) {
      std::uint32_t of_k[4];
      store_128(of_k, load(r));
      SPARQ_UNROLL for (std::size_t i = 0; i < 4; ++i) std::memcpy(columns + i * ldc + r, of_k + i, sizeof *of_k);
    }
  }
#endif
  for (; r < rows; ++r)
    for (std::size_t i = 0; i < 4; ++i) columns[i * ldc + r] = quads[4 * r + i];
}

/// Columns of 16 x 16 elements that lie together become rows of `to`, `ldt` elements apart: rows x columns are written.
template <class T>
void store_transposed(const T* from, std::size_t rows, std::size_t columns, T* to, std::size_t ldt) {
#if SPARQ_HAS_AVX2
  if (rows == 16 && columns == 16) {
    if constexpr (sizeof(T) == 1) {
      const std::uint8_t* bytes[16];
      for (std::size_t r = 0; r < 16; ++r) bytes[r] = reinterpret_cast<const std::uint8_t*>(from + 16 * r);
      for_transposed_bytes(bytes, 16, [&](std::size_t j, __m256i two) {
        store_128(to + j * ldt, _mm256_castsi256_si128(two));
        store_128(to + (j + 1) * ldt, _mm256_extracti128_si256(two, 1));
      });
      return;
    } else if constexpr (sizeof(T) == 4) {
      for (std::size_t i = 0; i < 16; i += 8)
        for (std::size_t j = 0; j < 16; j += 8) {
          const float* tile[8];
          for (std::size_t r = 0; r < 8; ++r) tile[r] = reinterpret_cast<const float*>(from + (i + r) * 16 + j);
          transpose_8x8(tile, reinterpret_cast<float*>(to + j * ldt + i), ldt);
        }
      return;
    }
  }
#endif
  for (std::size_t j = 0; j < columns; ++j)
    for (std::size_t i = 0; i < rows; ++i) to[j * ldt + i] = from[i * 16 + j];
}

/// Words of sixteen rows, four of each row that lie 16 apart, become rows of `to`, `ldt` bytes apart:
/// rows x bytes are written.
/// @pre rows, bytes <= 16
template <class Byte>
void store_word_rows(const std::uint32_t* words, std::size_t rows, std::size_t bytes, Byte* to, std::size_t ldt) {
  Byte square[16][16];
  const bool is_whole = rows == 16 && bytes == 16;
  Byte* out = is_whole ? to : square[0];
  const std::size_t ldo = is_whole ? ldt : 16;
#if SPARQ_HAS_AVX2
  SPARQ_UNROLL for (std::size_t half = 0; half < 2; ++half) {
    __m256i a[4], b[4];
    SPARQ_UNROLL for (std::size_t i = 0; i < 4; ++i)
      a[i] = load_256(words + 16 * i + 8 * half);
    SPARQ_UNROLL for (std::size_t i = 0; i < 4; i += 2) {
      b[i] = _mm256_unpacklo_epi32(a[i], a[i + 1]);
      b[i + 1] = _mm256_unpackhi_epi32(a[i], a[i + 1]);
    }
    SPARQ_UNROLL for (std::size_t i = 0; i < 4; ++i) {
      const __m256i two =
          i % 2 == 0 ? _mm256_unpacklo_epi64(b[i / 2], b[i / 2 + 2]) : _mm256_unpackhi_epi64(b[i / 2], b[i / 2 + 2]);
      Byte* row = out + (8 * half + i) * ldo;
      store_128(row, _mm256_castsi256_si128(two));
      store_128(row + 4 * ldo, _mm256_extracti128_si256(two, 1));
    }
  }
#else
  for (std::size_t r = 0; r < 16; ++r)
    for (std::size_t i = 0; i < 4; ++i) std::memcpy(out + r * ldo + 4 * i, words + 16 * i + r, 4);
#endif
  if (!is_whole)
    for (std::size_t r = 0; r < rows; ++r) std::memcpy(to + r * ldt, square[r], bytes);
}

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
