// SPDX-License-Identifier: MIT
#pragma once
// Cache blocking around the `rows` loop: blocks of rows of X are packed as the atom wants them and stay in the second
// level cache, while the panels' weights pass by once.
//
//   for each block of rows:                       x_bytes of packed X
//     for each panel:                             compact X if the panel lists its k's, or its channels share
//                                                 positions, then some of the rows at a time
//       for each block of channels:               weights of 2 registers of channels, all groups
//         (a codebook: look the block's codes up; many rows: widen the words, or decode narrow ones)
//         for each block_rows rows:               rows_block -> tile -> epilogue -> Y
//
// Bytes of 16 rows and more are multiplied in tiles where the program uses them (base/amx.hpp), 32 rows at a time.

#include <sparq/kernel/blocking.hpp>
#include <sparq/kernel/epilogue/epilogue.hpp>
#include <sparq/kernel/loop/look_up.hpp>
#include <sparq/kernel/loop/packed_rows.hpp>
#include <sparq/kernel/loop/rows.hpp>
#include <sparq/kernel/loop/scaled_rows.hpp>
#include <sparq/kernel/loop/tile_rows.hpp>
#include <sparq/kernel/select.hpp>
#include <sparq/kernel/source/source.hpp>
#include <sparq/simd/expand.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

