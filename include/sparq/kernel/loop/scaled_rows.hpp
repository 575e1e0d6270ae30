// SPDX-License-Identifier: MIT
#pragma once
// The `rows` loop where scales run along k: a block's sums of one segment are converted, scaled and added to floats in
// the first-level cache, then the next segment follows. Atoms whose sums are full before a segment ends add the parts
// up in memory; the last part goes from registers straight to the floats.
//
//   for each segment:
//     for each part of it:   acc = dot(...)                                // rows.hpp
//       not the last:        whole = sums(acc) + (whole, or factor * sums of the weights)
//       the last:            tile += float(sums(acc) + (the same)) * scale

#include <sparq/base/memory.hpp>
#include <sparq/base/schedule.hpp>
#include <sparq/kernel/loop/rows.hpp>
#include <sparq/simd/rows/sum_scaling.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

namespace sparq {
SPARQ_ABI_BEGIN

/// Scales along k of one block, in the order in which the loop meets them.
struct block_scales {
  const index_t* segments = nullptr;   // groups of every segment of the panel
  std::size_t count = 0;               // of segments
  std::size_t segment_k = 0;           // k's of a segment
  const float* scales = nullptr;       // of the first segment, first channel of the block
  const std::int32_t* sums = nullptr;  // of the weights, in the same order; integers only
  std::size_t strip = 0;               // from one strip to the next
  bool adds = false;                   // to what the tile holds
  std::int32_t factor = 0;             // true sum = accumulator + factor * (sum of the segment's weights)

  /// Those of packed weights from place `first` of their scales on; segments are the caller's to set.
  template <class Packed>
  static block_scales of(const Packed& w, std::size_t first, std::size_t strip, std::int32_t factor) {
    block_scales result;
    result.segment_k = Packed::granularity::group;
    result.scales = w.scales().data() + first;
    result.sums = w.weight_sums().data() + (Packed::numeric_type::is_integer ? first : 0);
    result.strip = strip;
    result.factor = factor;
    return result;
  }
  /// Those from another channel of the block on, in strips of `channels`, for weights of N.
  template <numeric N>
  block_scales from(std::size_t channel, std::size_t channels) const {
    const std::size_t ahead = channel / channels * strip + channel % channels;
    block_scales part = *this;
    part.scales += ahead;
    if constexpr (N::is_integer) part.sums += ahead;
    return part;
  }
};

namespace machine {

/// Adds one segment of R x V registers, groups [first, w.groups), to floats, scaled.
/// - `sums`, `scales`: of the segment, first channel of the block
template <class Atom, numeric N, class Shape, class KMap, class RowSelect, std::size_t R, std::size_t V>
SPARQ_INLINE void add_segment(const typename Atom::packed_x* x, std::size_t ldx, const block_weights& w,
                              std::size_t first, const block_scales& all, const std::int32_t* sums, const float* scales,
                              float* tile, std::size_t ldt) {
  using block = block_register<Atom, Shape>;
  const auto place = [&](std::size_t j) { return block::strip(j) * all.strip + block::lane(j); };
  typename Atom::acc acc[R][V];
  const auto start_from_sums = [&]() SPARQ_LAMBDA_INLINE {
    SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) {
      typename Atom::acc start = Atom::zero();
      start_sums(start, sums + place(j), all.factor);
      SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
        acc[r][j] = start;
        keep_register(acc[r][j]);
      }
    }
  };
  if constexpr (requires { clear_register(acc[0][0]); }) {
    if (all.factor == 0) {
      SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
        SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) clear_register(acc[r][j]);
      }
    } else {
      start_from_sums();
    }
  } else {
    start_from_sums();
  }
  add_groups<Atom, N, Shape, KMap, RowSelect, R, V>(acc, x, ldx, w, w.words, first, w.groups);
  SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {  // gcc copies registers inside the loop otherwise
    SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) keep_register(acc[r][j]);
  }
  SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) {
    const auto scale = load_scales(acc[0][j], scales + place(j));
    SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) add_scaled(tile + r * ldt + j * Atom::lanes, acc[r][j], scale);
  }
}

