// SPDX-License-Identifier: MIT
#pragma once
// Atoms for AVX-512: byte dot products where the CPU has VNNI, widening to 16 bits where it has not, and fused
// multiply-adds. vpdpbusd takes unsigned times signed bytes; the other three pairs of signs are made of it by swapping
// the operands or by flipping the top bit of X, which adds 128 to every x and is taken back with the sums of the
// weights.

#include <sparq/base/schedule.hpp>
#include <sparq/simd/rows/atom.hpp>
#include <sparq/simd/rows/x86_amx.hpp>
#include <sparq/simd/rows/x86_avx2.hpp>
#include <sparq/simd/rows/x86_avx512_compact.hpp>
#include <sparq/simd/x86_registers.hpp>

#if SPARQ_HAS_AVX512

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// vpshufb reaches 16 bytes; a control byte of 0x80 gives 0.
template <std::size_t Chunk>
SPARQ_INLINE __m512i byte_control(__m512i positions, std::size_t c, bool one_chunk) {
  if (one_chunk) return positions;
  const __m512i at = _mm512_sub_epi8(positions, _mm512_set1_epi8(static_cast<char>(Chunk * c)));
  const __mmask64 inside = _mm512_cmplt_epu8_mask(at, _mm512_set1_epi8(static_cast<char>(Chunk)));
  return _mm512_mask_blend_epi8(inside, _mm512_set1_epi8(static_cast<char>(0x80)), at);
}

/// The first Bytes bytes of a register, or all of it; what lies behind them may be anything. A load of 64 bytes takes
/// as long as two narrower ones, and longer across cache lines, where 16 bytes rarely lie.
template <std::size_t Bytes>
SPARQ_INLINE __m512i load_window(const void* x) {
  if constexpr (Bytes <= 16)
    return _mm512_castsi256_si512(_mm256_castsi128_si256(load_128(x)));
  else if constexpr (Bytes <= 32)
    return _mm512_castsi256_si512(load_256(x));
  else
    return _mm512_loadu_si512(x);
}

/// Permutes of bytes: 4, 8 or 16 bytes at a time by vpshufb, 64 by vpermb where the window is larger and the CPU has
/// VBMI.
template <class Code, std::size_t Window>
struct byte_selector {
  static constexpr bool wide = SPARQ_HAS_AVX512VBMI && Window > 16;
  static constexpr std::size_t chunk = wide ? 64 : Window <= 4 ? 4 : Window <= 8 ? 8 : 16;
  static constexpr std::size_t chunks = (Window + chunk - 1) / chunk;
  using control = __m512i;
  static SPARQ_INLINE control of_bytes(__m512i positions, std::size_t, std::size_t c) {
    return byte_control<chunk>(positions, c, chunks == 1);
  }
  static SPARQ_INLINE control make(const std::uint8_t* p, std::size_t step, std::size_t c) {
    return of_bytes(_mm512_loadu_si512(p), step, c);
  }
  static SPARQ_INLINE control make_shared(const std::uint8_t* p, std::size_t, std::size_t c) {
    return byte_control<chunk>(_mm512_set1_epi32(load_as<std::int32_t>(p)), c, chunks == 1);
  }
  /// What permutes of a chunk choose from.
  static SPARQ_INLINE __m512i load(const Code* x) {
    if constexpr (wide)
      return _mm512_loadu_si512(x);
    else if constexpr (chunk == 4)
      return _mm512_set1_epi32(load_as<std::int32_t>(x));
    else if constexpr (chunk == 8)
      return _mm512_set1_epi64(load_as<long long>(x));
    else
      return _mm512_broadcast_i32x4(load_128(x));
  }
  static SPARQ_INLINE __m512i permute(__m512i loaded, control c) {
#if SPARQ_HAS_AVX512VBMI
    if constexpr (wide) {
      if constexpr (chunks == 1) return _mm512_permutexvar_epi8(c, loaded);
      const __mmask64 inside = _mm512_cmpgt_epi8_mask(c, _mm512_set1_epi8(-1));
      return _mm512_maskz_permutexvar_epi8(inside, c, loaded);
    }
#endif
    return _mm512_shuffle_epi8(loaded, c);
  }
  static SPARQ_INLINE __m512i select(const Code* x, control c) { return permute(load(x), c); }
  static SPARQ_INLINE __m512i combine(__m512i a, __m512i b) { return _mm512_or_si512(a, b); }
};

}  // namespace machine

#if SPARQ_HAS_AVX512VNNI

