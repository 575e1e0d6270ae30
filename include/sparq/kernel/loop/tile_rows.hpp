// SPDX-License-Identifier: MIT
#pragma once
// Blocks of the rows loop that are multiplied in tiles, where the atom has them: two tiles of rows by two of channels.
// Tiles are whole: the last block of rows begins as early as it must, and what it multiplies twice is not stored again.

#include <sparq/base/amx.hpp>
#include <sparq/kernel/loop/rows.hpp>
#include <sparq/kernel/loop/scaled_rows.hpp>
#include <sparq/simd/rows/sum_scaling.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Whether an atom's products of bytes can run in tiles.
template <class Atom>
inline constexpr bool has_tiles_v = requires { typename Atom::tiles; };

/// Tiles are laid out while one lives, if they are wanted; where the atom has none, nothing.
template <class Atom>
struct tile_scope {
  explicit tile_scope(bool) {}
};
template <class Atom>
  requires has_tiles_v<Atom>
struct tile_scope<Atom> : Atom::tiles::scope {
  using Atom::tiles::scope::scope;
};

}  // namespace machine

/// Whether scales are those of channels, or of so many k's that only their last ones fill no tile.
template <class Granularity>
inline constexpr bool scales_fill_tiles_v = true;
template <class Granularity>
  requires scales_along_k_v<Granularity>
inline constexpr bool scales_fill_tiles_v<Granularity> = Granularity::group % 64 == 0;

/// Rows that are multiplied together, some of which may have been before.
struct tile_rows {
  std::size_t first;  // row
  std::size_t tiles;  // 1 or 2
  std::size_t known;  // rows at the beginning that were multiplied before

  /// Rows of one tile and of two, and groups of four k's that fill a tile.
  static constexpr std::size_t least = 16, tallest = 32, least_groups = 16;

  std::size_t height() const { return tiles * least; }
  std::size_t end() const { return first + height(); }

  /// Those that begin with row r of `rows`. @pre rows >= least, r < rows
  static tile_rows at(std::size_t r, std::size_t rows) {
    const std::size_t tiles = rows >= tallest && rows - r > least ? 2 : 1;
    const std::size_t first = (std::min)(r, rows - tiles * least);
    return {first, tiles, r - first};
  }
};

/// The weights of one block of channels, a register or two, as tiles.
template <class Atom, class Shape>
class tile_block {
  using tiles = typename Atom::tiles;
  using block = machine::block_register<Atom, Shape>;
  using packed_x = typename Atom::packed_x;

 public:
  /// Words of scratch for each register of channels.
  static constexpr std::size_t last_words = tiles::groups * tiles::channels;

  /// - `registers`: 1 or 2
  /// - `last`: that many times last_words, which outlive it
  /// - `fills`: whether `last` is written; otherwise another block has written it for the same weights
  tile_block(const block_weights& w, std::size_t registers, std::uint32_t* last, bool fills = true)
      : registers_(registers) {
    const std::size_t left = w.groups % tiles::groups, apart = block::strip(1) * w.strip_words + block::lane(1);
    words_ = {w.words, apart, Shape::channels, w.groups, last};
    if (left == 0 || !fills) return;
    for (std::size_t j = 0; j < registers; ++j, last += last_words) {
      const std::uint32_t* from = w.words + j * apart + (w.groups - left) * Shape::channels;
      std::memset(last, 0, (tiles::groups - left) * tiles::channels * sizeof *last);
      for (std::size_t g = tiles::groups - left; g < tiles::groups; ++g, from += Shape::channels)
        std::memcpy(last + g * tiles::channels, from, tiles::channels * sizeof *last);
    }
  }

  /// Sums of the rows, all of them. - `x`: row 0, `ldx` elements apart; `sums`: of the first of the rows
  void multiply(const packed_x* x, std::size_t ldx, const tile_rows& rows, std::int32_t* sums,
                std::size_t lds) const noexcept {
    multiply(words_, x, ldx, rows, sums, lds);
  }

  /// The same where scales run along k: the sums of each segment are scaled and added to floats, with the roundings of
  /// scaled_rows.hpp. @pre all segments but the last fill tiles
  void multiply_scaled(const packed_x* x, std::size_t ldx, const tile_rows& rows, const block_scales& scales,
                       float* sums, std::size_t lds) const noexcept {
    constexpr std::size_t channels = 2 * tiles::channels;
    alignas(alignment) std::int32_t segment[tile_rows::tallest * channels];
    for (std::size_t r = 0; r < rows.height(); ++r) std::fill_n(sums + r * lds, registers_ * Atom::lanes, 0.0F);
    auto words = words_;
    for (std::size_t s = 0, at = 0; s < scales.count; ++s, at += Shape::channels, x += scales.segment_k) {
      words.count = scales.segments[s];
      if (words.count == 0) continue;
      multiply(words, x, ldx, rows, segment, channels);
      for (std::size_t j = 0; j < registers_; ++j) {
        const std::size_t place = at + block::strip(j) * scales.strip + block::lane(j), lane = j * Atom::lanes;
        typename Atom::acc start;
        machine::start_sums(start, scales.sums + place, scales.factor);
        const auto of_channels = machine::load_scales(start, scales.scales + place);
        for (std::size_t r = 0; r < rows.height(); ++r)
          machine::add_scaled(sums + r * lds + lane, machine::plus_sums(start, segment + r * channels + lane),
                              of_channels);
      }
      words.words += words.count * Shape::channels;
    }
  }

 private:
  void multiply(const typename tiles::weights& words, const packed_x* x, std::size_t ldx, const tile_rows& rows,
                std::int32_t* sums, std::size_t lds) const noexcept {
    const auto run = [&]<std::size_t R, std::size_t V>() {
      tiles::template multiply<R, V>(x + rows.first * ldx, ldx * sizeof *x, words, sums, lds);
    };
    if (rows.tiles == 2)
      registers_ == 2 ? run.template operator()<2, 2>() : run.template operator()<2, 1>();
    else
      registers_ == 2 ? run.template operator()<1, 2>() : run.template operator()<1, 1>();
  }

  typename tiles::weights words_;
  std::size_t registers_;
};

SPARQ_ABI_END
}  // namespace sparq
