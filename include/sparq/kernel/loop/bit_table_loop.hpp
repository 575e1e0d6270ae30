// SPDX-License-Identifier: MIT
#pragma once
// Many rows of bits times planes of bits, where the CPU counts by looking up (simd/narrow/x86_avx2_bit_tables.hpp):
// X becomes tables when it is packed, W nibbles for all rows that are packed together, and both meet in the first-level
// cache.
//
//   for each block of rows:                       // tables of X in the second-level cache
//     for each few strips:                        // nibbles of W
//       for each part of the k's:                 // as many as bytes count
//         for each 8 rows: for each two strips:   counts += ...
//       epilogue -> Y

#include <sparq/kernel/epilogue/epilogue.hpp>
#include <sparq/kernel/source/source.hpp>
#include <sparq/kernel/work_grid.hpp>
#include <sparq/simd/narrow/x86_avx2_bit_tables.hpp>
#include <sparq/tensor/packed.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

/// Rows of X from which on tables of them are worth making, for each plane of W.
inline constexpr std::size_t bit_table_rows = 8;

namespace machine {

/// Whether bit_table_loop multiplies X by these weights.
template <class Packed, class X>
inline constexpr bool counts_by_tables_v = [] {
  if constexpr (SPARQ_HAS_AVX2 && !SPARQ_HAS_AVX512VPOPCNTDQ && std::is_same_v<X, eight_bits> &&
                requires { typename Packed::k_map; })
    return Packed::shape_type::group_k == 32 && !std::is_same_v<typename Packed::k_map, runs> &&
           !std::is_same_v<typename Packed::k_map, list> && !scales_along_k_v<typename Packed::granularity>;
  else
    return false;
}();

}  // namespace machine

#if SPARQ_HAS_AVX2

/// One operation; see panel_loop, whose packed weights it reads. @pre machine::counts_by_tables_v
template <class Packed, class Source, class Y, class Epilogue>
class bit_table_loop {
 public:
  using numeric_type = typename Packed::numeric_type;
  using counts = machine::bit_counts<numeric_type>;
  static constexpr std::string_view atom_name() {
    if (counts::planes == 1) return "popcnt4_b1b1_avx2";
    return counts::is_sign           ? "popcnt4_b1ternary_avx2"
           : numeric_type::is_signed ? "popcnt4_b1s2_avx2"
                                     : "popcnt4_b1u2_avx2";
  }
  static std::string x_access() { return std::string(Source::access) + "made into tables of two rows"; }

  bit_table_loop(const Packed& w, const Source& source, Y y, const Epilogue& stages)
      : w_(w), source_(source), y_(y), stages_(stages) {
    const std::size_t lookups = ceil_div(w.shape().k, std::size_t{32}) * counts::word_lookups;
    fields_ = ceil_div(lookups, counts::field_lookups);
    cached_rows_ = (std::max)(x_bytes / (std::max)(table_bytes(), std::size_t{1}) / 4, std::size_t{1}) * 8;
  }

  /// Whether there are enough rows to make tables of, and 16 bits hold the counts.
  static constexpr bool suits(std::size_t rows, std::size_t k) {
    return rows >= bit_table_rows * counts::planes && k < 21000;
  }

  static constexpr std::string_view loop_name() { return "rows, counting by tables"; }
  std::size_t cached_rows() const { return cached_rows_; }

  std::size_t scratch_bytes(std::size_t m) const {
    const std::size_t rows = rows_together(m);
    return tables_bytes(m) + pairs * nibble_bytes() + rows * channels * sizeof(std::uint16_t) + 8 * row_bytes() +
           gathered_bytes();
  }

  /// Computes rows [m0, m1) of the channels in strips [s0, s1). @pre scratch has scratch_bytes(m1 - m0)
  void run(std::size_t m0, std::size_t m1, std::size_t s0, std::size_t s1, std::byte* scratch) const noexcept {
    auto* tables = reinterpret_cast<std::uint8_t*>(scratch);
    auto* nibbles = tables + tables_bytes(m1 - m0);
    auto* sums = reinterpret_cast<std::uint16_t*>(nibbles + pairs * nibble_bytes());
    auto* buffers = reinterpret_cast<eight_bits*>(sums + rows_together(m1 - m0) * channels);
    for (std::size_t m = m0; m < m1; m += cached_rows_) {
      const std::size_t rows = (std::min)(cached_rows_, m1 - m);
      pack_rows(m, rows, tables, buffers);
      const auto run = [&](const packed_panel& panel, std::size_t s, std::size_t last) SPARQ_LAMBDA_INLINE {
        for (; s < last; s += 2 * pairs)
          run_strips(panel, s, (std::min)(last, s + 2 * pairs), m, rows, tables, nibbles, sums);
      };
      machine::for_strips(w_, s0, s1, run);
    }
  }

 private:
  /// Two strips each, that are multiplied one after the other by the same tables.
  static constexpr std::size_t pairs = 4;
  static constexpr std::size_t channels = 32 * pairs;
  static constexpr std::size_t x_bytes = 256 * 1024;

  std::size_t lookups() const { return fields_ * counts::field_lookups; }
  std::size_t table_bytes() const { return lookups() * 16; }  // of two rows
  std::size_t nibble_bytes() const { return round_up(lookups() * 32, alignment); }
  std::size_t row_bytes() const { return round_up(w_.shape().k / 8 + 4, alignment); }  // whole registers
  std::size_t gathered_bytes() const { return Source::in_memory ? 0 : round_up(w_.shape().k / 8 + 64, alignment); }
  std::size_t tables_bytes(std::size_t m) const { return round_up(rows_together(m) / 2 * table_bytes(), alignment); }
  std::size_t rows_together(std::size_t m) const { return round_up((std::min)(m, cached_rows_), std::size_t{2}); }

