// SPDX-License-Identifier: MIT
#pragma once
// From codes of a codebook that is packed as a bitmask (packed_bitmask.hpp) to the words that the rows loop reads:
// codes go to their places, and are looked up there.
//
//   bytes, up to 16 entries:   codes | 0x80 -> expand -> ^ 0x80 -> vpshufb   without weight 0x80 is left, which gives 0
//   all others:                for each bit: words[place] = table[code]
//
// A register of 32 bytes holds 4 k's of 8 channels, in each half 4 channels of 4 tables: four shuffles and three
// blends. A tensor with one table takes one shuffle.

#include <sparq/simd/expand.hpp>
#include <sparq/tensor/packed_bitmask.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Whether the tables of a strip's channels are registers for vpshufb.
template <class N>
inline constexpr bool expands_in_registers_v =
    SPARQ_HAS_AVX2 && N::is_integer && N::entries <= 16 && !requires { N::table::bucket; };

#if SPARQ_HAS_AVX2

/// Tables of at most 16 bytes, of 16 channels whose codes lie four k's beside each other.
template <class N>
class strip_tables {
  static constexpr bool has_one = N::table::scale_count(2, 1) == 1;

 public:
  /// - `first`: channel of the strip; those beyond `n` have no codes
  SPARQ_INLINE strip_tables(const std::int8_t* tables, std::size_t first, std::size_t n, std::size_t k) {
    SPARQ_UNROLL for (std::size_t half = 0; half < halves; ++half) {
      SPARQ_UNROLL for (std::size_t i = 0; i < of_half; ++i) {
        const auto table = [&](std::size_t channel) {
          alignas(16) std::int8_t entries[16] = {};
          std::memcpy(entries, tables + table_start<N>((std::min)(channel, n - 1), 0, k), N::entries);
          return _mm_load_si128(reinterpret_cast<const __m128i*>(entries));
        };
        const std::size_t channel = first + 8 * half + i;
        table_[half][i] = _mm256_set_m128i(table(channel + 4), table(channel));
      }
    }
  }

  /// 64 places: codes with their top bit set, and 0 where there is none, become entries and 0.
  SPARQ_INLINE void look_up(std::uint8_t* places) const {
    SPARQ_UNROLL for (std::size_t half = 0; half < 2; ++half) {
      auto* at = reinterpret_cast<__m256i*>(places + 32 * half);
      const __m256i codes = _mm256_xor_si256(_mm256_loadu_si256(at), _mm256_set1_epi8(static_cast<char>(0x80)));
      const auto& t = table_[has_one ? 0 : half];
      __m256i entries = _mm256_shuffle_epi8(t[0], codes);
      if constexpr (!has_one) {
        const __m256i odd = _mm256_shuffle_epi8(t[1], codes), third = _mm256_shuffle_epi8(t[2], codes);
        entries = _mm256_blend_epi32(_mm256_blend_epi32(entries, odd, 0x22),
                                     _mm256_blend_epi32(third, _mm256_shuffle_epi8(t[3], codes), 0x88), 0xcc);
      }
      _mm256_storeu_si256(at, entries);
    }
  }

 private:
  static constexpr std::size_t halves = has_one ? 1 : 2, of_half = has_one ? 1 : 4;
  __m256i table_[halves][of_half];
};

#endif  // SPARQ_HAS_AVX2

}  // namespace machine

/// Writes one section of a strip.
/// - `words`: section_k x channels elements, bytes or floats, as the rows loop reads them;
///   beyond the section's last k untouched
/// - `buffer`: as many bytes as the section has places, and expand_slack
template <class Packed, class Element>
void expand_entries(const Packed& w, std::size_t strip, std::size_t section, Element* words,
                    std::byte* buffer) noexcept {
  using N = typename Packed::numeric_type;
  using shape = typename Packed::shape_type;
  const auto masks = w.masks(strip, section);
  std::size_t count = 0;
  for (const std::uint64_t mask : masks) count += static_cast<std::size_t>(std::popcount(mask));
  auto* codes = reinterpret_cast<std::uint8_t*>(buffer);
  unpack_codes<N>(w.codes(strip, section), {codes, count});
#if SPARQ_HAS_AVX2
  if constexpr (machine::expands_in_registers_v<N> && shape::channels == 16 && shape::group_k == 4) {
    for (std::size_t i = 0; i < count; ++i) codes[i] |= 0x80;
    expand<std::uint8_t>(codes, masks.data(), masks.size(), words);
    const machine::strip_tables<N> tables(w.tables(), strip * shape::channels, w.shape().n, w.shape().k);
    for (std::size_t i = 0; i < masks.size(); ++i) tables.look_up(words + 64 * i);
    return;
  }
#endif
  std::fill_n(words, 64 * masks.size(), Element{});
  const auto last_channel = w.shape().n - 1, last_k = w.shape().k - 1;
  for (std::size_t i = 0; i < masks.size(); ++i)
    for (std::uint64_t mask = masks[i]; mask != 0; mask &= mask - 1) {
      const auto place = static_cast<std::size_t>(std::countr_zero(mask));
      const std::size_t channel =
          (std::min)(strip * shape::channels + place / shape::group_k % shape::channels, last_channel);
      const std::size_t k = section * Packed::section_k + i * shape::mask_k +
                            place / (shape::channels * shape::group_k) * shape::group_k + place % shape::group_k;
      const auto entry = w.tables()[table_start<N>(channel, (std::min)(k, last_k), w.shape().k) + *codes++];
      words[64 * i + place] = static_cast<Element>(entry);
    }
}

SPARQ_ABI_END
}  // namespace sparq