/// One operation: everything the loop needs besides its range.
template <class Packed, class Atom, class Source, class Y, class Epilogue>
class panel_loop {
 public:
  using rows_of_x = packed_rows<Packed, Atom, Source>;
  using x_code = typename Atom::x_code;
  using packed_x = typename Atom::packed_x;
  using block_atom = typename machine::block_atom<Atom>::type;
  using block_x = typename block_atom::packed_x;  // the same elements
  using acc_type = typename Atom::acc_type;
  using numeric_type = typename Packed::numeric_type;
  using shape_type = typename Packed::shape_type;
  using k_map = typename Packed::k_map;
  using row_select = typename rows_of_x::loop_row_select;
  using window = typename rows_of_x::window;
  static constexpr std::size_t strip_registers = shape_type::channels / Atom::lanes;
  static constexpr bool has_windows = rows_of_x::has_windows;
  /// Registers of channels in one block: of the tuning table, or fewer,
  /// so that blocks divide a strip or are two strips.
  static constexpr std::size_t registers = [] {
    if (has_windows) return strip_registers;
    std::size_t count = (std::min)(blocking<Atom>::registers, 2 * strip_registers);
    while (strip_registers % count != 0 && count != 2 * strip_registers) --count;
    return count;
  }();
  static constexpr std::size_t block_rows = Atom::block_rows;
  static constexpr std::size_t block_channels = registers * Atom::lanes;
  static constexpr bool is_list = rows_of_x::is_list;
  using loop_k_map = typename rows_of_x::loop_k_map;
  static constexpr std::size_t groups_per_word = rows_of_x::groups_per_word;
  /// Codes of a codebook are looked up, a block of channels at a time; the loop reads their entries.
  static constexpr bool looks_up = has_tables<numeric_type>;
  /// Registers of channels for few rows of X, which read several strips at once:
  /// one stream is 0.6 of what memory delivers.
  static constexpr std::size_t few_rows_registers =
      !looks_up && !has_windows && strip_registers <= registers
          ? machine::few_rows_strips<Atom, entry_t<numeric_type>> * strip_registers
          : registers;
  static constexpr bool permutes = rows_of_x::permutes;
  static constexpr bool may_have_gaps = is_list || std::is_same_v<k_map, runs>;
  using granularity = typename Packed::granularity;
  /// Whether several rows read so many strips at once, not one only: of 32 registers, four rows' sums of four strips
  /// take half.
  static constexpr bool rows_are_wide = SPARQ_HAS_AVX512 && Atom::lanes == 16 && few_rows_registers == 4 &&
                                        registers == 2 && !scales_along_k_v<granularity> &&
                                        machine::groups_at_once<Atom> == 0;
  /// Whether sums may take more of them, because the words of a strip are one register.
  static constexpr bool has_many_sums =
      rows_are_wide && !permutes && machine::words_are_registers<Atom, entry_t<numeric_type>>;
  static constexpr std::size_t most_wide_rows = has_many_sums ? 8 : rows_are_wide ? 4 : 1;
  /// Registers of channels of the widest blocks of few rows: one row reads 4 % more from eight strips than from four.
  static constexpr std::size_t wide_registers(std::size_t rows) {
    if (rows > most_wide_rows || next_block_height<Atom>(rows) != rows) return registers;  // seven are two blocks
    if (!has_many_sums) return few_rows_registers;
    return rows == 1 ? 8 : rows == 8 ? 3 : few_rows_registers;
  }
  /// Scales along k: sums are scaled inside the block and arrive as floats.
  static constexpr bool is_grouped = scales_along_k_v<granularity>;
  /// Words are widened once for many rows, a strip at a time, where blocks are strips: with scales along k, whose
  /// blocks have more to do, and entries of codebooks, which are written to scratch anyway.
  using widened_atom = typename machine::widened_atom<Atom, shape_type::channels>::type;
  static constexpr bool widens = (is_grouped || looks_up) && !has_windows && registers == strip_registers &&
                                 !std::is_same_v<widened_atom, machine::no_atom>;
  /// Narrow words are decoded once for many rows, the strips of a block at a time: the loop reads bytes.
  static constexpr bool decodes = !looks_up && !has_windows && requires(std::uint32_t * words) {
    Atom::template decode_strip<numeric_type, shape_type::channels>(words, std::size_t{}, words);
  };
  /// The first block of a strip asks for weights that no near cache holds: of those beyond all caches for the next
  /// strip, where bytes do not come in time, of others for its own, where only wider ones do not.
  static constexpr bool may_ask =
      block_rows > 5 && !is_grouped && !looks_up && !permutes && !is_list && blocking<Atom>::registers_at_once != 1;
  static constexpr bool asks_for_strip = may_ask && numeric_type::bits >= 16;
  static constexpr bool asks_for_next = may_ask && numeric_type::bits >= 8 && std::is_same_v<k_map, contiguous>;
  /// Bytes whose channels share the order of k's, and scales whole tiles; see tile_rows.hpp.
  static constexpr bool has_tiles = machine::has_tiles_v<block_atom> && scales_fill_tiles_v<granularity> && !permutes &&
                                    std::is_same_v<loop_k_map, contiguous> && registers == 2 &&
                                    (decodes || entry_t<numeric_type>::bits == 8);
  /// The same in panels that lost channels, whose words are not decoded beforehand.
  static constexpr bool has_gap_tiles = has_tiles && may_have_gaps && !decodes;
  using sum_type = std::conditional_t<is_grouped, float, acc_type>;
  static constexpr std::int32_t sum_factor = is_grouped ? 0 : Atom::weight_sum_factor;  // what store_tile adds

  /// - `zero_point`: of X, which sums that are scaled along k take back before they are scaled; 0 for all others
  panel_loop(const Packed& w, const Source& source, Y y, const Epilogue& stages, std::int32_t zero_point = 0)
      : in_tiles_(has_tiles && y.rows >= tile_rows::least && uses_amx() &&
                  std::any_of(w.panels().begin(), w.panels().end(), fills_tiles)),
        w_(w),
        rows_(w, source, in_tiles_ ? blocking<Atom>::x_bytes_of_tiles : x_bytes,
              looks_up || widens ? x_bytes : blocking<Atom>::compacted_x_bytes, tall_rows(), in_tiles_),
        y_(y),
        stages_(stages),
        scale_factor_(Atom::weight_sum_factor - zero_point) {
    asks_ = machine::asked_for_weights_of(w.words().size_bytes());
    if constexpr (requires { y_.row_bytes; })
      if (SPARQ_HAS_AVX512 && y_.element_bytes >= 4 && y_.rows * y_.row_bytes >= blocking<Atom>::far_y_bytes)
        stored_after_ = 0;
    for (const packed_panel& panel : w.panels()) {
      if (panel.kept < panel.channels)
        gap_channels_ = (std::max)(gap_channels_, static_cast<std::size_t>(panel.channels));
      if constexpr (looks_up)
        looked_up_words_ =
            (std::max)(looked_up_words_,
                       round_up(panel.kept < panel.channels ? static_cast<std::size_t>(panel.kept) : looked_up_channels,
                                shape_type::channels) *
                           panel.groups);
      if constexpr (widens)
        widened_words_ = (std::max)(widened_words_, words_of_strip(panel) * widened_atom::words_of_word);
      if constexpr (decodes)
        decoded_words_ = (std::max)(decoded_words_, decoded_words_of_strip(panel) * strips_at_once);
    }
  }

