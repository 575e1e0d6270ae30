// SPDX-License-Identifier: MIT
#pragma once
// Few rows of X times codebooks of at most sixteen entries: entries go from the lookup to the multiplication in
// registers, and the codes are all that is read of W.
//
//   for each channel:  for each 32 codes:  entries = lookup(table, codes); sums += entries * x      lanes are k's
//
// s8 takes a vpshufb, f32 one for each byte of an entry, or vpermps of 16 lanes. Sums of floats are those of every 16th k
// (AVX-512: 32nd), added up at the end, so they round unlike those of more rows.

#include <sparq/kernel/epilogue.hpp>
#include <sparq/kernel/look_up.hpp>
#include <sparq/kernel/source.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

/// Rows of X up to which looking up in registers beats looking up into memory, once for all rows.
inline constexpr std::size_t looked_up_rows = 4;

namespace machine {

/// Whether look_up_loop multiplies X by these weights.
template <class Packed, class X>
inline constexpr bool looks_up_few_rows_v = [] {
  using N = typename Packed::numeric_type;
  if constexpr (SPARQ_HAS_AVX2 && has_tables<N> && requires { typename Packed::k_map; })
    return tables_in_registers_v<N> && std::is_same_v<typename Packed::k_map, contiguous> &&
           std::is_same_v<typename Packed::row_select, all> && !requires { Packed::granularity::group; } &&
           Packed::panel_shape_type::channels == 16 &&
           (N::is_integer ? std::is_integral_v<X> && sizeof(X) == 1 : std::is_same_v<X, float>);
  else
    return false;
}();

#if SPARQ_HAS_AVX2

/// Bytes of X as s16, of each 32 the even ones first: as the two halves of a 16-bit lane are taken apart.
template <class Code>
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
template <class N>
SPARQ_INLINE __m256i chunk_codes(const std::uint8_t* at) {
  __m256i codes;
  if constexpr (sparq::detail::packed_code_bits_v<N> == 4) {
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
template <class N, std::size_t R>
void look_up_dot(const std::uint8_t* codes, const std::int8_t* table, std::size_t chunks, const std::int16_t* x,
                 std::size_t ldx, std::int32_t* sums) noexcept {
  alignas(16) std::int8_t entries[16] = {};
  std::memcpy(entries, table, N::entries);
  const __m256i in_register = _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(entries)));
  __m256i acc[R][2];
  SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) acc[r][0] = acc[r][1] = _mm256_setzero_si256();
  SPARQ_KEEP_LOOP for (std::size_t i = 0; i < chunks; ++i) {
    const __m256i bytes = _mm256_shuffle_epi8(in_register, chunk_codes<N>(codes + i * sparq::detail::codebook_row<N>::chunk_bytes));
    const __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8), odd = _mm256_srai_epi16(bytes, 8);
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

inline void split_row(const float* x, std::size_t k, float* out) noexcept { std::copy_n(x, k, out); }

/// The same for floats: sixteen entries are a register, which a permute looks sixteen codes up in.
template <class N, std::size_t R>
void look_up_fma(const std::uint8_t* codes, const float* table, std::size_t chunks, const float* x, std::size_t ldx,
                 float* sums) noexcept {
  alignas(64) float entries[16] = {};
  std::memcpy(entries, table, N::entries * sizeof *table);
  const __m512 in_register = _mm512_loadu_ps(entries);
  __m512 acc[R][2];
  SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) acc[r][0] = acc[r][1] = _mm512_setzero_ps();
  SPARQ_KEEP_LOOP for (std::size_t i = 0; i < chunks; ++i) {
    const __m256i of_chunk = chunk_codes<N>(codes + i * sparq::detail::codebook_row<N>::chunk_bytes);
    const __m128i halves[2] = {_mm256_castsi256_si128(of_chunk), _mm256_extracti128_si256(of_chunk, 1)};
    SPARQ_UNROLL for (std::size_t h = 0; h < 2; ++h) {
      const __m512 found = _mm512_permutexvar_ps(_mm512_cvtepu8_epi32(halves[h]), in_register);
      SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r)
        acc[r][h] = _mm512_fmadd_ps(found, _mm512_loadu_ps(x + r * ldx + i * 32 + h * 16), acc[r][h]);
    }
  }
  SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
    alignas(64) float lanes[2][16];
    _mm512_storeu_ps(lanes[0], acc[r][0]);
    _mm512_storeu_ps(lanes[1], acc[r][1]);
    for (std::size_t step = 8; step != 0; step /= 2)
      for (std::size_t l = 0; l < step; ++l)
        for (auto& half : lanes) half[l] += half[l + step];
    sums[16 * r] = lanes[0][0] + lanes[1][0];
  }
}

