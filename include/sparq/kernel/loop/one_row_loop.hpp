// SPDX-License-Identifier: MIT
#pragma once
// One row of bytes times dense narrow weights, where codes are no factors as they are and a sum of X makes up for the
// difference. X is prepared once; weights are read as panel_loop reads them.
//
//   X as the sums want it, and its sum
//   for each strip of the first half, and one of the second half:    // two long streams of memory
//   or for each strips_at_once strips:                               // as many streams
//     sums of all k's  ->  corrected  ->  epilogue  ->  Y
//
//   struct Sums {
//     static constexpr std::string_view loop_name, access;
//     template <class Code> static constexpr std::string_view atom_name;
//     static constexpr std::size_t word_k;            // k's of a word of W
//     static constexpr std::size_t prepared_bytes;    // of X for so many
//     static constexpr std::size_t least_channels;    // from which on preparing X is worth it
//     static constexpr std::size_t most_k;            // that sums hold
//     static std::int32_t prepare(const Code* x, std::size_t k, std::uint8_t* out);
//                                                  // a sum of X, signed ones 128 greater
//     static void add(const std::uint8_t* prepared, const std::uint32_t* low, const std::uint32_t* high,
//                     std::size_t count, std::int32_t* sums);  // `count` words of each channel of two strips
//     static constexpr std::size_t strips_at_once; // optional: instead of two
//     template <std::size_t S> static void add(const std::uint8_t* prepared, const std::uint32_t* words,
//                     std::size_t count, std::int32_t* sums);  // then S strips, so many or 1, that follow each other
//     static std::uint32_t corrected(std::uint32_t sum, std::uint32_t total);
//   };

#include <sparq/kernel/epilogue/epilogue.hpp>
#include <sparq/kernel/source/source.hpp>
#include <sparq/kernel/work_grid.hpp>
#include <sparq/simd/bits.hpp>
#include <sparq/tensor/packed.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// A row of bytes and dense weights in words of four k's a byte, without scales along k: what loops for one row take.
template <class Packed, class X>
inline constexpr bool meets_words_v = [] {
  if constexpr (sizeof(X) == 1 && !std::is_same_v<X, eight_bits> && requires { typename Packed::k_map; })
    return std::is_same_v<typename Packed::shape_type, panel_shape<16, 4>> &&
           std::is_same_v<typename Packed::k_map, contiguous> && std::is_same_v<typename Packed::row_select, all> &&
           !scales_along_k_v<typename Packed::granularity>;
  else
    return false;
}();

}  // namespace machine

/// One operation with one row; see panel_loop. @pre machine::meets_words_v, y.rows == 1
template <class Sums, class Packed, class Source, class Y, class Epilogue>
class one_row_loop {
 public:
  using x_code = typename Source::element;
  static constexpr std::string_view loop_name() { return Sums::loop_name; }
  static constexpr std::string_view atom_name() { return Sums::template atom_name<x_code>; }
  static std::string x_access() { return std::string(Source::access) + std::string(Sums::access); }

  one_row_loop(const Packed& w, const Source& source, Y y, const Epilogue& stages)
      : w_(w), source_(source), y_(y), stages_(stages), count_(ceil_div(w.shape().k, Sums::word_k)) {}

  /// Whether preparing X is worth its while, and sums hold all k's.
  static bool suits(std::size_t rows, std::size_t n, std::size_t k) {
    return rows == 1 && n >= Sums::least_channels && k <= Sums::most_k;
  }
  static constexpr std::size_t cached_rows() { return 1; }
  std::size_t scratch_bytes(std::size_t) const {
    return prepared_bytes() + (Source::in_memory ? 0 : round_up(w_.shape().k + 64, alignment));
  }

  /// Computes row m0 of the channels in strips [s0, s1). @pre scratch has scratch_bytes(1)
  void run(std::size_t m0, std::size_t m1, std::size_t s0, std::size_t s1, std::byte* scratch) const noexcept {
    if (m0 == m1) return;
    auto* prepared = reinterpret_cast<std::uint8_t*>(scratch);
    auto cursor = source_.start(m0);
    const x_code* x = cursor.next(reinterpret_cast<x_code*>(prepared + prepared_bytes()));
    const std::int32_t total = Sums::prepare(x, w_.shape().k, prepared);
    const auto run = [&](const packed_panel& panel, std::size_t first, std::size_t last) SPARQ_LAMBDA_INLINE {
      if constexpr (requires { Sums::strips_at_once; }) {
        constexpr std::size_t at_once = Sums::strips_at_once;
        for (; last - first >= at_once; first += at_once) run_strips<at_once>(panel, first, m0, prepared, total);
        for (; first < last; ++first) run_strips<1>(panel, first, m0, prepared, total);
      } else {
        const std::size_t half = (last - first + 1) / 2;
        for (std::size_t s = first; s < first + half; ++s)
          run_pair(panel, s, s + half < last ? s + half : s, m0, prepared, total);
      }
    };
    machine::for_strips(w_, s0, s1, run);
  }

 private:
  /// A signed X was made 128 greater.
  static constexpr std::int32_t sum_factor = std::is_signed_v<x_code> ? -128 : 0;

  std::size_t prepared_bytes() const { return round_up(count_ * Sums::prepared_bytes, alignment); }

  /// Two strips of a panel, or one twice.
  SPARQ_APART void run_pair(const packed_panel& panel, std::size_t low, std::size_t high, std::size_t m,
                            const std::uint8_t* prepared, std::int32_t total) const noexcept {
    alignas(alignment) std::int32_t sums[32] = {};
    Sums::add(prepared, words_of(panel, low), words_of(panel, high), count_, sums);
    store<1>(panel, low, m, sums, total);
    if (high != low) store<1>(panel, high, m, sums + 16, total);
  }
  /// S strips that follow each other.
  template <std::size_t S>
  void run_strips(const packed_panel& panel, std::size_t strip, std::size_t m, const std::uint8_t* prepared,
                  std::int32_t total) const noexcept {
    alignas(alignment) std::int32_t sums[16 * S];
    Sums::template add<S>(prepared, words_of(panel, strip), count_, sums);
    store<S>(panel, strip, m, sums, total);
  }

  const std::uint32_t* words_of(const packed_panel& panel, std::size_t strip) const noexcept {
    return w_.words().data() + panel.words + strip * count_ * 16;
  }
  template <std::size_t S>
  void store(const packed_panel& panel, std::size_t strip, std::size_t m, std::int32_t* sums,
             std::int32_t total) const noexcept {
    for (std::size_t i = 0; i < 16 * S; ++i)  // beyond 2^31 as the loops that add products
      sums[i] = static_cast<std::int32_t>(
          Sums::corrected(static_cast<std::uint32_t>(sums[i]), static_cast<std::uint32_t>(total)));
    const std::size_t channels = (std::min)(panel.kept - strip * 16, 16 * S);
    store_tile(sums, 16 * S, 1, channels, sum_factor, y_,
               {m, panel.first_channel + strip * 16, 0, w_.weight_sums().data()}, stages_);
  }

  Packed w_;
  Source source_;
  Y y_;
  Epilogue stages_;
  std::size_t count_ = 0;
};

SPARQ_ABI_END
}  // namespace sparq