  static constexpr std::string_view loop_name() { return has_windows ? "rows, windows" : "rows"; }
  std::string_view atom_name() const {
    if constexpr (has_tiles)
      if (in_tiles_) return Atom::amx_name;
    return Atom::name;
  }

  /// Bytes of scratch that one part of the work needs, a multiple of 64.
  std::size_t scratch_bytes(std::size_t m) const {
    return rows_.bytes(m) + rows_.buffer_bytes() + gap_bytes() +
           (looked_up_words_ + (widens_for(m) ? widened_words_ : 0) + (decodes_for(m) ? decoded_words_ : 0)) *
               sizeof(std::uint32_t);
  }

  /// How rows of X reach the atom.
  std::string x_access() const { return rows_.access(); }
  std::size_t cached_rows() const { return rows_.at_once(); }
  /// Rows of a block: two tiles, where X is multiplied in them.
  std::size_t tall_rows() const { return in_tiles_ ? tile_rows::tallest : block_rows; }

  /// Strips of channels, the unit in which work is divided.
  std::size_t strips() const {
    std::size_t total = 0;
    for (const packed_panel& panel : w_.panels()) total += strips_of(panel);
    return total;
  }

  /// Computes rows [m0, m1) of the channels in strips [s0, s1). @pre scratch has scratch_bytes(m1 - m0)
  void run(std::size_t m0, std::size_t m1, std::size_t s0, std::size_t s1, std::byte* scratch) const noexcept {
    auto* x = reinterpret_cast<packed_x*>(scratch);
    std::byte* buffers = scratch + rows_.bytes(m1 - m0);
    const std::size_t together = blocking<Atom>::rows_of_pass(m1 - m0, rows_.at_once(), tall_rows());
    [[maybe_unused]] const machine::tile_scope<block_atom> scope(in_tiles_ && m1 - m0 >= tile_rows::least);
    for (std::size_t m = m0; m < m1; m += together) {
      const std::size_t rows = (std::min)(together, m1 - m);
      if constexpr (!is_list) rows_.pack(m, rows, x, buffers);
      std::size_t strip = 0;
      for (const packed_panel& panel : w_.panels()) {
        const std::size_t first = (std::max)(s0, strip);
        const std::size_t last = (std::min)(s1, strip + strips_of(panel));
        if (first < last) run_panel(panel, first - strip, last - strip, m, rows, x, buffers);
        strip += strips_of(panel);
      }
    }
  }

 private:
  static std::size_t strips_of(const packed_panel& panel) {
    if (panel.kept < panel.channels) return 1;  // computed as a whole: its gaps need all of it
    return ceil_div(panel.kept, shape_type::channels);
  }

  static bool widens_for(std::size_t rows) { return widens && rows >= blocking<Atom>::widened_rows; }
  /// Panels with gaps decode in every block.
  bool decodes_for(std::size_t rows) const {
    return decodes && rows >= (in_tiles_ ? tile_rows::least : blocking<Atom>::widened_rows);
  }
  std::size_t gap_tile_bytes() const {
    return round_up(tall_rows() * round_up(gap_channels_, 64) * sizeof(sum_type), alignment);
  }
  /// The sums of kept channels, those of all channels, and a mask of the kept ones.
  std::size_t gap_bytes() const { return gap_tile_bytes() * 2 + gap_mask_bytes() + gap_last_bytes(); }
  std::size_t gap_mask_bytes() const { return round_up(gap_channels_, 64 * 8) / 8; }
  /// The last words of every strip as tiles.
  std::size_t gap_last_bytes() const {
    if constexpr (has_gap_tiles)
      if (in_tiles_)
        return round_up(gap_channels_, block_channels) / Atom::lanes *
               tile_block<block_atom, shape_type>::last_words * sizeof(std::uint32_t);
    return 0;
  }