/// Atoms whose registers hold something else than the sums of 32 bits that are scaled,
/// or fill up before a segment ends.
template <class Atom>
inline constexpr bool adds_in_parts = std::is_same_v<typename Atom::acc_type, std::int32_t> &&
                                      (groups_at_once<Atom> != 0 ||
                                       requires(typename Atom::acc acc) { Atom::sums(acc); });

/// The same for such an atom.
template <class Atom, numeric N, class Shape, class KMap, class RowSelect, std::size_t R, std::size_t V>
SPARQ_INLINE void add_segment_in_parts(const typename Atom::packed_x* x, std::size_t ldx, const block_weights& w,
                                       std::size_t first, const block_scales& all, const std::int32_t* sums,
                                       const float* scales, float* tile, std::size_t ldt) {
  using block = block_register<Atom, Shape>;
  using whole_type = decltype(whole_sums<Atom>(std::declval<typename Atom::acc>()));
  constexpr std::size_t channels = V * Atom::lanes;
  constexpr std::size_t loaded = Atom::template loader<N>::groups;
  const auto place = [&](std::size_t j) { return block::strip(j) * all.strip + block::lane(j); };
  alignas(64) std::int32_t start[channels], whole[R * channels];
  SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) {
    whole_type from_zero_points;
    start_sums(from_zero_points, sums + place(j), all.factor);
    store_sums(start + j * Atom::lanes, from_zero_points);
  }
  const std::int32_t* before = start;  // what a part's sums are added to, and from one row of it to the next
  std::size_t ldb = 0;
  const std::uint32_t* words = w.words;
  for (;;) {
    const std::size_t end = end_of_part<Atom, loaded>(first, w.groups);
    typename Atom::acc acc[R][V];
    SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
      SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) acc[r][j] = Atom::zero();
    }
    add_groups<Atom, N, Shape, KMap, RowSelect, R, V>(acc, x, ldx, w, words, first, end);
    const auto sum = [&](std::size_t r, std::size_t j) SPARQ_LAMBDA_INLINE {
      return plus_sums(whole_sums<Atom>(acc[r][j]), before + r * ldb + j * Atom::lanes);
    };
    if (end == w.groups) {
      SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) {
        const auto scale = load_scales(whole_type{}, scales + place(j));
        SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) add_scaled(tile + r * ldt + j * Atom::lanes, sum(r, j), scale);
      }
      return;
    }
    SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
      SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) store_sums(whole + r * channels + j * Atom::lanes, sum(r, j));
    }
    before = whole;
    ldb = channels;
    words += (end - first) / loaded * turn_words<Atom, N, Shape>;
    first = end;
  }
}

/// The same for an atom whose sums are wider than its registers' and hold the parts of a long segment.
template <class Atom, numeric N, class Shape, class KMap, class RowSelect, std::size_t R, std::size_t V>
SPARQ_INLINE void add_long_segment(const typename Atom::packed_x* x, std::size_t ldx, const block_weights& w,
                                   std::size_t first, const block_scales& all, const std::int32_t* sums,
                                   const float* scales, float* tile, std::size_t ldt) {
  constexpr std::size_t channels = V * Atom::lanes;
  constexpr std::size_t loaded = Atom::template loader<N>::groups;
  alignas(64) typename Atom::acc_type whole[R * channels] = {};
  const std::uint32_t* words = w.words;
  for (std::size_t end = first; first < w.groups; first = end) {
    end = end_of_part<Atom, loaded>(first, w.groups);
    typename Atom::acc acc[R][V];
    SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
      SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) acc[r][j] = Atom::zero();
    }
    add_groups<Atom, N, Shape, KMap, RowSelect, R, V>(acc, x, ldx, w, words, first, end);
    SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
      SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) Atom::add(whole + r * channels + j * Atom::lanes, acc[r][j]);
    }
    words += (end - first) / loaded * turn_words<Atom, N, Shape>;
  }
  for (std::size_t r = 0; r < R; ++r)
    for (std::size_t c = 0; c < channels; ++c) {
      const std::size_t at = c / Shape::channels * all.strip + c % Shape::channels;
      const auto sum = whole[r * channels + c] + static_cast<typename Atom::acc_type>(all.factor) * sums[at];
      tile[r * ldt + c] = multiply_add_once(static_cast<float>(sum), scales[at], tile[r * ldt + c]);
    }
}

