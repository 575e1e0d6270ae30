// SPDX-License-Identifier: MIT
#pragma once
// Few rows of X times codebooks of at most sixteen entries: entries go from the lookup to the multiplication in
// registers, and the codes are all that is read of W.
//
//   for each channel:  for each 32 codes:  entries = lookup(table, codes); sums += entries * x      lanes are k's
//
// s8 takes a vpshufb, f32 one for each byte of an entry, or vpermps of 16 lanes. A sum of floats is sixteen sums that
// are added up at the end, so they round unlike those of more rows.

#include <sparq/kernel/epilogue/epilogue.hpp>
#include <sparq/kernel/loop/look_up.hpp>
#include <sparq/kernel/source/source.hpp>
#include <sparq/kernel/work_grid.hpp>
#include <sparq/simd/narrow/x86_look_up_dot.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace sparq {
SPARQ_ABI_BEGIN

/// Rows of X up to which looking up in registers beats looking up into memory, once for all rows.
inline constexpr std::size_t looked_up_rows = 4;

namespace machine {

/// Whether look_up_loop multiplies X by these weights.
template <class Packed, class X>
inline constexpr bool looks_up_few_rows_v = [] {
  using N = typename Packed::numeric_type;
  if constexpr (SPARQ_HAS_AVX2 && has_tables<N> && requires { typename Packed::k_map; })
    return tables_in_registers_v<N> && std::is_same_v<typename Packed::k_map, contiguous> &&
           std::is_same_v<typename Packed::row_select, all> && !requires { Packed::granularity::group; } &&
           Packed::shape_type::channels == 16 &&
           (N::is_integer ? std::is_integral_v<X> && sizeof(X) == 1 : std::is_same_v<X, float>);
  else
    return false;
}();

}  // namespace machine

#if SPARQ_HAS_AVX2

/// One operation of few rows; see panel_loop, whose packed weights it reads. @pre machine::looks_up_few_rows_v
template <class Packed, class Source, class Y, class Epilogue>
class look_up_loop {
 public:
  using x_code = typename Source::element;
  using numeric_type = typename Packed::numeric_type;
  using entry = typename numeric_type::entry::code;
  using packed_x = std::conditional_t<numeric_type::is_integer, std::uint8_t, float>;
  using acc_type = std::conditional_t<numeric_type::is_integer, std::int32_t, float>;

  look_up_loop(const Packed& w, const Source& source, Y y, const Epilogue& stages)
      : w_(w), source_(source), y_(y), stages_(stages) {}

  static constexpr std::string_view loop_name() { return "rows, looking up"; }
  static constexpr std::string_view atom_name() {
    return numeric_type::is_integer ? "look_up_dot_avx2" : SPARQ_HAS_AVX512 ? "look_up_fma_avx512" : "look_up_fma_avx2";
  }
  static std::string x_access() {
    return std::string(Source::access) + (numeric_type::is_integer ? "cut into halves of a byte" : "copied");
  }

  static constexpr std::size_t cached_rows() { return looked_up_rows; }

  std::size_t scratch_bytes(std::size_t m) const {
    return m * row_stride() * sizeof(packed_x) + round_up((w_.shape().k + 64) * sizeof(x_code), alignment);
  }

  /// Computes rows [m0, m1) of the channels in strips [s0, s1).
  /// @pre scratch has scratch_bytes(m1 - m0), m1 - m0 <= looked_up_rows
  void run(std::size_t m0, std::size_t m1, std::size_t s0, std::size_t s1, std::byte* scratch) const noexcept {
    const std::size_t rows = m1 - m0;
    auto* x = reinterpret_cast<packed_x*>(scratch);
    pack_x(m0, rows, x, reinterpret_cast<x_code*>(scratch + rows * row_stride() * sizeof(packed_x)));
    machine::for_strips(w_, s0, s1,
                        [&](const packed_panel& panel, std::size_t s, std::size_t last) SPARQ_LAMBDA_INLINE {
                          if constexpr (numeric_type::is_integer)
                            if (rows == 1) return run_one_row(panel, s, last, m0, x);
                          for (; s < last; ++s) {
                            const std::size_t first = s * 16;
                            alignas(alignment) acc_type tile[looked_up_rows * 16] = {};
                            multiply_rows(panel, first, rows, x, tile, std::make_index_sequence<looked_up_rows>{});
                            store(panel, first, rows, m0, tile);
                          }
                        });
  }

 private:
  /// A signed X was made 128 greater.
  static constexpr std::int32_t sum_factor = std::is_same_v<x_code, std::int8_t> ? -128 : 0;

  /// Elements from one row of packed X to the next: bytes in two halves.
  std::size_t row_stride() const { return round_up(w_.shape().k, 64) * (numeric_type::is_integer ? 2 : 1); }

  void store(const packed_panel& panel, std::size_t first, std::size_t rows, std::size_t m,
             const acc_type* tile) const noexcept {
    store_tile(tile, 16, rows, (std::min)(std::size_t{16}, panel.kept - first), sum_factor, y_,
               lane_position{m, panel.first_channel + first, 0, w_.weight_sums().data()}, stages_);
  }