namespace machine {

/// What field `Field` of every half byte says as a signed code; of one bit, 1 or -1.
template <integer_numeric N, std::size_t Field>
inline constexpr std::array<std::int8_t, 16> codes_of_half_bytes = [] {
  std::array<std::int8_t, 16> codes{};
  for (int half = 0; half < 16; ++half) {
    const int field = half >> (static_cast<int>(Field) * N::bits) & ((1 << N::bits) - 1);
    codes[static_cast<std::size_t>(half)] =
        static_cast<std::int8_t>(N::bits == 1 ? 1 - 2 * field : field - (field >> (N::bits - 1) << N::bits));
  }
  return codes;
}();

}  // namespace machine

/// Four products of bytes in one vpdpbusd.
template <integer_numeric X, integer_numeric W>
struct dot4_avx512vnni {
  static constexpr std::string_view name = machine::atom_name<"dot4_", X, W, "_avx512vnni">;
  static constexpr isa needs = feature::avx2 | feature::avx512 | isa(feature::avx512vnni);
  /// u8 x s8 and s8 x u8 are what the instruction does; the other pairs read X with its top bit flipped.
  static constexpr bool flips = X::is_signed == W::is_signed;
  using x_code = typename X::code;
  using acc_type = std::int32_t;
  static constexpr std::size_t lanes = 16, group_k = 4, steps = 1, block_rows = 12;
  static constexpr std::int32_t weight_sum_factor = !flips ? 0 : X::is_signed ? -128 : 128;
  using packed_x = x_code;
  static constexpr bool in_place = !flips;
  using acc = __m512i;
  using w_word = __m512i;
  using x_word = __m512i;

  static void pack_row(const x_code* x, std::size_t k, bool, packed_x* out) {
    std::size_t i = 0;
    const __m512i top = _mm512_set1_epi8(flips ? static_cast<char>(0x80) : 0);
    for (; i + 64 <= k; i += 64) _mm512_storeu_si512(out + i, _mm512_xor_si512(_mm512_loadu_si512(x + i), top));
    for (; i < k; ++i) out[i] = static_cast<x_code>(flips ? x[i] ^ 0x80 : x[i]);
  }
  static SPARQ_INLINE acc zero() { return _mm512_setzero_si512(); }
  static SPARQ_INLINE x_word broadcast(const packed_x* p) {
    return _mm512_set1_epi32(machine::load_as<std::int32_t>(p));
  }
  static SPARQ_INLINE acc dot(acc c, w_word w, x_word x) {
    c = W::is_signed ? _mm512_dpbusd_epi32(c, x, w) : _mm512_dpbusd_epi32(c, w, x);
    SPARQ_KEEP_ORDER(c);  // gcc copies half of the accumulators at every turn otherwise, where their start is computed
    return c;
  }
  static SPARQ_INLINE void store(acc_type* p, acc c) { _mm512_storeu_si512(p, c); }

  template <integer_numeric N>
  struct loader {
    static constexpr std::size_t groups = 8 / static_cast<std::size_t>(N::bits);
    using raw = __m512i;
    static SPARQ_INLINE raw load(const std::uint32_t* words) { return _mm512_loadu_si512(words); }
    template <std::size_t Step>
    static SPARQ_INLINE w_word decode(raw r) {
      if constexpr (N::bits == 8) {
        return r;
      } else {
        const auto field = [r](std::size_t step, int bits) SPARQ_LAMBDA_INLINE {
          return _mm512_and_si512(
              step == 0 ? r : _mm512_srli_epi16(r, static_cast<unsigned>(step) * static_cast<unsigned>(bits)),
              _mm512_set1_epi8(static_cast<char>((1 << bits) - 1)));
        };
        if constexpr (!N::is_signed) {
          return field(Step, N::bits);
        } else {  // half a byte chooses the code of one of its groups
          constexpr std::size_t in_half = 4 / static_cast<std::size_t>(N::bits);
          return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(machine::load_128(
                                         machine::codes_of_half_bytes<N, Step % in_half>.data())),
                                     field(Step / in_half, 4));
        }
      }
    }
  };
  template <std::size_t Window>
  using selector = machine::byte_selector<x_code, Window>;

  /// Decodes `count` words of narrow codes, whole groups of a strip, into words of W, one for each group.
  /// - `Channels`: of a strip
  /// @pre `out` has room for count * loader<N>::groups words
  template <integer_numeric N, std::size_t Channels>
    requires(N::bits < 8)
  static void decode_strip(const std::uint32_t* words, std::size_t count, std::uint32_t* out) {
    using narrow = loader<N>;
    for (const std::uint32_t* end = words + count; words != end; words += Channels, out += narrow::groups * Channels)
      for (std::size_t c = 0; c < Channels; c += lanes)
        [&]<std::size_t... Step>(std::index_sequence<Step...>) SPARQ_LAMBDA_INLINE {
          const auto raw = narrow::load(words + c);
          (_mm512_storeu_si512(out + Step * Channels + c, narrow::template decode<Step>(raw)), ...);
        }(std::make_index_sequence<narrow::groups>{});
  }
  using decoded = W;