/// Whether registers hold the products of a segment together with `factor` times the sums of its weights.
template <class Atom>
constexpr bool segment_fits(std::size_t groups, std::int32_t factor) {
  if constexpr (groups_at_once<Atom> == 0) {
    return true;
  } else {  // an x less its zero point is as if X were so much larger
    constexpr auto largest_x = -std::int64_t{(std::numeric_limits<typename Atom::x_code>::min)()};
    const std::int64_t factor_size = factor < 0 ? -std::int64_t{factor} : factor;
    return groups * static_cast<std::uint64_t>(largest_x + factor_size) <=
           groups_at_once<Atom> * std::uint64_t{largest_x};
  }
}

}  // namespace machine

/// Multiplies R rows of X by V registers of channels whose scales run along k: the sums of a segment are scaled and
/// added in float, segment by segment.
/// - `tile`: R x (V * lanes) floats, `ldt` elements apart, overwritten unless the scales say `adds`
template <class Atom, numeric N, class Shape, class KMap, class RowSelect, std::size_t R, std::size_t V>
SPARQ_APART void scaled_rows_block(const typename Atom::packed_x* x, std::size_t ldx, block_weights w,
                                   const block_scales& scales, float* tile, std::size_t ldt) noexcept {
  using reader = machine::x_reader<Atom, KMap, RowSelect>;
  using window = typename reader::window;
  SPARQ_ALIGN_FRAME;
  constexpr std::size_t channels = V * Atom::lanes;
  alignas(alignment) float total[R * channels] = {};  // of constant strides: no register holds addresses
  if (scales.adds)
    for (std::size_t r = 0; r < R; ++r) std::copy_n(tile + r * ldt, channels, total + r * channels);
  std::size_t at = 0;     // of the segment's scales in a strip
  std::size_t first = 0;  // group; positions that each channel has for itself share bytes, so groups count through
  SPARQ_KEEP_LOOP for (std::size_t s = 0; s < scales.count; ++s, at += Shape::channels) {
    const std::size_t groups = scales.segments[s];
    if (groups == 0) continue;
    w.groups = first + groups;
    const std::int32_t* sums = scales.sums + (N::is_integer ? at : 0);
    const float* factors = scales.scales + at;
    if constexpr (machine::adds_in_parts<Atom>) {
      machine::add_segment_in_parts<Atom, N, Shape, KMap, RowSelect, R, V>(x, ldx, w, first, scales, sums, factors,
                                                                           total, channels);
    } else {
      if (machine::segment_fits<Atom>(groups, scales.factor))
        machine::add_segment<Atom, N, Shape, KMap, RowSelect, R, V>(x, ldx, w, first, scales, sums, factors, total,
                                                                    channels);
      else if constexpr (machine::groups_at_once<Atom> != 0)
        machine::add_long_segment<Atom, N, Shape, KMap, RowSelect, R, V>(x, ldx, w, first, scales, sums, factors, total,
                                                                         channels);
    }
    w.words += groups / groups_per_word_v<N, Shape> * machine::turn_words<Atom, N, Shape>;
    if constexpr (reader::is_private) {
      first += groups;
    } else {
      if constexpr (reader::is_runs) w.addresses += groups;
      if constexpr (reader::is_shared) w.selects += groups * Atom::group_k;
      if constexpr (std::is_same_v<KMap, list>)
        x += machine::packed_elements<Atom>(groups / window::groups * window::window);
      else if constexpr (!reader::is_runs)
        x += machine::packed_elements<Atom>(scales.segment_k);
    }
  }
  for (std::size_t r = 0; r < R; ++r) std::copy_n(total + r * channels, channels, tile + r * ldt);
}

/// scaled_rows_block for a height that is known at run time. @pre rows is one of next_block_height's values
template <class Atom, numeric N, class Shape, class KMap, class RowSelect, std::size_t V>
void scaled_rows_block(std::size_t rows, const typename Atom::packed_x* x, std::size_t ldx, const block_weights& w,
                       const block_scales& scales, float* tile, std::size_t ldt) noexcept {
  machine::for_block_height<Atom>(rows, [&](auto height) SPARQ_LAMBDA_INLINE {
    scaled_rows_block<Atom, N, Shape, KMap, RowSelect, height, V>(x, ldx, w, scales, tile, ldt);
  });
}

SPARQ_ABI_END
}  // namespace sparq
