// SPDX-License-Identifier: MIT
#pragma once
// From codes of a codebook to the entries that they choose, in the words that the rows loop reads: once for all rows of
// X that are packed together, so the lookups cost little however they are done.
//
//   row of channel c: [codes of 32 places] ...  ->  strip: [group 0: c0 c1 .. c15] [group 1: c0 c1 .. c15] ...

#include <sparq/base/config.hpp>
#include <sparq/simd/narrow/x86_avx2_look_up.hpp>
#include <sparq/tensor/packed.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Entries of places [first, end) of one channel, whose table is `table`, into every Channels-th word from `out` on.
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

/// The tables and rows of channels [c, c + 8) of the strip that starts with kept channel `first`; those beyond the last
/// have entries 0.
template <class Packed>
auto eight_tables_of(const Packed& w, const packed_panel& panel, std::size_t first, std::size_t c) {
  using N = typename Packed::numeric_type;
  using shape = typename Packed::shape_type;
  using entry = typename N::entry::code;
  static constexpr entry zeros[N::entries] = {};
  const std::uint32_t* words =
      w.words().data() + panel.words + first / shape::channels * strip_words<N, shape>(panel.groups);
  const entry* tables[8];
  const std::uint8_t* rows[8];
  for (std::size_t i = 0; i < 8; ++i) {
    const bool is_kept = first + c + i < panel.kept;
    tables[i] = is_kept ? w.tables() + table_start<N>(w.channel_of(panel, first + c + i), 0, w.shape().k) : zeros;
    rows[i] = reinterpret_cast<const std::uint8_t*>(
        words + (is_kept ? c + i : 0) * sparq::detail::codebook_row<N>::words(panel.groups * shape::group_k));
  }
  return eight_tables<N, sparq::detail::packed_code_bits_v<N>>(tables, rows);
}

#endif  // SPARQ_HAS_AVX2

}  // namespace machine

/// Looks up one strip of a panel.
/// - `out`: groups x channels of a strip, overwritten; channels beyond the last become 0
template <class Packed>
void look_up_strip(const Packed& w, const packed_panel& panel, std::size_t strip, std::uint32_t* out) noexcept {
  using numeric_type = typename Packed::numeric_type;
  using shape = typename Packed::shape_type;
  const std::size_t places = panel.groups * shape::group_k;
  const std::size_t first = strip * shape::channels;
  const std::size_t channels = (std::min)(shape::channels, panel.kept - first);
  const std::uint32_t* row = w.words().data() + panel.words + strip * strip_words<numeric_type, shape>(panel.groups);
  const std::size_t k = w.shape().k;
#if SPARQ_HAS_AVX2
  if constexpr (machine::tables_in_registers_v<numeric_type> && shape::channels % 8 == 0 &&
                shape::group_k * sizeof(typename numeric_type::entry::code) == 4) {
    for (std::size_t c = 0; c < shape::channels; c += 8) {
      const auto eight = machine::eight_tables_of(w, panel, first, c);
      for (std::size_t g = 0; g < panel.groups; g += eight.chunk_groups)
        eight.look_up_chunk(g, panel.groups, shape::channels, out + c);
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
