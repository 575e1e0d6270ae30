// SPDX-License-Identifier: MIT
#pragma once
// Gathers the elements of a row whose bits are set in a mask: how X is compacted for panels whose k's are listed.

#include <sparq/base/config.hpp>
#include <sparq/base/math.hpp>
#include <sparq/simd/x86_registers.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace sparq {

/// Elements behind the last one that compacting a row may overwrite.
inline constexpr std::size_t compact_slack = 64;

SPARQ_ABI_BEGIN

namespace machine {

/// For every byte of mask, the places of its set bits in order: 256 rows of 8.
inline constexpr std::array<std::uint64_t, 256> set_bit_places = [] {
  std::array<std::uint64_t, 256> table{};
  for (std::size_t byte = 0; byte < 256; ++byte) {
    int next = 0;
    for (std::uint64_t bit = 0; bit < 8; ++bit)
      if ((byte >> bit & 1) != 0) table[byte] |= bit << (8 * next++);
  }
  return table;
}();

/// The elements of the last, incomplete word of mask, one by one.
template <class T>
inline T* compact_rest(const T* x, std::uint64_t bits, T* out) {
  for (; bits != 0; bits &= bits - 1) *out++ = x[std::countr_zero(bits)];
  return out;
}

/// The elements of a whole word of mask, 64 of them or fewer.
/// - `Few`: at most 32, so that half a register is stored: a store of 64 bytes takes two cycles,
///   and two more across lines
template <bool Few, class T>
SPARQ_INLINE T* compact_word(const T* x, std::uint64_t bits, T* out) {
#if SPARQ_HAS_AVX512VBMI2
  if constexpr (sizeof(T) == 1) {
    const __m512i kept = _mm512_maskz_compress_epi8(bits, _mm512_loadu_si512(x));
    if constexpr (Few)
      store_256(out, _mm512_castsi512_si256(kept));
    else
      _mm512_storeu_si512(out, kept);
    return out + std::popcount(bits);
  }
#endif
#if SPARQ_HAS_AVX2
  for (std::size_t i = 0; i < 64; i += 8, bits >>= 8) {
    const auto byte = static_cast<std::uint8_t>(bits);
    const __m128i places = load_64(&set_bit_places[byte]);
    if constexpr (sizeof(T) == 1) {
      const __m128i eight = load_64(x + i);
      store_64(out, _mm_shuffle_epi8(eight, places));
    } else if constexpr (sizeof(T) == 2) {
      const __m128i control = _mm_add_epi16(_mm_mullo_epi16(_mm_cvtepu8_epi16(places), _mm_set1_epi16(0x0202)),
                                            _mm_set1_epi16(0x0100));
      const __m128i eight = load_128(x + i);
      store_128(out, _mm_shuffle_epi8(eight, control));
    } else {
      static_assert(sizeof(T) == 4, "sparq: rows of elements of one, two or four bytes are compacted");
      const __m256 eight = _mm256_loadu_ps(reinterpret_cast<const float*>(x + i));
      _mm256_storeu_ps(reinterpret_cast<float*>(out), _mm256_permutevar8x32_ps(eight, _mm256_cvtepu8_epi32(places)));
    }
    out += std::popcount(byte);
  }
  return out;
#else
  return compact_rest(x, bits, out);
#endif
}

}  // namespace machine

/// Rows that are compacted by one mask: what does not depend on the row is done once. Bytes of enough rows are compacted
/// a register at a time, from one that is kept on, by a permute whose controls lie in scratch: sixteen by vpshufb on AVX2,
/// 64 by vpermb on AVX-512 VBMI2, where vpcompressb takes two permutes, its mask a third, and its end waits for a count.
/// - `T`: of one, two or four bytes
template <class T>
class row_compaction {
 public:
  static constexpr bool has_parts = std::is_integral_v<T> && sizeof(T) == 1 && SPARQ_HAS_AVX2;
  /// Bytes of a row that one permute reaches.
  static constexpr std::size_t part_k = SPARQ_HAS_AVX512VBMI2 ? 64 : 16;
  struct part {
    std::uint8_t places[part_k];  // of those that are kept, in order
    std::uint32_t from, to;       // from the starts of the row and of the compacted one
  };
  /// Parts that a mask of k bits needs room for.
  static constexpr std::size_t parts(std::size_t k) { return has_parts ? ceil_div(k, part_k) : 0; }