  void run_panel(const packed_panel& panel, std::size_t first_strip, std::size_t last_strip, std::size_t m,
                 std::size_t rows, packed_x* packed, std::byte* buffers) const noexcept {
    if constexpr (rows_of_x::shares_positions) {
      const auto by = rows_.compacting_for(panel, buffers);
      for (std::size_t first = 0; first < rows; first += rows_.compacted_at_once()) {
        const std::size_t some = (std::min)(rows_.compacted_at_once(), rows - first);
        rows_.compact_to(by, panel, m, rows, first, some, packed, buffers);
        multiply_panel(panel, first_strip, last_strip, m + first, some, packed, buffers);
      }
    } else {
      if constexpr (is_list) rows_.compact_to(panel, m, rows, packed, buffers);
      multiply_panel(panel, first_strip, last_strip, m, rows, packed, buffers);
    }
  }

  /// Rows that are packed, by the channels of some strips.
  void multiply_panel(const packed_panel& panel, std::size_t first_strip, std::size_t last_strip, std::size_t m,
                      std::size_t rows, const packed_x* packed, std::byte* buffers) const noexcept {
    const auto [x, ldx] = rows_.at(m, packed);
    if constexpr (may_have_gaps)
      if (panel.kept < panel.channels)
        return run_panel_with_gaps(panel, m, rows, x, ldx, buffers + rows_.buffer_bytes());
    if constexpr (has_tiles)
      if (takes_tiles(panel, rows)) return multiply_in_tiles(panel, first_strip, last_strip, m, rows, x, ldx, buffers);

    alignas(alignment) sum_type tile[(std::max)(tile_blocks * Atom::block_rows * block_channels_padded,
                                                most_wide_rows * wide_registers(1) * Atom::lanes)];
    const std::size_t widest = wide_registers(rows) * Atom::lanes;
    const std::size_t ldt = round_up(widest, 16);
    const std::size_t kept = (std::min)(static_cast<std::size_t>(panel.kept), last_strip * shape_type::channels);
    for (std::size_t c = first_strip * shape_type::channels; c < kept;) {
      const std::size_t left = round_up(kept - c, shape_type::channels);
      const std::size_t width = width_of_block(rows, left);
      block_weights block = weights_at(panel, c, strip_words(panel, c, width, buffers), rows);
      if constexpr (widens)
        if (widens_for(rows)) block.widened = widen_strip(panel, block.words, buffers);
      if constexpr (decodes)
        if (decodes_for(rows)) decode_strips(panel, c, width, buffers, block);
      const block_scales scales = scales_at(panel, c);
      const std::size_t channels = (std::min)(kept - c, width);
      for (std::size_t r = 0, first = 0; r < rows; first = r) {
        while (r < rows && r - first <= stored_after_) {
          const std::size_t height = next_block_height<Atom>(rows - r);
          if constexpr (requires { y_.prefetch(m, height, c, channels); })
            y_.prefetch(m + r, height, panel.first_channel + c, channels);
          block.asks = r == 0 ? asks_ : machine::asked::nothing;
          multiply(width, height, x + r * ldx, ldx, block, scales, tile + (r - first) * ldt, ldt);
          r += height;
        }
        const lane_position at{m + first, panel.first_channel + c, 0, w_.weight_sums().data()};
        store_tile(tile, ldt, r - first, channels, sum_factor, y_, at, stages_);
      }
      c += width;
    }
  }