#else

/// Floats, of each 32 in the order in which look_up_fma takes bytes apart: 0-3, 16-19, 4-7, 20-23, ...
inline void split_row(const float* x, std::size_t k, float* out) noexcept {
  for (std::size_t i = 0; i < k; i += 4)
    std::copy_n(x + i, k - i < 4 ? k - i : 4, out + i / 32 * 32 + i / 4 % 4 * 8 + i / 16 % 2 * 4);
}

/// The bytes of sixteen entries, byte j of each in plane j, in both halves of a register.
inline void split_table(const float* entries, __m256i (&planes)[4]) noexcept {
  const __m128i by_byte = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  __m128i w[4];
  SPARQ_UNROLL for (std::size_t i = 0; i < 4; ++i)
    w[i] = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(entries + 4 * i)), by_byte);
  const __m128i a = _mm_unpacklo_epi32(w[0], w[1]), b = _mm_unpackhi_epi32(w[0], w[1]);
  const __m128i c = _mm_unpacklo_epi32(w[2], w[3]), d = _mm_unpackhi_epi32(w[2], w[3]);
  planes[0] = _mm256_broadcastsi128_si256(_mm_unpacklo_epi64(a, c));
  planes[1] = _mm256_broadcastsi128_si256(_mm_unpackhi_epi64(a, c));
  planes[2] = _mm256_broadcastsi128_si256(_mm_unpacklo_epi64(b, d));
  planes[3] = _mm256_broadcastsi128_si256(_mm_unpackhi_epi64(b, d));
}

/// The same for floats: each byte of the entries is looked up, and 32 codes become four registers.
template <class N, std::size_t R>
void look_up_fma(const std::uint8_t* codes, const float* table, std::size_t chunks, const float* x, std::size_t ldx,
                 float* sums) noexcept {
  alignas(16) float entries[16] = {};
  std::memcpy(entries, table, N::entries * sizeof *table);
  __m256i planes[4];
  split_table(entries, planes);
  __m256 acc[R][2];
  SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) acc[r][0] = acc[r][1] = _mm256_setzero_ps();
  SPARQ_KEEP_LOOP for (std::size_t i = 0; i < chunks; ++i) {
    const __m256i of_chunk = chunk_codes<N>(codes + i * sparq::detail::codebook_row<N>::chunk_bytes);
    const __m256i a = _mm256_shuffle_epi8(planes[0], of_chunk), b = _mm256_shuffle_epi8(planes[1], of_chunk);
    const __m256i c = _mm256_shuffle_epi8(planes[2], of_chunk), d = _mm256_shuffle_epi8(planes[3], of_chunk);
    const __m256i ab[2] = {_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b)};
    const __m256i cd[2] = {_mm256_unpacklo_epi8(c, d), _mm256_unpackhi_epi8(c, d)};
    SPARQ_UNROLL for (std::size_t j = 0; j < 4; ++j) {
      const __m256i word = j % 2 == 0 ? _mm256_unpacklo_epi16(ab[j / 2], cd[j / 2]) : _mm256_unpackhi_epi16(ab[j / 2], cd[j / 2]);
      SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) acc[r][j % 2] = _mm256_fmadd_ps(
          _mm256_castsi256_ps(word), _mm256_loadu_ps(x + r * ldx + i * 32 + j * 8), acc[r][j % 2]);
    }
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

#endif  // SPARQ_HAS_AVX2

}  // namespace machine

#if SPARQ_HAS_AVX2

/// One operation of few rows; see panel_loop, whose packed weights it reads. @pre machine::looks_up_few_rows_v
template <class Packed, class Source, class Y, class Epilogue>
class look_up_loop {
 public:
  using x_code = typename Source::element;
  using numeric_type = typename Packed::numeric_type;
  using entry = typename numeric_type::entry::code;
  using packed_x = std::conditional_t<numeric_type::is_integer, std::int16_t, float>;
  using acc_type = std::conditional_t<numeric_type::is_integer, std::int32_t, float>;

