// SPDX-License-Identifier: MIT
#pragma once
// One row of bytes times weights of -1 and 1, where sums are looked up by the bits of W (simd/x86_avx2_sign_tables.hpp). X
// becomes tables once, of 8 bytes for each k; weights are read as panel_loop reads them.
//
//   tables of X                                   // in the second-level cache
//   for each strip of the first half, and one of the second half:    // two long streams of memory
//     for all k's:  sums += lookups
//     epilogue -> Y

#include <sparq/kernel/epilogue.hpp>
#include <sparq/kernel/source.hpp>
#include <sparq/kernel/work_grid.hpp>
#include <sparq/numeric/sign.hpp>
#include <sparq/simd/bits.hpp>
#include <sparq/simd/x86_avx2_sign_tables.hpp>
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

/// Channels from which on a row of tables is worth making.
inline constexpr std::size_t sign_table_channels = 256;

/// A row of bytes and weights of -1 and 1 that leave none out: what the loops of signs take.
template <class Packed, class X>
inline constexpr bool meets_signs_v = [] {
  if constexpr (sizeof(X) == 1 && !std::is_same_v<X, eight_bits> && requires { typename Packed::k_map; })
    return std::is_same_v<typename Packed::numeric_type, binary> &&
           std::is_same_v<typename Packed::panel_shape_type, panel_shape<16, 4>> &&
           std::is_same_v<typename Packed::k_map, contiguous> && std::is_same_v<typename Packed::row_select, all> &&
           !scales_along_k_v<typename Packed::granularity>;
  else
    return false;
}();

/// Whether sign_table_loop multiplies one row of X by these weights. Wider registers multiply as fast as they look up.
template <class Packed, class X>
inline constexpr bool sums_by_tables_v = SPARQ_HAS_AVX2 && !SPARQ_HAS_AVX512 && meets_signs_v<Packed, X>;

}  // namespace machine

#if SPARQ_HAS_AVX2

/// One operation with one row; see panel_loop, whose packed weights it reads. @pre machine::sums_by_tables_v, y.rows == 1
template <class Packed, class Source, class Y, class Epilogue>
class sign_table_loop {
 public:
  using x_code = typename Source::element;
  static constexpr std::string_view loop_name() { return "rows, sums by tables"; }
  static constexpr std::string_view atom_name() {
    return std::is_signed_v<x_code> ? "sum4_s8b1_avx2" : "sum4_u8b1_avx2";
  }
  static std::string x_access() { return std::string(Source::access) + "made into tables of sums"; }

  sign_table_loop(const Packed& w, const Source& source, Y y, const Epilogue& stages)
      : w_(w), source_(source), y_(y), stages_(stages), count_(ceil_div(w.shape().k, std::size_t{32})) {}

  /// Whether tables are worth their while.
  static bool suits(std::size_t rows, std::size_t n) { return rows == 1 && n >= machine::sign_table_channels; }
  static constexpr std::size_t cached_rows() { return 1; }
  std::size_t scratch_bytes(std::size_t) const {
    return count_ * machine::sign_table_bytes + (Source::in_memory ? 0 : round_up(w_.shape().k + 64, alignment));
  }

  /// Computes row m0 of the channels in strips [s0, s1). @pre scratch has scratch_bytes(1)
  void run(std::size_t m0, std::size_t m1, std::size_t s0, std::size_t s1, std::byte* scratch) const noexcept {
    if (m0 == m1) return;
    auto* tables = reinterpret_cast<std::uint8_t*>(scratch);
    auto cursor = source_.start(m0);
    const x_code* x = cursor.next(reinterpret_cast<x_code*>(tables + count_ * machine::sign_table_bytes));
    const std::int32_t total = machine::make_sign_tables(x, w_.shape().k, tables);
    machine::for_strips(w_, s0, s1, [&](const packed_panel& panel, std::size_t first, std::size_t last) SPARQ_LAMBDA_INLINE {
      const std::size_t half = (last - first + 1) / 2;
      for (std::size_t s = first; s < first + half; ++s)
        run_strips(panel, s, s + half < last ? s + half : s, m0, tables, total);
    });
  }

 private:
  /// A signed X was made 128 greater.
  static constexpr std::int32_t sum_factor = std::is_signed_v<x_code> ? -128 : 0;

  /// Two strips of a panel, or one twice.
  SPARQ_APART void run_strips(const packed_panel& panel, std::size_t low, std::size_t high, std::size_t m, const std::uint8_t* tables,
                              std::int32_t total) const noexcept {
    const std::size_t words = count_ * 16;
    const std::uint32_t* of_panel = w_.words().data() + panel.words;
    alignas(alignment) std::int32_t sums[32] = {};
    for (std::size_t i = 0; i < count_; i += machine::sign_table_steps)
      machine::add_by_sign_tables(tables + i * machine::sign_table_bytes, of_panel + low * words + i * 16,
                                  of_panel + high * words + i * 16, (std::min)(count_ - i, machine::sign_table_steps), sums);
    for (std::int32_t& sum : sums)  // beyond 2^31 as the loops that add products
      sum = static_cast<std::int32_t>(static_cast<std::uint32_t>(total) - 2 * static_cast<std::uint32_t>(sum));
    const auto store = [&](std::size_t strip, const std::int32_t* of_strip) SPARQ_LAMBDA_INLINE {
      const std::size_t channels = (std::min)(panel.kept - strip * 16, std::size_t{16});
      store_tile(of_strip, 16, 1, channels, sum_factor, y_, {m, panel.first_channel + strip * 16, 0, w_.weight_sums().data()}, stages_);
    };
    store(low, sums);
    if (high != low) store(high, sums + 16);
  }

  Packed w_;
  Source source_;
  Y y_;
  Epilogue stages_;
  std::size_t count_ = 0;
};

#else

template <class Packed, class Source, class Y, class Epilogue>
class sign_table_loop;

#endif  // SPARQ_HAS_AVX2

SPARQ_ABI_END
}  // namespace sparq
