// SPDX-License-Identifier: MIT
#pragma once
// Atoms for bf16 times bf16, two products to a word: vdpbf16ps where the CPU has AVX512_BF16, and the same bits
// everywhere else. The instruction adds the product of a word's upper halves, then that of the lower ones, each by a
// fused multiply-add to nearest, with denormal numbers as 0 before and after, whatever MXCSR says. Other CPUs take the
// two groups of a word one after the other, the second first.

#include <sparq/numeric/floating.hpp>
#include <sparq/simd/rows/scalar.hpp>
#include <sparq/simd/rows/x86_avx2.hpp>
#include <sparq/simd/rows/x86_avx512.hpp>
#include <sparq/simd/x86_registers.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sparq {
SPARQ_ABI_BEGIN

/// By the definition, one lane after the other.
struct dot2_bf16_scalar : fma1_scalar<bf16, bf16> {
  static constexpr std::string_view name = "dot2_bf16bf16_scalar";
  static constexpr bool second_group_first = true;
  using packed_x = brain_float;
  static constexpr bool in_place = true;
  using w_word = machine::lanes4<brain_float>;
  template <std::size_t Window>
  using selector = machine::scalar_selector<brain_float, 1, Window>;
  using x_word = typename selector<1>::x_word;

  static void pack_row(const x_code* x, std::size_t k, bool, packed_x* out) {
    copy_elements(x, k, out);
  }
  static SPARQ_INLINE x_word broadcast(const packed_x* p) {
    x_word x;
    for (auto& lane : x.at) lane[0] = *p;
    return x;
  }
  template <class XWord>
  static SPARQ_INLINE acc dot(acc c, const w_word& w, const XWord& x) {
    for (std::size_t l = 0; l < 4; ++l) c.lane[l] = add_bf16_product(c.lane[l], x.at[l][0], w.lane[l]);
    return c;
  }

  template <numeric N>
  struct loader : fma1_scalar<bf16, bf16>::loader<bf16> {
    template <std::size_t Step>
    static SPARQ_INLINE w_word decode(const machine::lanes4<std::uint32_t>& r) {
      w_word w;
      for (std::size_t l = 0; l < 4; ++l) w.lane[l].bits = static_cast<std::uint16_t>(r.lane[l] >> (16 * Step));
      return w;
    }
  };
};

#if SPARQ_HAS_AVX2

namespace machine {

/// While it lives, this thread rounds to nearest and takes denormal numbers for 0, as operands and as results. Then
/// MXCSR is what it was, with its exception flags. Loads and stores do not move across either end, so neither does
/// arithmetic between them.
class denormals_as_zero {
 public:
  SPARQ_INLINE denormals_as_zero() {
    constexpr unsigned masked = 0x1f80, operands = 0x0040, results = 0x8000;
#if defined(__GNUC__)
    const unsigned state = masked | operands | results;
    __asm__ volatile("vstmxcsr %0\n\tvldmxcsr %1" : "=m"(before_) : "m"(state) : "memory");
#else
    before_ = _mm_getcsr();
    _mm_setcsr(masked | operands | results);
#endif
  }
  SPARQ_INLINE ~denormals_as_zero() {
#if defined(__GNUC__)
    __asm__ volatile("vldmxcsr %0" : : "m"(before_) : "memory");
#else
    _mm_setcsr(before_);
#endif
  }
  denormals_as_zero(const denormals_as_zero&) = delete;
  denormals_as_zero& operator=(const denormals_as_zero&) = delete;

 private:
  unsigned before_;
};

}  // namespace machine

/// Two fused multiply-adds, X and W as f32.
struct dot2_bf16_avx2 : fma1_avx2<bf16, bf16> {
  static constexpr std::string_view name = "dot2_bf16bf16_avx2";
  static constexpr bool second_group_first = true;
  using while_adding = machine::denormals_as_zero;
};

#endif  // SPARQ_HAS_AVX2

#if SPARQ_HAS_AVX512

/// The same on sixteen channels.
struct dot2_bf16_avx512 : fma1_avx512<bf16, bf16> {
  static constexpr std::string_view name = "dot2_bf16bf16_avx512";
  static constexpr bool second_group_first = true;
  using while_adding = machine::denormals_as_zero;
};

