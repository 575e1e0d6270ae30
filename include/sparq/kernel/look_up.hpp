// SPDX-License-Identifier: MIT
#pragma once
// From codes of a codebook to the entries that they choose, in the words that the rows loop reads: once for all rows of
// X that are packed together, so the lookups cost little however they are done.
//
//   row of channel c: [codes of 32 places] ...  ->  strip: [group 0: c0 c1 .. c15] [group 1: c0 c1 .. c15] ...

#include <sparq/base/config.hpp>
#include <sparq/simd/x86_avx2_look_up.hpp>
#include <sparq/tensor/packed.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Entries of places [first, end) of one channel, whose table is `table`, into every 16th word from `out` on.
template <class N, std::size_t Channels, std::size_t GroupK>
void look_up_places(const std::uint8_t* row, const typename N::entry::code* table, std::size_t first, std::size_t end,
                   std::uint32_t* out) noexcept {
  for (std::size_t place = first; place < end; ++place) {
    const auto entry = table[sparq::detail::codebook_row<N>::load(row, place)];
    std::memcpy(reinterpret_cast<std::byte*>(out + place / GroupK * Channels) + place % GroupK * sizeof entry, &entry,
                sizeof entry);
  }
}

/// Whether a table is a register for vpshufb, and serves whole channels.
template <class N>
inline constexpr bool tables_in_registers_v = N::entries <= 16 && !requires { N::table::bucket; };

#if SPARQ_HAS_AVX2

/// Eight channels of a strip, each with a table of at most sixteen entries.
template <class N>
class eight_channels {
  using pair = table_pair<N>;
  using row_type = sparq::detail::codebook_row<N>;

 public:
  /// Places of one register of codes, and groups of them for the rows loop.
  static constexpr std::size_t part_groups = 4 * pair::planes;

  /// Channels [c, c + 8) of the strip that starts with kept channel `first`; those beyond the last have entries 0.
  template <class Packed>
  eight_channels(const Packed& w, const packed_panel& panel, std::size_t first, std::size_t c)
      : pairs_{pair(table(w, panel, first, c), table(w, panel, first, c + 4)),
               pair(table(w, panel, first, c + 1), table(w, panel, first, c + 5)),
               pair(table(w, panel, first, c + 2), table(w, panel, first, c + 6)),
               pair(table(w, panel, first, c + 3), table(w, panel, first, c + 7))} {
    using shape = typename Packed::panel_shape_type;
    const std::uint32_t* words = w.words().data() + panel.words + first / shape::channels * strip_words<N, shape>(panel.groups);
    for (std::size_t i = 0; i < 8; ++i)
      rows_[i] = reinterpret_cast<const std::uint8_t*>(
          words + (first + c + i < panel.kept ? c + i : 0) * row_type::words(panel.groups * shape::group_k));
  }

  /// f(group, word of the eight channels) for the part_groups groups from `g` on, below `groups`.
  template <class F>
  SPARQ_INLINE void look_up_part(std::size_t g, std::size_t groups, F&& f) const {
    const std::size_t at = g / (2 * part_groups) * row_type::chunk_bytes;
    const int part = static_cast<int>(g / part_groups % 2);
    __m256i words[4][pair::planes];
    SPARQ_UNROLL for (std::size_t i = 0; i < 4; ++i)
      pairs_[i].look_up(load_codes<N, sparq::detail::packed_code_bits_v<N>>(rows_[i] + at, rows_[i + 4] + at, part), words[i]);
    SPARQ_UNROLL for (std::size_t j = 0; j < pair::planes; ++j) {
      const __m256i four[4] = {words[0][j], words[1][j], words[2][j], words[3][j]};
      __m256i of_eight[4];
      transpose_words(four, of_eight);
      if (g + part_groups <= groups) {
        SPARQ_UNROLL for (std::size_t i = 0; i < 4; ++i) f(g + 4 * j + i, of_eight[i]);
      } else {
        for (std::size_t i = 0; i < 4; ++i)
          if (g + 4 * j + i < groups) f(g + 4 * j + i, of_eight[i]);
      }
    }
  }

 private:
  template <class Packed>
  static const typename N::entry::code* table(const Packed& w, const packed_panel& panel, std::size_t first, std::size_t c) {
    static constexpr typename N::entry::code zeros[N::entries] = {};
    if (first + c >= panel.kept) return zeros;
    return w.tables() + table_start<N>(w.channel_of(panel, first + c), 0, w.shape().k);
  }

  pair pairs_[4];
  const std::uint8_t* rows_[8];
};

#endif  // SPARQ_HAS_AVX2

}  // namespace machine

/// Looks up one strip of a panel.
/// - `out`: groups x channels of a strip, overwritten; channels beyond the last become 0
template <class Packed>
void look_up_strip(const Packed& w, const packed_panel& panel, std::size_t strip, std::uint32_t* out) noexcept {
  using numeric_type = typename Packed::numeric_type;
  using shape = typename Packed::panel_shape_type;
  const std::size_t places = panel.groups * shape::group_k;
  const std::size_t first = strip * shape::channels;
  const std::size_t channels = (std::min)(shape::channels, panel.kept - first);
  const std::uint32_t* row = w.words().data() + panel.words + strip * strip_words<numeric_type, shape>(panel.groups);
  const std::size_t k = w.shape().k;
#if SPARQ_HAS_AVX2
  if constexpr (machine::tables_in_registers_v<numeric_type> && shape::channels % 8 == 0 &&
                shape::group_k * sizeof(typename numeric_type::entry::code) == 4){
    using eight = machine::eight_channels<numeric_type>;
    for (std::size_t c = 0; c < shape::channels; c += 8) {
      const eight from(w, panel, first, c);
      for (std::size_t g = 0; g < panel.groups; g += eight::part_groups)
        from.look_up_part(g, panel.groups, [&](std::size_t group, __m256i word) SPARQ_LAMBDA_INLINE {
          _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + group * shape::channels + c), word);
        });
    }
    return;
  }
#endif
  for (std::size_t c = 0; c < channels; ++c, row += sparq::detail::codebook_row<numeric_type>::words(places)) {
    const std::size_t channel = w.channel_of(panel, first + c);
    const auto* codes = reinterpret_cast<const std::uint8_t*>(row);
    const auto look_up = [&](std::size_t from, std::size_t to, std::size_t table_k) {
      machine::look_up_places<numeric_type, shape::channels, shape::group_k>(
          codes, w.tables() + table_start<numeric_type>(channel, table_k, k), from, to, out + c);
    };
    if constexpr (requires { numeric_type::table::bucket; }) {  // places are k's; beyond the last k X is 0
      constexpr std::size_t bucket = numeric_type::table::bucket;
      std::size_t from = 0;
      while (from < k) {
        const std::size_t to = (std::min)(k, from + bucket - (channel * k + from) % bucket);
        look_up(from, to, from);
        from = to;
      }
      if (k != 0) look_up(k, places, k - 1);
    } else {
      look_up(0, places, 0);
    }
  }
  for (std::size_t c = channels; c < shape::channels; ++c)
    for (std::size_t g = 0; g < panel.groups; ++g) out[g * shape::channels + c] = 0;
}

SPARQ_ABI_END
}  // namespace sparq