  void pack_rows(std::size_t m, std::size_t rows, std::uint8_t* tables, eight_bits* buffers) const noexcept {
    const std::size_t k = w_.shape().k, bytes = ceil_div(k, std::size_t{32}) * 4;
    auto cursor = source_.start(m);
    for (std::size_t r = 0; r < rows; r += 8) {
      std::memset(buffers, 0, 8 * row_bytes());
      for (std::size_t i = 0; i < (std::min)(rows - r, std::size_t{8}); ++i)
        copy_bits(cursor.next(buffers + 8 * row_bytes()), k, buffers + i * row_bytes());
      const std::size_t row_pairs = pairs_of(rows - r);
      for_pairs(row_pairs, [&](auto together) {
        machine::make_bit_tables<numeric_type, together>(buffers, row_bytes(), bytes, tables);
      });
      const std::size_t made = bytes * 2 * counts::planes;
      std::memset(tables + made * 16 * row_pairs, 0, (lookups() - made) * 16 * row_pairs);
      tables += lookups() * 16 * row_pairs;
    }
  }
  /// Of the next block, if so many rows are left.
  static std::size_t pairs_of(std::size_t rows) { return (std::min)(ceil_div(rows, std::size_t{2}), std::size_t{4}); }
  template <class F>
  static void for_pairs(std::size_t row_pairs, F f) {
    if (row_pairs == 4) return f(std::integral_constant<std::size_t, 4>{});
    if (row_pairs == 3) return f(std::integral_constant<std::size_t, 3>{});
    if (row_pairs == 2) return f(std::integral_constant<std::size_t, 2>{});
    f(std::integral_constant<std::size_t, 1>{});
  }

  void run_strips(const packed_panel& panel, std::size_t first, std::size_t last, std::size_t m, std::size_t rows,
                  const std::uint8_t* tables, std::uint8_t* nibbles, std::uint16_t* sums) const noexcept {
    const std::size_t together = ceil_div(last - first, std::size_t{2});
    for (std::size_t j = 0; j < together; ++j) split_strips(panel, first + 2 * j, last, nibbles + j * nibble_bytes());
    const std::size_t kept = (std::min)(static_cast<std::size_t>(panel.kept), last * 16);
    std::size_t field = 0;
    do {
      const std::size_t part = (std::min)(counts::part_fields, fields_ - field);
      for (std::size_t r = 0; r < rows; r += 8, sums += 8 * channels) {
        const std::size_t height = (std::min)(rows - r, std::size_t{8}), row_pairs = pairs_of(height);
        const lane_position at{m + r, panel.first_channel + first * 16, 0, w_.weight_sums().data()};
        const bool is_last = field + part == fields_;
        if constexpr (requires { y_.prefetch(m, height, first, kept); })
          if (is_last) y_.prefetch(at.row, height, at.channel, kept - first * 16);
        const std::uint8_t* x = tables + (r / 2 * lookups() + field * counts::field_lookups * row_pairs) * 16;
        for (std::size_t j = 0; j < together; ++j)
          for_pairs(row_pairs, [&](auto of_rows) {
            machine::count_by_tables<counts::field_lookups, of_rows>(
                x, nibbles + j * nibble_bytes() + field * counts::field_lookups * 32, part, field == 0, sums + 32 * j,
                channels);
          });
        if (is_last) store(sums, height, kept - first * 16, at);
      }
      sums -= ceil_div(rows, std::size_t{8}) * 8 * channels;
      field += part;
    } while (field < fields_);
  }

  void store(const std::uint16_t* sums, std::size_t rows, std::size_t count, lane_position at) const noexcept {
    const auto offset = static_cast<std::int32_t>(ceil_div(w_.shape().k, std::size_t{32}) * 8) * counts::offset * 2;
    for (std::size_t c = 0; c < count; c += 16, at.channel += 16) {
      alignas(alignment) std::int32_t tile[8 * 16];
      for (std::size_t i = 0; i < rows; ++i) machine::sums_of_counts(sums + i * channels + c, offset, tile + 16 * i);
      store_tile(tile, 16, rows, (std::min)(count - c, std::size_t{16}), 1, y_, at, stages_);
    }
  }

  /// Strips `strip` and the next, if that is one before `last`.
  void split_strips(const packed_panel& panel, std::size_t strip, std::size_t last,
                    std::uint8_t* nibbles) const noexcept {
    using shape = typename Packed::shape_type;
    const std::size_t words = strip_words<numeric_type, shape>(panel.groups);
    const std::uint32_t* low = w_.words().data() + panel.words + strip * words;
    const std::uint32_t* high = strip + 1 < last ? low + words : low;
    for (std::size_t g = 0; g < panel.groups; ++g) {
      machine::split_bit_word<numeric_type>(low, high, nibbles);
      low += 16 * counts::planes;
      high += 16 * counts::planes;
      nibbles += 32 * counts::word_lookups;
    }
    std::memset(nibbles, 0, 32 * (lookups() - panel.groups * counts::word_lookups));
  }

  Packed w_;
  Source source_;
  Y y_;
  Epilogue stages_;
  std::size_t fields_ = 0;
  std::size_t cached_rows_ = 0;
};

#else

template <class Packed, class Source, class Y, class Epilogue>
class bit_table_loop;

#endif  // SPARQ_HAS_AVX2

SPARQ_ABI_END
}  // namespace sparq