#endif  // SPARQ_HAS_AVX512

#if SPARQ_HAS_AVX512BF16

/// Both groups of a word in one vdpbf16ps. X stays as it is.
struct dot2_bf16_avx512bf16 {
  static constexpr std::string_view name = "dot2_bf16bf16_avx512bf16";
  static constexpr isa needs = feature::avx2 | feature::avx512 | isa(feature::avx512bf16);
  using x_code = brain_float;
  using acc_type = float;
  static constexpr std::size_t lanes = 16, group_k = 1, steps = 1, block_rows = 12;
  static constexpr std::size_t joined_groups = 2;
  static constexpr std::int32_t weight_sum_factor = 0;
  using packed_x = brain_float;
  static constexpr bool in_place = true;
  using acc = __m512;
  using w_word = __m512i;
  using x_word = __m512i;

  static void pack_row(const x_code* x, std::size_t k, bool, packed_x* out) {
    copy_elements(x, k, out);
  }
  static SPARQ_INLINE acc zero() { return _mm512_setzero_ps(); }
  static SPARQ_INLINE x_word broadcast(const packed_x* p) {
    return _mm512_set1_epi32(machine::load_as<std::int32_t>(p));
  }
  /// Two x's that do not lie beside each other.
  static SPARQ_INLINE x_word broadcast(const packed_x* p, const machine::second_group& second) {
    return _mm512_set1_epi32(static_cast<std::int32_t>(p->bits | std::uint32_t{p[second.distance].bits} << 16));
  }
  static SPARQ_INLINE acc dot(acc c, w_word w, x_word x) { return _mm512_dpbf16_ps(c, __m512bh(x), __m512bh(w)); }
  static SPARQ_INLINE void store(float* p, acc c) { _mm512_storeu_ps(p, c); }

  template <numeric N>
  struct loader {
    static constexpr std::size_t groups = 2;
    using raw = __m512i;
    static SPARQ_INLINE raw load(const std::uint32_t* words) { return _mm512_loadu_si512(words); }
    template <std::size_t Step>
    static SPARQ_INLINE w_word decode(raw r) {
      return r;
    }
  };

  /// vpermw reaches 32 elements.
  template <std::size_t Window>
  struct selector {
    static constexpr std::size_t chunk = 32;
    static constexpr std::size_t chunks = (Window + 31) / 32;
    using control = __m512i;
    static SPARQ_INLINE control make(const std::uint8_t* p, const machine::second_group& second, std::size_t c) {
      const __m128i low = machine::load_128(p);
      const __m128i high = machine::load_128(p + second.positions);
      const __m256i pairs = _mm256_setr_m128i(_mm_unpacklo_epi8(low, high), _mm_unpackhi_epi8(low, high));
      return _mm512_sub_epi16(_mm512_cvtepu8_epi16(pairs), _mm512_set1_epi32(pair_of(32 * c, 32 * c - offset(second))));
    }
    static SPARQ_INLINE control make_shared(const std::uint8_t* p, const machine::second_group& second, std::size_t c) {
      return _mm512_set1_epi32(pair_of(p[0] - 32 * c, p[1] - 32 * c + offset(second)));
    }
    static SPARQ_INLINE x_word select(const packed_x* x, control c) {
      const __m512i window = machine::load_window<Window * sizeof *x>(x);
      if constexpr (chunks == 1) return _mm512_permutexvar_epi16(c, window);
      return _mm512_maskz_permutexvar_epi16(_mm512_cmplt_epu16_mask(c, _mm512_set1_epi16(32)), c, window);
    }
    static SPARQ_INLINE x_word combine(x_word a, x_word b) { return _mm512_or_si512(a, b); }

   private:
    static std::size_t offset(const machine::second_group& second) { return static_cast<std::size_t>(second.distance); }
    static std::int32_t pair_of(std::size_t low, std::size_t high) {
      return static_cast<std::int32_t>(static_cast<std::uint32_t>(low & 0xffff) |
                                       static_cast<std::uint32_t>(high << 16));
    }
  };
};

#endif  // SPARQ_HAS_AVX512BF16

SPARQ_ABI_END
}  // namespace sparq