  look_up_loop(const Packed& w, const Source& source, Y y, const Epilogue& stages)
      : w_(w), source_(source), y_(y), stages_(stages) {}

  static constexpr std::string_view loop_name() { return "rows, looking up"; }
  static constexpr std::string_view atom_name() {
    return numeric_type::is_integer ? "look_up_dot_avx2" : SPARQ_HAS_AVX512 ? "look_up_fma_avx512" : "look_up_fma_avx2";
  }
  static std::string x_access() { return "copied"; }

  static constexpr std::size_t cached_rows() { return looked_up_rows; }

  std::size_t scratch_bytes(std::size_t m) const {
    return m * row_stride() * sizeof(packed_x) + round_up((w_.shape().k + 64) * sizeof(x_code), alignment);
  }

  /// Computes rows [m0, m1) of the channels in strips [s0, s1).
  /// @pre scratch has scratch_bytes(m1 - m0), m1 - m0 <= looked_up_rows
  void run(std::size_t m0, std::size_t m1, std::size_t s0, std::size_t s1, std::byte* scratch) const noexcept {
    const std::size_t rows = m1 - m0;
    auto* x = reinterpret_cast<packed_x*>(scratch);
    pack_x(m0, rows, x, reinterpret_cast<x_code*>(scratch + rows * row_stride() * sizeof(packed_x)));
    std::size_t strip = 0;
    for (const packed_panel& panel : w_.panels()) {
      const std::size_t strips = ceil_div(panel.kept, std::size_t{16});
      for (std::size_t s = (std::max)(s0, strip); s < (std::min)(s1, strip + strips); ++s) {
        const std::size_t first = (s - strip) * 16;
        alignas(alignment) acc_type tile[looked_up_rows * 16] = {};
        multiply_rows(panel, first, rows, x, tile, std::make_index_sequence<looked_up_rows>{});
        store_tile(tile, 16, rows, (std::min)(std::size_t{16}, panel.kept - first), 0, y_,
                   lane_position{m0, panel.first_channel + first, 0, w_.weight_sums().data()}, stages_);
      }
      strip += strips;
    }
  }

 private:
  std::size_t row_stride() const { return round_up(w_.shape().k, 64); }

  void pack_x(std::size_t m, std::size_t rows, packed_x* x, x_code* gathered) const noexcept {
    const std::size_t k = w_.shape().k;
    auto cursor = source_.start(m);
    for (std::size_t r = 0; r < rows; ++r, x += row_stride()) {
      const x_code* row = cursor.next(gathered);
      std::memset(x, 0, row_stride() * sizeof(packed_x));
      machine::split_row(row, k, x);
    }
  }

  template <std::size_t... I>
  void multiply_rows(const packed_panel& panel, std::size_t first, std::size_t rows, const packed_x* x, acc_type* tile,
                     std::index_sequence<I...>) const noexcept {
    ((rows == I + 1 ? multiply<I + 1>(panel, first, x, tile) : void()), ...);
  }
  template <std::size_t R>
  void multiply(const packed_panel& panel, std::size_t first, const packed_x* x, acc_type* tile) const noexcept {
    using row_type = detail::codebook_row<numeric_type>;
    using shape = typename Packed::panel_shape_type;
    const std::size_t places = panel.groups * shape::group_k;
    const std::uint32_t* words = w_.words().data() + panel.words + first * row_type::words(places);
    for (std::size_t c = 0; c < 16 && first + c < panel.kept; ++c, words += row_type::words(places)) {
      const auto* codes = reinterpret_cast<const std::uint8_t*>(words);
      const entry* table = w_.tables() + table_start<numeric_type>(w_.channel_of(panel, first + c), 0, w_.shape().k);
      const std::size_t chunks = ceil_div(places, row_type::chunk);
      if constexpr (numeric_type::is_integer)
        machine::look_up_dot<numeric_type, R>(codes, table, chunks, x, row_stride(), tile + c);
      else
        machine::look_up_fma<numeric_type, R>(codes, table, chunks, x, row_stride(), tile + c);
    }
  }

  Packed w_;
  Source source_;
  Y y_;
  Epilogue stages_;
};

#else

template <class Packed, class Source, class Y, class Epilogue>
class look_up_loop;

#endif  // SPARQ_HAS_AVX2

SPARQ_ABI_END
}  // namespace sparq
