// SPDX-License-Identifier: MIT
#pragma once
// One row of bytes times weights of 4, 2 or 1 bits where a register multiplies 64 bytes at once: codes are factors as
// they lie in their bytes, so nothing is decoded (simd/narrow/x86_avx512_codes_in_place.hpp).

#include <sparq/kernel/loop/one_row_loop.hpp>
#include <sparq/numeric/sign.hpp>
#include <sparq/simd/narrow/x86_avx512_codes_in_place.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Whether codes_in_place_loop multiplies one row of X by these weights.
template <class Packed, class X>
inline constexpr bool takes_codes_in_place_v = [] {
  if constexpr (SPARQ_HAS_AVX512VNNI && meets_words_v<Packed, X>) {
    using N = typename Packed::numeric_type;
    constexpr bool is_plain = N::is_integer && !has_tables<N> && !requires { N::from_bits(0U); };
    return std::is_same_v<N, binary> || (is_plain && (N::bits == 2 || N::bits == 4));
  } else {
    return false;
  }
}();

#if SPARQ_HAS_AVX512VNNI

template <bool IsSigned, int Bits>
inline constexpr std::string_view in_place_atom_name =
    Bits == 4   ? (IsSigned ? "dot4_s8bits4_avx512vnni" : "dot4_u8bits4_avx512vnni")
    : Bits == 2 ? (IsSigned ? "dot4_s8bits2_avx512vnni" : "dot4_u8bits2_avx512vnni")
                : (IsSigned ? "sum4_s8b1_avx512vnni" : "sum4_u8b1_avx512vnni");

/// What one_row_loop asks for. - `N`: named for every type, complete for those of takes_codes_in_place_v
template <class N>
struct sums_in_place {
  static constexpr std::string_view loop_name = "rows, codes in place", access = "copied";
  template <class Code>
  static constexpr std::string_view atom_name = in_place_atom_name<std::is_signed_v<Code>, N::bits>;
  static constexpr std::size_t word_k = codes_in_place<N>::word_k, prepared_bytes = word_k, least_channels = 0,
                               most_k = codes_in_place<N>::most_k;
  /// As many streams of memory as sums have registers for.
  static constexpr std::size_t strips_at_once = 16 / codes_in_place<N>::fields;

  template <class Code>
  static std::int32_t prepare(const Code* x, std::size_t k, std::uint8_t* out) noexcept {
    return copy_for_codes<N>(x, k, out);
  }
  template <std::size_t S>
  static void add(const std::uint8_t* x, const std::uint32_t* words, std::size_t count, std::int32_t* sums) noexcept {
    add_codes_in_place<N, S>(x, words, count, sums);
  }
  static std::uint32_t corrected(std::uint32_t sum, std::uint32_t total) noexcept {
    return std::is_same_v<N, binary> ? total - 2 * sum : sum - total;
  }
};

#endif

}  // namespace machine

#if SPARQ_HAS_AVX512VNNI

template <class Packed, class Source, class Y, class Epilogue>
using codes_in_place_loop =
    one_row_loop<machine::sums_in_place<typename Packed::numeric_type>, Packed, Source, Y, Epilogue>;

#else

template <class Packed, class Source, class Y, class Epilogue>
class codes_in_place_loop;

#endif  // SPARQ_HAS_AVX512VNNI

SPARQ_ABI_END
}  // namespace sparq