  /// Panels that lost channels are not decoded beforehand, and have no tiles then.
  static bool fills_tiles(const packed_panel& panel) noexcept {
    return panel.groups >= tile_rows::least_groups && (!decodes || panel.kept == panel.channels);
  }
  bool takes_tiles(const packed_panel& panel, std::size_t rows) const noexcept {
    return in_tiles_ && rows >= tile_rows::least && fills_tiles(panel);
  }

  /// The same in tiles.
  void multiply_in_tiles(const packed_panel& panel, std::size_t first_strip, std::size_t last_strip, std::size_t m,
                         std::size_t rows, const packed_x* x, std::size_t ldx, std::byte* buffers) const noexcept
    requires has_tiles
  {
    using tiles = tile_block<block_atom, shape_type>;
    alignas(alignment) sum_type sums[tile_rows::tallest * block_channels];
    alignas(alignment) std::uint32_t last[registers * tiles::last_words];
    const std::size_t kept = (std::min)(static_cast<std::size_t>(panel.kept), last_strip * shape_type::channels);
    for (std::size_t c = first_strip * shape_type::channels; c < kept;) {
      const std::size_t width = (std::min)(round_up(kept - c, shape_type::channels), block_channels);
      block_weights weights = weights_at(panel, c, strip_words(panel, c, width, buffers), rows);
      if constexpr (decodes) decode_strips(panel, c, width, buffers, weights);
      [[maybe_unused]] const block_scales scales = scales_at(panel, c);
      const tiles block(weights, width / Atom::lanes, last);
      const std::size_t channels = (std::min)(kept - c, width);
      for (std::size_t r = 0; r < rows;) {
        const tile_rows some = tile_rows::at(r, rows);
        const std::size_t stored = some.height() - some.known;
        if constexpr (requires { y_.prefetch(m, stored, c, channels); })
          y_.prefetch(m + r, stored, panel.first_channel + c, channels);
        if constexpr (is_grouped)
          block.multiply_scaled(reinterpret_cast<const block_x*>(x), ldx, some, scales, sums, block_channels);
        else
          block.multiply(reinterpret_cast<const block_x*>(x), ldx, some, sums, block_channels);
        store_tile(sums + some.known * block_channels, block_channels, stored, channels, sum_factor, y_,
                   {m + r, panel.first_channel + c, 0, w_.weight_sums().data()}, stages_);
        r += stored;
      }
      c += width;
    }
  }

  /// Channels of the next block where `left` follow.
  static std::size_t width_of_block(std::size_t rows, std::size_t left) noexcept {
    const std::size_t widest = wide_registers(rows) * Atom::lanes;
    if (left >= widest) return widest;
    const std::size_t wide = few_rows_registers * Atom::lanes;
    return has_many_sums && rows == 1 && left >= wide ? wide : (std::min)(left, block_channels);
  }