#if SPARQ_HAS_AMX_INT8
  using tiles = machine::byte_tiles<W::is_signed>;
  static constexpr std::string_view amx_name = machine::atom_name<"dot4_", X, W, "_amx">;
#endif
#if SPARQ_HAS_AVX512VBMI
  template <class Window>
    requires(Window::positions_per_group == group_k) && machine::compaction_avx512<x_code, Window>::pays
  using compaction = machine::compaction_avx512<x_code, Window>;
#endif
};

/// X has no sign when it is packed, or W has none: then W says how bytes are multiplied.
template <integer_numeric X, integer_numeric W>
struct machine::block_atom<dot4_avx512vnni<X, W>> {
  using type = dot4_avx512vnni<u8, W>;
};

#endif  // SPARQ_HAS_AVX512VNNI

/// Four products of bytes as two vpmaddwd, exact for every input; the row order and the words are those of AVX2.
template <integer_numeric X, integer_numeric W>
struct dot4_avx512 {
  static constexpr std::string_view name = machine::atom_name<"dot4_", X, W, "_avx512">;
  static constexpr isa needs = feature::avx2 | feature::avx512;
  using x_code = typename X::code;
  using acc_type = std::int32_t;
  static constexpr std::size_t lanes = 16, group_k = 4, steps = 2, block_rows = 12;
  static constexpr std::int32_t weight_sum_factor = 0;
  using packed_x = std::int16_t;
  static constexpr bool in_place = false;
  using acc = __m512i;
  using w_word = __m512i;
  using x_word = __m512i;

  static void pack_row(const x_code* x, std::size_t k, bool grouped, packed_x* out) {
    machine::widen_row(x, k, grouped, out);
  }
  static SPARQ_INLINE acc zero() { return _mm512_setzero_si512(); }
  static SPARQ_INLINE x_word broadcast(const packed_x* p) {
    return _mm512_set1_epi32(machine::load_as<std::int32_t>(p));
  }
  static SPARQ_INLINE acc dot(acc c, w_word w, x_word x) {
    c = _mm512_add_epi32(c, _mm512_madd_epi16(x, w));
    SPARQ_KEEP_ORDER(c);
    return c;
  }
  static SPARQ_INLINE void store(acc_type* p, acc c) { _mm512_storeu_si512(p, c); }

  template <integer_numeric N>
  struct loader {
    static constexpr std::size_t groups = 8 / static_cast<std::size_t>(N::bits);
    using raw = __m512i;
    static SPARQ_INLINE raw load(const std::uint32_t* words) { return _mm512_loadu_si512(words); }
    template <std::size_t Step>
    static SPARQ_INLINE w_word decode(raw r) {
      constexpr int left = machine::half_word_field<N::bits, steps>::left_shift(Step);
      const __m512i top = left == 0 ? r : _mm512_slli_epi16(r, left);
      if constexpr (N::bits == 1 && N::is_signed)
        return _mm512_or_si512(_mm512_srai_epi16(top, 15), _mm512_set1_epi16(1));
      return N::is_signed ? _mm512_srai_epi16(top, 16 - N::bits) : _mm512_srli_epi16(top, 16 - N::bits);
    }
  };

  /// vpermw reaches 32 elements across the register.
  template <std::size_t Window>
  struct selector {
    static constexpr std::size_t chunk = 32;
    static constexpr std::size_t chunks = (Window + 31) / 32;
    using control = __m512i;
    static SPARQ_INLINE control of_bytes(__m512i positions, std::size_t step, std::size_t c) {
      const __m512i at =
          _mm512_and_si512(step == 0 ? positions : _mm512_srli_epi16(positions, 8), _mm512_set1_epi16(0xff));
      return _mm512_sub_epi16(at, _mm512_set1_epi16(static_cast<short>(32 * c)));
    }
    static SPARQ_INLINE control make(const std::uint8_t* p, std::size_t step, std::size_t c) {
      return of_bytes(_mm512_loadu_si512(p), step, c);
    }
    static SPARQ_INLINE control make_shared(const std::uint8_t* p, std::size_t step, std::size_t c) {
      return of_bytes(_mm512_set1_epi32(machine::load_as<std::int32_t>(p)), step, c);
    }
    static SPARQ_INLINE x_word select(const packed_x* x, control c) {
      const __m512i window = machine::load_window<Window * sizeof *x>(x);
      if constexpr (chunks == 1) return _mm512_permutexvar_epi16(c, window);
      return _mm512_maskz_permutexvar_epi16(_mm512_cmplt_epu16_mask(c, _mm512_set1_epi16(32)), c, window);
    }
    static SPARQ_INLINE x_word combine(x_word a, x_word b) { return _mm512_or_si512(a, b); }
  };
};

