// SPDX-License-Identifier: MIT
#pragma once
// One row of bytes times weights of -1 and 1, where sums are looked up by the bits of W
// (simd/narrow/x86_avx2_sign_tables.hpp, x86_avx512_sign_tables.hpp). X becomes tables, of 8 bytes for each k, which
// stay in the second-level cache.

#include <sparq/kernel/loop/one_row_loop.hpp>
#include <sparq/numeric/sign.hpp>
#include <sparq/simd/narrow/x86_avx2_sign_tables.hpp>
#include <sparq/simd/narrow/x86_avx512_sign_tables.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// A row of bytes and weights of -1 and 1 that leave none out: what the loops of signs take.
template <class Packed, class X>
inline constexpr bool meets_signs_v = [] {
  if constexpr (meets_words_v<Packed, X>)
    return std::is_same_v<typename Packed::numeric_type, binary>;
  else
    return false;
}();

/// Whether registers of 64 bytes look sums up.
inline constexpr bool has_wide_sign_tables = SPARQ_HAS_AVX512VNNI && SPARQ_HAS_AVX512VBMI;

/// Whether sign_table_loop multiplies one row of X by these weights. Without a permute of all its bytes, a register of
/// 64 multiplies as fast as it looks up.
template <class Packed, class X>
inline constexpr bool sums_by_tables_v =
    (has_wide_sign_tables || (SPARQ_HAS_AVX2 && !SPARQ_HAS_AVX512)) && meets_signs_v<Packed, X>;

#if SPARQ_HAS_AVX512VNNI && SPARQ_HAS_AVX512VBMI

/// What one_row_loop asks for: sums of those x whose weight is -1.
struct sums_by_tables {
  static constexpr std::string_view loop_name = "rows, sums by tables", access = "made into tables of sums";
  template <class Code>
  static constexpr std::string_view atom_name =
      std::is_signed_v<Code> ? "sum4_s8b1_avx512vbmi" : "sum4_u8b1_avx512vbmi";
  static constexpr std::size_t word_k = 32, prepared_bytes = wide_sign_table_bytes, least_channels = 256,
                               most_k = ~std::size_t{0}, strips_at_once = 8;

  template <class Code>
  static std::int32_t prepare(const Code* x, std::size_t k, std::uint8_t* tables) noexcept {
    return make_wide_sign_tables(x, k, tables);
  }
  template <std::size_t S>
  static void add(const std::uint8_t* tables, const std::uint32_t* words, std::size_t count,
                  std::int32_t* sums) noexcept {
    add_by_wide_sign_tables<S>(tables, words, count, sums);
  }
  static std::uint32_t corrected(std::uint32_t sum, std::uint32_t total) noexcept { return total - 2 * sum; }
};

#elif SPARQ_HAS_AVX2

/// What one_row_loop asks for: sums of those x whose weight is -1.
struct sums_by_tables {
  static constexpr std::string_view loop_name = "rows, sums by tables", access = "made into tables of sums";
  template <class Code>
  static constexpr std::string_view atom_name = std::is_signed_v<Code> ? "sum4_s8b1_avx2" : "sum4_u8b1_avx2";
  static constexpr std::size_t word_k = 32, prepared_bytes = sign_table_bytes, least_channels = 256,
                               most_k = ~std::size_t{0};

  template <class Code>
  static std::int32_t prepare(const Code* x, std::size_t k, std::uint8_t* tables) noexcept {
    return make_sign_tables(x, k, tables);
  }
  static void add(const std::uint8_t* tables, const std::uint32_t* low, const std::uint32_t* high, std::size_t count,
                  std::int32_t* sums) noexcept {
    for (std::size_t i = 0; i < count; i += sign_table_steps)
      add_by_sign_tables(tables + i * sign_table_bytes, low + i * 16, high + i * 16,
                         (std::min)(count - i, sign_table_steps), sums);
  }
  static std::uint32_t corrected(std::uint32_t sum, std::uint32_t total) noexcept { return total - 2 * sum; }
};

#endif

}  // namespace machine

#if SPARQ_HAS_AVX2

template <class Packed, class Source, class Y, class Epilogue>
using sign_table_loop = one_row_loop<machine::sums_by_tables, Packed, Source, Y, Epilogue>;

#else

template <class Packed, class Source, class Y, class Epilogue>
class sign_table_loop;

#endif  // SPARQ_HAS_AVX2

SPARQ_ABI_END
}  // namespace sparq