  /// A panel some of whose channels have no weights: sums go to their places, the gaps hold epilogue(0).
  void run_panel_with_gaps(const packed_panel& panel, std::size_t m, std::size_t rows, const packed_x* x,
                           std::size_t ldx, std::byte* buffer) const noexcept {
    const std::size_t ldt = round_up(gap_channels_, 64);
    auto* tile = reinterpret_cast<sum_type*>(buffer);
    auto* spread = reinterpret_cast<sum_type*>(buffer + gap_tile_bytes());
    auto* mask = reinterpret_cast<std::uint64_t*>(buffer + gap_tile_bytes() * 2);
    std::fill_n(mask, ldt / 64, std::uint64_t{0});
    for (const index_t channel : w_.kept_channels().subspan(panel.kept_channels, panel.kept))
      mask[channel / 64] |= std::uint64_t{1} << channel % 64;
    const std::uint32_t* words = strip_words(panel, 0, panel.kept, buffer - rows_.buffer_bytes());
    [[maybe_unused]] auto* last = reinterpret_cast<std::uint32_t*>(buffer + gap_tile_bytes() * 2 + gap_mask_bytes());
    for (std::size_t r = 0; r < rows;) {
      std::size_t height = next_block_height<Atom>(rows - r), known = 0;
      for (std::size_t c = 0; c < panel.kept;) {
        const std::size_t width = (std::min)(round_up(panel.kept - c, shape_type::channels), block_channels);
        const auto weights =
            weights_at(panel, c, words + c / shape_type::channels * words_of_strip(panel), height);
        if constexpr (has_gap_tiles) {
          if (takes_tiles(panel, rows)) {
            using tiles = tile_block<block_atom, shape_type>;
            const tiles block(weights, width / Atom::lanes, last + c / Atom::lanes * tiles::last_words, r == 0);
            const tile_rows some = tile_rows::at(r, rows);
            block.multiply(reinterpret_cast<const block_x*>(x), ldx, some, tile + c, ldt);
            height = some.height() - some.known, known = some.known;
            c += width;
            continue;
          }
        }
        multiply(width, height, x + r * ldx, ldx, weights, scales_at(panel, c), tile + c, ldt);
        c += width;
      }
      for (std::size_t i = 0; i < height; ++i) expand(tile + (known + i) * ldt, mask, ldt / 64, spread + i * ldt);
      store_tile(spread, ldt, height, panel.channels, sum_factor, y_,
                 {m + r, panel.first_channel, 0, w_.weight_sums().data()}, stages_);
      r += height;
    }
  }

  /// From one strip of a panel to the next, in words as the loop reads them.
  static std::size_t words_of_strip(const packed_panel& panel) noexcept {
    return ceil_div(panel.groups, groups_per_word) * shape_type::channels * words_per_group_v<numeric_type, shape_type>;
  }
  /// Words of the strip with this channel and of those after it, `width` channels in all: where they are packed, or
  /// looked up into scratch, where those of a strip stay for its next blocks.
  const std::uint32_t* strip_words(const packed_panel& panel, std::size_t channel, [[maybe_unused]] std::size_t width,
                                   [[maybe_unused]] std::byte* buffers) const noexcept {
    const std::size_t first = channel / shape_type::channels;
    if constexpr (looks_up) {
      auto* words = reinterpret_cast<std::uint32_t*>(buffers + rows_.buffer_bytes() + gap_bytes());
      if (channel % shape_type::channels == 0)
        for (std::size_t s = first; s * shape_type::channels < channel + width; ++s)
          look_up_strip(w_, panel, s, words + (s - first) * words_of_strip(panel));
      return words;
    } else {
      return w_.words().data() + panel.words + first * words_of_strip(panel);
    }
  }

  /// The words of a strip, widened into scratch.
  const std::uint32_t* widen_strip(const packed_panel& panel, const std::uint32_t* words,
                                   std::byte* buffers) const noexcept
    requires widens
  {
    auto* out = reinterpret_cast<std::uint32_t*>(buffers + rows_.buffer_bytes() + gap_bytes()) + looked_up_words_;
    widened_atom::widen(words, words_of_strip(panel), out);
    return out;
  }

  static std::size_t decoded_words_of_strip(const packed_panel& panel) noexcept {
    return words_of_strip(panel) * groups_per_word;
  }
  /// Decodes the strips of a block of `width` channels into scratch, where the block finds its words then, and the next
  /// blocks of a strip that is wider than one find theirs.
  void decode_strips(const packed_panel& panel, std::size_t channel, std::size_t width, std::byte* buffers,
                     block_weights& block) const noexcept
    requires decodes
  {
    auto* out = reinterpret_cast<std::uint32_t*>(buffers + rows_.buffer_bytes() + gap_bytes());
    const std::size_t in_strip = channel % shape_type::channels;
    if (in_strip == 0)
      Atom::template decode_strip<numeric_type, shape_type::channels>(
          block.words, ceil_div(width, shape_type::channels) * block.strip_words, out);
    block.words = out + in_strip;
    block.strip_words = decoded_words_of_strip(panel);
    block.is_decoded = true;
  }