  /// - `mask`: ceil(k / 64) words, no bit beyond k; outlives this
  /// - `rows`: that will be compacted
  /// - `room`: parts(k) of them, which outlive this
  row_compaction(const std::uint64_t* mask, std::size_t k, std::size_t rows, part* room)
      : mask_(mask),
        k_(k),
        by_parts_(has_parts && rows >= 8 && k >= part_k),
        keeps_few_(stores_halves && (by_parts_ || keeps_few(mask, k))),
        parts_(room),
        end_(room) {
    if (by_parts_)
      for (std::size_t at = next_kept(0); at < k; at = next_kept(at + part_k)) add_part(at);
  }

  /// Writes the elements of x[0 .. k) whose bit is set to `out`, in order, and returns the end of them.
  /// @pre `out` has room for them and compact_slack more
  T* operator()(const T* x, T* out) const {
#if SPARQ_HAS_AVX2
    if constexpr (has_parts)
      if (by_parts_) {
        for (const part* p = parts_; p != end_; ++p) {
#if SPARQ_HAS_AVX512VBMI2
          const __m512i kept = _mm512_permutexvar_epi8(_mm512_loadu_si512(p->places), _mm512_loadu_si512(x + p->from));
          if (keeps_few_)
            machine::store_256(out + p->to, _mm512_castsi512_si256(kept));
          else
            _mm512_storeu_si512(out + p->to, kept);
#else
          const __m128i places = machine::load_128(p->places);
          const __m128i bytes = machine::load_128(x + p->from);
          machine::store_128(out + p->to, _mm_shuffle_epi8(bytes, places));
#endif
        }
        return out + kept_;
      }
#endif
    if constexpr (stores_halves)
      if (keeps_few_) return by_words<true>(x, out);
    return by_words<false>(x, out);
  }

 private:
  static constexpr bool stores_halves = SPARQ_HAS_AVX512VBMI2 && sizeof(T) == 1;

  /// Whether no word of a mask has more than 32 bits.
  static bool keeps_few(const std::uint64_t* mask, std::size_t k) {
    for (std::size_t word = 0; word * 64 < k; ++word)
      if (std::popcount(mask[word]) > 32) return false;
    return true;
  }
  template <bool Few>
  T* by_words(const T* x, T* out) const {
    std::size_t word = 0;
    for (; (word + 1) * 64 <= k_; ++word) out = machine::compact_word<Few>(x + word * 64, mask_[word], out);
    if (word * 64 < k_) out = machine::compact_rest(x + word * 64, mask_[word], out);
    return out;
  }
  /// The first k from `at` on that is kept, or one beyond the last.
  std::size_t next_kept(std::size_t at) const {
    for (std::size_t word = at / 64; word * 64 < k_; ++word) {
      const std::uint64_t bits = word == at / 64 ? mask_[word] >> at % 64 << at % 64 : mask_[word];
      if (bits != 0) return word * 64 + static_cast<std::size_t>(std::countr_zero(bits));
    }
    return k_;
  }
  /// The k's that a part from `at` on reaches; the last ones of a row are read with those before them.
  void add_part(std::size_t at) {
    const std::size_t from = (std::min)(at, k_ - part_k), shift = from % 64;
    std::uint64_t bits = mask_[from / 64] >> shift;
    if (shift != 0 && from / 64 + 1 < ceil_div(k_, std::size_t{64})) bits |= mask_[from / 64 + 1] << (64 - shift);
    bits &= ~std::uint64_t{0} >> (64 - part_k);
    bits &= ~std::uint64_t{0} << (at - from);
    set_places(bits);
    end_->from = static_cast<std::uint32_t>(from);
    end_->to = static_cast<std::uint32_t>(kept_);
    kept_ += static_cast<std::size_t>(std::popcount(bits));
    keeps_few_ = keeps_few_ && std::popcount(bits) <= 32;
    ++end_;
  }
  void set_places(std::uint64_t bits) {
#if SPARQ_HAS_AVX512VBMI2
    static constexpr std::array<std::uint8_t, 64> places_of_all = [] {
      std::array<std::uint8_t, 64> places{};
      for (std::size_t i = 0; i < places.size(); ++i) places[i] = static_cast<std::uint8_t>(i);
      return places;
    }();
    _mm512_storeu_si512(end_->places, _mm512_maskz_compress_epi8(bits, _mm512_loadu_si512(places_of_all.data())));
#else
    const std::uint64_t low = machine::set_bit_places[bits & 0xff];
    const std::uint64_t high = machine::set_bit_places[bits >> 8] + 0x0808080808080808;
    std::memcpy(end_->places, &low, 8);
    std::memcpy(end_->places + std::popcount(bits & 0xff), &high, 8);
#endif
  }

  const std::uint64_t* mask_;
  std::size_t k_;
  bool by_parts_;
  bool keeps_few_;  // at most 32 of every part or word
  std::size_t kept_ = 0;
  part* parts_;
  part* end_;
};

SPARQ_ABI_END
}  // namespace sparq