template <integer_numeric X, integer_numeric W>
struct machine::block_atom<dot4_avx512<X, W>> {
  using type = dot4_avx512<u8, W>;
};

/// One fused multiply-add. Narrow floats become f32 on the way: X when a row is packed, W when it is loaded.
template <numeric X, numeric W>
struct fma1_avx512 {
  static constexpr std::string_view name = machine::atom_name<"fma1_", X, W, "_avx512">;
  static constexpr isa needs = feature::avx2 | feature::avx512;
  using x_code = typename X::code;
  using acc_type = float;
  static constexpr std::size_t lanes = 16, group_k = 1, steps = 1, block_rows = 12;
  static constexpr std::int32_t weight_sum_factor = 0;
  using packed_x = float;
  static constexpr bool in_place = X::bits == 32;
  using acc = __m512;
  using w_word = __m512;
  using x_word = __m512;

  static void pack_row(const x_code* x, std::size_t k, bool, float* out) { machine::widen_floats(x, k, out); }
  static SPARQ_INLINE acc zero() { return _mm512_setzero_ps(); }
  static SPARQ_INLINE x_word broadcast(const float* p) { return _mm512_set1_ps(*p); }
  static SPARQ_INLINE acc dot(acc c, w_word w, x_word x) { return _mm512_fmadd_ps(x, w, c); }
  static SPARQ_INLINE void store(float* p, acc c) { _mm512_storeu_ps(p, c); }

  template <numeric N>
  struct loader {
    static constexpr std::size_t groups = 32 / static_cast<std::size_t>(N::bits);
    using raw = __m512i;
    static SPARQ_INLINE raw load(const std::uint32_t* words) { return _mm512_loadu_si512(words); }
    template <std::size_t Step>
    static SPARQ_INLINE w_word decode(raw r) {
      if constexpr (N::bits == 32) return _mm512_castsi512_ps(r);
      const __m512i upper = Step == 0 ? _mm512_slli_epi32(r, 16) : r;
      if constexpr (std::is_same_v<N, f16>) {  // sign, and a magnitude that is 2^112 times too small
        const __m512i parts =
            _mm512_and_si512(_mm512_srai_epi32(upper, 3), _mm512_set1_epi32(static_cast<int>(0x8fffe000U)));
        return _mm512_mul_ps(_mm512_castsi512_ps(parts), _mm512_set1_ps(0x1p112F));
      }
      if constexpr (Step == 0) return _mm512_castsi512_ps(upper);
      return _mm512_castsi512_ps(_mm512_and_si512(r, _mm512_set1_epi32(static_cast<int>(0xffff0000U))));
    }
  };

  template <std::size_t Window>
  struct selector {
    static constexpr std::size_t chunk = 16;
    static constexpr std::size_t chunks = (Window + 15) / 16;
    struct control {
      __m512i index;
      __mmask16 inside;
    };
    static SPARQ_INLINE control from_index(__m512i at, std::size_t c) {
      const __m512i in_chunk = _mm512_sub_epi32(at, _mm512_set1_epi32(static_cast<int>(16 * c)));
      return {in_chunk, _mm512_cmplt_epu32_mask(in_chunk, _mm512_set1_epi32(16))};
    }
    static SPARQ_INLINE control make(const std::uint8_t* p, std::size_t, std::size_t c) {
      return from_index(_mm512_cvtepu8_epi32(machine::load_128(p)), c);
    }
    static SPARQ_INLINE control make_shared(const std::uint8_t* p, std::size_t, std::size_t c) {
      return from_index(_mm512_set1_epi32(*p), c);
    }
    static SPARQ_INLINE x_word load(const float* x) {
      return _mm512_castsi512_ps(machine::load_window<Window * sizeof *x>(x));
    }
    static SPARQ_INLINE x_word permute(x_word loaded, const control& c) {
      if constexpr (chunks == 1) return _mm512_permutexvar_ps(c.index, loaded);
      return _mm512_maskz_permutexvar_ps(c.inside, c.index, loaded);
    }
    static SPARQ_INLINE x_word select(const float* x, const control& c) { return permute(load(x), c); }
    static SPARQ_INLINE x_word combine(x_word a, x_word b) { return _mm512_or_ps(a, b); }
  };
};

using fma1_f32f32_avx512 = fma1_avx512<f32, f32>;

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX512