  /// The weights from `channel` on. `words`: of its strip
  block_weights weights_at(const packed_panel& panel, std::size_t channel, const std::uint32_t* words,
                           std::size_t rows) const noexcept {
    const std::size_t strip = channel / shape_type::channels;
    block_weights block;
    block.groups = panel.groups;
    block.strip_words = words_of_strip(panel);
    block.words = words + channel % shape_type::channels;
    const std::size_t strips = (std::max)(wide_registers(rows) / strip_registers, std::size_t{1});
    block.ahead = strips * block.strip_words;
    block.addresses = w_.addresses().data() + panel.addresses;
    block.strip_selects =
        window::is_private ? ceil_div(block.groups, window::groups_per_byte) * shape_type::channels * Atom::group_k : 0;
    block.selects_ahead = strips * block.strip_selects;
    if constexpr (has_windows) {  // strips differ in length and follow each other
      block.ahead = machine::window_ahead / sizeof(std::uint32_t);
      block.selects_ahead = machine::window_ahead;
    }
    block.selects = w_.selects().data() + panel.selects + strip * block.strip_selects +
                    (window::is_private ? channel % shape_type::channels * Atom::group_k : 0);
    return block;
  }

  block_scales scales_at(const packed_panel& panel, std::size_t channel) const noexcept {
    if constexpr (is_grouped) {
      const std::size_t count = ceil_div(w_.shape().k, std::size_t{granularity::group}),
                        strip = count * shape_type::channels;
      const std::size_t first = static_cast<std::size_t>(panel.scales) + channel / shape_type::channels * strip +
                                channel % shape_type::channels;
      block_scales result = block_scales::of(w_, first, strip, scale_factor_);
      result.count = count;
      result.segments = w_.segments().data() + static_cast<std::size_t>(&panel - w_.panels().data()) * count;
      return result;
    } else {
      return {};
    }
  }

  void multiply(std::size_t width, std::size_t height, const packed_x* packed, std::size_t ldx,
                const block_weights& block, const block_scales& scales, sum_type* tile,
                std::size_t ldt) const noexcept {
    const auto* x = reinterpret_cast<const block_x*>(packed);
    const bool is_tall = height == block_rows && width == block_channels;
    if constexpr (asks_for_strip)
      if (block.asks == machine::asked::strip && is_tall)
        return rows_block<machine::strip_asking_atom<block_atom>, entry_t<numeric_type>, shape_type, loop_k_map,
                          row_select, block_rows, registers>(x, ldx, block, tile, ldt);
    if constexpr (asks_for_next)
      if (block.asks == machine::asked::next_strip && is_tall)
        return rows_block<machine::asking_atom<block_atom>, entry_t<numeric_type>, shape_type, loop_k_map,
                          row_select, block_rows, registers>(x, ldx, block, tile, ldt);
    if constexpr (widens)
      if (block.widened != nullptr && height == block_rows) return multiply_widened(x, ldx, block, scales, tile, ldt);
    if constexpr (decodes)
      if (block.is_decoded)
        return multiply_words<typename Atom::decoded>(width, height, x, ldx, block, scales, tile, ldt);
    multiply_words<entry_t<numeric_type>>(width, height, x, ldx, block, scales, tile, ldt);
  }

