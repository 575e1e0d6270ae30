// SPDX-License-Identifier: MIT
#pragma once
// Blocks of the rows loop in tiles (AMX). A tile is 16 rows of 64 bytes, and one instruction multiplies 16 rows of X,
// 64 k's long, by 16 channels. Packed words are tiles as they lie: 64 bytes hold four k's of 16 channels.
//
//   X: 16 R rows x 64 k's      words: 16 groups of four k's x 16 V channels      sums: 16 R x 16 V
//
// No tile is cut: where the groups are no multiple of 16, the last 16 of them are multiplied by words that are zero where
// they were added before, and the last rows are those of a whole tile, some of which have been multiplied before.

#include <sparq/base/config.hpp>

#if SPARQ_HAS_AMX_INT8

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// What the instruction reads that lays out tiles: all eight have 16 rows of 64 bytes.
struct tile_layout {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(tile_layout) == 64, "sparq: the layout of tiles has 64 bytes; a compiler pads it");
alignas(64) inline constexpr tile_layout whole_tiles = {};

/// Sums of products of bytes in tiles: of unsigned X and signed W, or the other way round.
template <bool SignedW>
struct byte_tiles {
  static constexpr std::size_t rows = 16, channels = 16, groups = 16;

  /// While one lives, and is wanted, tiles are laid out. What the thread's tiles held is lost.
  class scope {
   public:
    explicit scope(bool wanted) : wanted_(wanted) {
      if (wanted_) _tile_loadconfig(&whole_tiles);
    }
    ~scope() {
      if (wanted_) _tile_release();
    }
    scope(const scope&) = delete;
    scope& operator=(const scope&) = delete;

   private:
    bool wanted_;
  };

  /// The words of V tiles of channels.
  struct weights {
    const std::uint32_t* words;   // first group of the first tile
    std::size_t next_tile;        // words from one tile to the next
    std::size_t next_group;       // words from one group to the next
    std::size_t count;            // groups, at least 16
    const std::uint32_t* last;    // V tiles behind each other: the last 16 groups, zero where they were added before;
                                  // not read where `count` is a multiple of 16
  };

  /// Sums of 16 R rows by 16 V channels.
  /// - `x`: packed rows, `ldx` bytes apart
  /// - `sums`: `lds` apart, overwritten
  /// @pre a wanted scope lives
  template <std::size_t R, std::size_t V>
  SPARQ_APART static void multiply(const void* x, std::size_t ldx, const weights& w, std::int32_t* sums,
                                   std::size_t lds) noexcept {
    const auto* row = static_cast<const std::byte*>(x);
    const std::uint32_t* words = w.words;
    _tile_zero(0);
    if constexpr (V == 2) _tile_zero(1);
    if constexpr (R == 2) _tile_zero(2);
    if constexpr (R == 2 && V == 2) _tile_zero(3);
    for (std::size_t left = w.count; left >= groups; left -= groups) {
      add<R, V>(row, ldx, words, w.next_tile, w.next_group);
      row += groups * 4;
      words += groups * w.next_group;
    }
    if (const std::size_t left = w.count % groups; left != 0)
      add<R, V>(row - (groups - left) * 4, ldx, w.last, groups * channels, channels);
    _tile_stored(0, sums, lds * 4);
    if constexpr (V == 2) _tile_stored(1, sums + channels, lds * 4);
    if constexpr (R == 2) _tile_stored(2, sums + rows * lds, lds * 4);
    if constexpr (R == 2 && V == 2) _tile_stored(3, sums + rows * lds + channels, lds * 4);
  }

 private:
  // Tiles 0 to 3 are sums, 4 and 5 rows of X, 6 and 7 words; their numbers are part of the instructions. Those that are
  // read no more are zeroed, which takes no time: while another hyperthread works, the fewer tiles are in use, the less
  // an instruction waits for the one before it (docs/decisions/amx.md).
  template <std::size_t R, std::size_t V>
  static SPARQ_INLINE void add(const std::byte* x, std::size_t ldx, const std::uint32_t* words, std::size_t next_tile,
                               std::size_t next_group) {
    _tile_loadd(4, x, ldx);
    _tile_loadd(6, words, next_group * 4);
    if constexpr (V == 2) _tile_loadd(7, words + next_tile, next_group * 4);
    if constexpr (SignedW) {
      _tile_dpbusd(0, 4, 6);
      if constexpr (V == 2) _tile_dpbusd(1, 4, 7);
    } else {
      _tile_dpbsud(0, 4, 6);
      if constexpr (V == 2) _tile_dpbsud(1, 4, 7);
    }
    _tile_zero(4);
    if constexpr (R == 2) {
      _tile_loadd(5, x + rows * ldx, ldx);
      if constexpr (SignedW)
        _tile_dpbusd(2, 5, 6);
      else
        _tile_dpbsud(2, 5, 6);
    }
    _tile_zero(6);
    if constexpr (R == 2 && V == 2) {
      if constexpr (SignedW)
        _tile_dpbusd(3, 5, 7);
      else
        _tile_dpbsud(3, 5, 7);
    }
    if constexpr (R == 2) _tile_zero(5);
    if constexpr (V == 2) _tile_zero(7);
  }
};

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AMX_INT8