  /// One row meets a channel of the first half of the strips and one of the second at once: two long streams of memory.
  void run_one_row(const packed_panel& panel, std::size_t s, std::size_t last, std::size_t m,
                   const packed_x* x) const noexcept {
    const std::size_t half = (last - s + 1) / 2;
    for (const std::size_t end = s + half; s < end; ++s) {
      const std::size_t low = s * 16, high = (s + half < last ? s + half : last) * 16;
      const std::size_t of_low = (std::min)(std::size_t{16}, panel.kept - low);
      const std::size_t of_high = s + half < last ? (std::min)(std::size_t{16}, panel.kept - high) : 0;
      alignas(alignment) acc_type tile[32] = {};
      for (std::size_t c = 0; c < of_low; ++c)
        if (c < of_high)
          add_channels<1, 2>({low + c, high + c}, panel, x, tile + c);
        else
          add_channels<1, 1>({low + c}, panel, x, tile + c);
      store(panel, low, 1, m, tile);
      if (of_high != 0) store(panel, high, 1, m, tile + 16);
    }
  }

  void pack_x(std::size_t m, std::size_t rows, packed_x* x, x_code* gathered) const noexcept {
    const std::size_t k = w_.shape().k;
    auto cursor = source_.start(m);
    for (std::size_t r = 0; r < rows; ++r, x += row_stride()) {
      const x_code* row = cursor.next(gathered);
      std::memset(x, 0, row_stride() * sizeof(packed_x));
      machine::split_row<detail::codebook_row<numeric_type>::bits>(row, k, x);
    }
  }

  template <std::size_t... I>
  void multiply_rows(const packed_panel& panel, std::size_t first, std::size_t rows, const packed_x* x, acc_type* tile,
                     std::index_sequence<I...>) const noexcept {
    ((rows == I + 1 ? multiply<I + 1>(panel, first, x, tile) : void()), ...);
  }
  template <std::size_t R>
  void multiply(const packed_panel& panel, std::size_t first, const packed_x* x, acc_type* tile) const noexcept {
    using row_type = detail::codebook_row<numeric_type>;
    using shape = typename Packed::shape_type;
    const std::size_t places = panel.groups * shape::group_k;
    const std::uint32_t* words = w_.words().data() + panel.words + first * row_type::words(places);
#if SPARQ_HAS_AVX512
    if constexpr (!numeric_type::is_integer) {  // chains of sums enough to keep the multiplications busy
      constexpr std::size_t together = R == 1 ? 4 : R < 4 ? 2 : 1;
      const std::size_t channels = (std::min)(std::size_t{16}, panel.kept - first);
      std::size_t c = 0;
      for (; c + together <= channels; c += together) add_channels<R, together>(panel, first, c, words, x, tile);
      for (; c < channels; ++c) add_channels<R, 1>(panel, first, c, words, x, tile);
      return;
    }
#endif
    for (std::size_t c = 0; c < 16 && first + c < panel.kept; ++c, words += row_type::words(places))
      if constexpr (numeric_type::is_integer)
        add_channels<R, 1>({first + c}, panel, x, tile + c);
      else if constexpr (!SPARQ_HAS_AVX512)
        machine::look_up_fma<numeric_type, row_type::bits, R>(
            reinterpret_cast<const std::uint8_t*>(words), table_of(panel, first + c), ceil_div(places, row_type::chunk),
            x, row_stride(), tile + c);
  }

  const entry* table_of(const packed_panel& panel, std::size_t channel) const noexcept {
    return w_.tables() + table_start<numeric_type>(w_.channel_of(panel, channel), 0, w_.shape().k);
  }

  /// C channels of bytes; their sums go to tile[0], tile[16].
  template <std::size_t R, std::size_t C>
  void add_channels(const std::array<std::size_t, C>& channels, const packed_panel& panel, const packed_x* x,
                    acc_type* tile) const noexcept {
    using row_type = detail::codebook_row<numeric_type>;
    const std::size_t places = panel.groups * Packed::shape_type::group_k;
    std::array<const std::uint8_t*, C> codes;
    std::array<const entry*, C> tables;
    for (std::size_t i = 0; i < C; ++i) {
      codes[i] = reinterpret_cast<const std::uint8_t*>(w_.words().data() + panel.words +
                                                       channels[i] * row_type::words(places));
      tables[i] = table_of(panel, channels[i]);
    }
    machine::look_up_dot<numeric_type, row_type::bits, R, C>(codes, tables, ceil_div(places, row_type::chunk), x,
                                                             row_stride(), tile);
  }

#if SPARQ_HAS_AVX512
  /// C channels from `first` + c on; `words`: of channel `first`.
  template <std::size_t R, std::size_t C>
  void add_channels(const packed_panel& panel, std::size_t first, std::size_t c, const std::uint32_t* words,
                    const packed_x* x, acc_type* tile) const noexcept {
    using row_type = detail::codebook_row<numeric_type>;
    const std::size_t k = w_.shape().k;
    const std::size_t row_bytes =
        row_type::words(panel.groups * Packed::shape_type::group_k) * sizeof(std::uint32_t);
    const std::uint8_t* codes[C];
    const entry* tables[C];
    for (std::size_t i = 0; i < C; ++i) {
      codes[i] = reinterpret_cast<const std::uint8_t*>(words) + (c + i) * row_bytes;
      tables[i] = table_of(panel, first + c + i);
    }
    machine::look_up_fma<numeric_type, row_type::bits, R, C>(codes, tables, k, x, row_stride(), C * row_bytes,
                                                             tile + c);
  }
#endif

  Packed w_;
  Source source_;
  Y y_;
  Epilogue stages_;
};

#else

template <class Packed, class Source, class Y, class Epilogue>
class look_up_loop;

#endif  // SPARQ_HAS_AVX2

SPARQ_ABI_END
}  // namespace sparq