  /// Multiplies words that hold codes of N.
  template <numeric N>
  void multiply_words(std::size_t width, std::size_t height, const block_x* x, std::size_t ldx,
                      const block_weights& block, const block_scales& scales, sum_type* tile,
                      std::size_t ldt) const noexcept {
    const auto run = [&](auto width_registers) {
      if constexpr (is_grouped)
        scaled_rows_block<block_atom, N, shape_type, loop_k_map, row_select, width_registers>(height, x, ldx, block,
                                                                                              scales, tile, ldt);
      else
        rows_block<block_atom, N, shape_type, loop_k_map, row_select, width_registers>(height, x, ldx, block, tile,
                                                                                       ldt);
    };
    const auto run_wide = [&] {
      const auto of_height = [&]<std::size_t R>(std::integral_constant<std::size_t, R>) {
        if (height != R) return;
        [[maybe_unused]] const auto of_width = [&]<std::size_t V>(std::integral_constant<std::size_t, V>) {
          if (width != V * Atom::lanes) return;
          if constexpr (is_grouped)
            scaled_rows_block<block_atom, N, shape_type, loop_k_map, row_select, R, V>(x, ldx, block, scales, tile,
                                                                                       ldt);
          else
            rows_block<block_atom, N, shape_type, loop_k_map, row_select, R, V>(x, ldx, block, tile, ldt);
        };
        if constexpr (wide_registers(R) != registers)
          of_width(std::integral_constant<std::size_t, wide_registers(R)>{});
        if constexpr (wide_registers(R) > few_rows_registers)
          of_width(std::integral_constant<std::size_t, few_rows_registers>{});
      };
      [&]<std::size_t... R>(std::index_sequence<R...>) {
        (of_height(std::integral_constant<std::size_t, R + 1>{}), ...);
      }(std::make_index_sequence<most_wide_rows>{});
    };
    if (few_rows_registers != registers && width > block_channels) {
      if constexpr (std::is_same_v<N, entry_t<numeric_type>>) run_wide();  // few rows decode nothing
    } else if constexpr (blocking<Atom>::registers_at_once == 1) {
      for (std::size_t c = 0; c < width; c += Atom::lanes) {
        block_weights part = block.from(c, shape_type::channels);
        if constexpr (window::is_private) part.selects += c % shape_type::channels * Atom::group_k;
        if constexpr (is_grouped)
          scaled_rows_block<block_atom, N, shape_type, loop_k_map, row_select, 1>(
              height, x, ldx, part, scales.template from<N>(c, shape_type::channels), tile + c, ldt);
        else
          rows_block<block_atom, N, shape_type, loop_k_map, row_select, 1>(height, x, ldx, part, tile + c, ldt);
      }
    } else if (width == block_channels)
      run(std::integral_constant<std::size_t, registers>{});
    else if constexpr (strip_registers < registers)
      run(std::integral_constant<std::size_t, strip_registers>{});
  }

  /// A whole block of widened words.
  void multiply_widened(const block_x* x, std::size_t ldx, block_weights block, const block_scales& scales,
                        sum_type* tile, std::size_t ldt) const noexcept
    requires widens
  {
    using entry = entry_t<numeric_type>;
    block.words = block.widened;
    if constexpr (is_grouped)
      scaled_rows_block<widened_atom, entry, shape_type, loop_k_map, row_select, block_rows, registers>(
          x, ldx, block, scales, tile, ldt);
    else
      rows_block<widened_atom, entry, shape_type, loop_k_map, row_select, block_rows, registers>(x, ldx, block, tile,
                                                                                                 ldt);
  }

  /// Of packed X. Words that are looked up or widened serve all rows that are packed together.
  static constexpr std::size_t x_bytes =
      looks_up || widens || decodes ? blocking<Atom>::looked_up_x_bytes : blocking<Atom>::x_bytes;
  /// Strips of a block of several rows.
  static constexpr std::size_t strips_at_once = (std::max)(registers / strip_registers, std::size_t{1});
  /// Channels whose entries are looked up together.
  static constexpr std::size_t looked_up_channels = (std::max)(block_channels, shape_type::channels);
  /// Blocks of rows that are stored together: what an epilogue loads for its channels, it loads once for them.
  static constexpr std::size_t tile_blocks = 4;
  static constexpr std::size_t block_channels_padded = (block_channels + 15) / 16 * 16;

  bool in_tiles_;
  Packed w_;
  rows_of_x rows_;
  Y y_;
  Epilogue stages_;
  std::int32_t scale_factor_;
  machine::asked asks_ = machine::asked::nothing;
  std::size_t stored_after_ = (tile_blocks - 1) * block_rows;  // rows whose sums wait for those of another block
  std::size_t gap_channels_ = 0;
  std::size_t looked_up_words_ = 0;
  std::size_t widened_words_ = 0;
  std::size_t decoded_words_ = 0;
};

SPARQ_ABI_END
}  // namespace sparq
