// SPDX-License-Identifier: MIT
#pragma once
// All atoms of the library, in lists by the types that they multiply, most demanding first. A new instruction set is a
// line here; select.hpp says which atom of a list serves.

#include <sparq/numeric/codebook.hpp>
#include <sparq/numeric/floating.hpp>
#include <sparq/numeric/integer.hpp>
#include <sparq/numeric/sign.hpp>
#include <sparq/simd/columns/columns4_s16.hpp>
#include <sparq/simd/columns/scalar_columns.hpp>
#include <sparq/simd/columns/scalar_gather.hpp>
#include <sparq/simd/columns/x86_avx2_columns.hpp>
#include <sparq/simd/columns/x86_avx2_gather.hpp>
#include <sparq/simd/columns/x86_avx2_narrow_columns.hpp>
#include <sparq/simd/columns/x86_avx2_pairs_columns.hpp>
#include <sparq/simd/columns/x86_avx2_quads.hpp>
#include <sparq/simd/columns/x86_avx512_columns.hpp>
#include <sparq/simd/columns/x86_avx512_quads.hpp>
#include <sparq/simd/rows/atom.hpp>
#include <sparq/simd/rows/dot2_bf16.hpp>
#include <sparq/simd/rows/dot4_s16.hpp>
#include <sparq/simd/rows/popcount.hpp>
#include <sparq/simd/rows/scalar.hpp>
#include <sparq/simd/rows/x86_avx2.hpp>
#include <sparq/simd/rows/x86_avx2_narrow.hpp>
#include <sparq/simd/rows/x86_avx2_one_row.hpp>
#include <sparq/simd/rows/x86_avx2_window.hpp>
#include <sparq/simd/rows/x86_avx512.hpp>

#include <cstddef>
#include <tuple>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// The type that a code of N has once it is decoded.
template <numeric N>
using decoded_t =
    std::conditional_t<!N::is_integer, entry_t<N>, std::conditional_t<entry_t<N>::is_signed, s8, u8>>;
/// The same for atoms of X; those that count bits read W's planes as they are.
template <numeric X, numeric N>
using decoded_for_t = std::conditional_t<std::is_same_v<X, binary>, N, decoded_t<N>>;

/// The type that a code of N has in the words that a bitmask is expanded to.
template <numeric N>
using expanded_t = std::conditional_t<N::is_integer, decoded_t<N>, f32>;

// ---- the rows loop --------------------------------------------------------------------------------------------------

/// Atoms of panels; empty where nothing multiplies these types.
template <numeric X, numeric W>
struct atom_list {
  using type = std::tuple<>;
};
template <integer_numeric X, integer_numeric W>
  requires(X::bits == 8 && W::bits == 8)
struct atom_list<X, W> {
  using type = std::tuple<
#if SPARQ_HAS_AVX512VNNI
      dot4_avx512vnni<X, W>,
#endif
#if SPARQ_HAS_AVX512
      dot4_avx512<X, W>,
#endif
#if SPARQ_HAS_AVX2
      dot4_avx2<X, W>,
#endif
      dot4_scalar<X, W>>;
};
template <numeric X, numeric W>
  requires(!X::is_integer && !W::is_integer)
struct atom_list<X, W> {
  using type = std::tuple<
#if SPARQ_HAS_AVX512
      fma1_avx512<X, W>,
#endif
#if SPARQ_HAS_AVX2
      fma1_avx2<X, W>,
#endif
      fma1_scalar<X, W>>;
};

template <>
struct atom_list<bf16, bf16> {
  using type = std::tuple<
#if SPARQ_HAS_AVX512BF16
      dot2_bf16_avx512bf16,
#endif
#if SPARQ_HAS_AVX512
      dot2_bf16_avx512,
#endif
#if SPARQ_HAS_AVX2
      dot2_bf16_avx2,
#endif
      dot2_bf16_scalar>;
};

template <integer_numeric X, integer_numeric W>
  requires(X::bits == 16 && W::bits == 8)
struct atom_list<X, W> {
  using type = std::tuple<
#if SPARQ_HAS_AVX512
      dot4_s16_avx512<W>,
#endif
#if SPARQ_HAS_AVX2
      dot4_s16_avx2<W>,
#endif
      dot4_s16_scalar<W>>;
};

template <integer_numeric W>
  requires(std::is_same_v<W, binary> || W::bits == 2)
struct atom_list<binary, W> {
  using type = std::tuple<
#if SPARQ_HAS_AVX512VPOPCNTDQ
      popcnt32_avx512vpopcntdq<W>,
#endif
#if SPARQ_HAS_AVX2
      popcnt32_avx2<W>,
#endif
      popcnt32_scalar<W>>;
};

/// Bytes whose products fit into 16 bits in pairs, which AVX2 without AVX-512 makes use of: codes of 5 to 7 bits,
/// or X up to 127.
template <numeric X, numeric W>
inline constexpr bool multiplies_in_pairs = false;
#if SPARQ_HAS_AVX2 && !SPARQ_HAS_AVX512
template <integer_numeric X, integer_numeric W>
  requires(X::bits == 8 && W::bits == 8)
inline constexpr bool multiplies_in_pairs<X, W> = narrow_groups<W, X> != 0;
#endif

/// Atoms that are exact for narrow weights or X up to 127 only, and faster there.
template <numeric X, numeric W>
struct narrow_atom_list {
  using type = std::tuple<>;
};
#if SPARQ_HAS_AVX2 && !SPARQ_HAS_AVX512
template <integer_numeric X, integer_numeric W>
  requires(X::bits == 8 && W::bits <= 4)
struct narrow_atom_list<X, W> {
  using type = std::tuple<dot4_narrow_avx2<X, W>>;
};
template <integer_numeric X, integer_numeric W>
  requires multiplies_in_pairs<X, W>
struct narrow_atom_list<X, W> {
  using type = std::tuple<dot4_pairs_avx2<X, W>>;
};
#endif

/// Atoms that permute windows better than those of every format do, or that do it at all.
template <numeric X, numeric W>
struct window_atom_list {
  using type = std::tuple<>;
};
#if SPARQ_HAS_AVX2 && !SPARQ_HAS_AVX512
template <integer_numeric X, integer_numeric W>
  requires(X::bits == 8 && W::bits == 8 && !multiplies_in_pairs<X, W>)
struct window_atom_list<X, W> {
  using type = std::tuple<dot4_window_rows_avx2<X, W>, dot4_window_avx2<X, W>>;
};
#endif
#if SPARQ_HAS_AVX512BF16
/// Two windows in a row may lie anywhere, so no permute serves both products of a pair.
template <>
struct window_atom_list<bf16, bf16> {
  using type = std::tuple<dot2_bf16_avx512>;
};
#endif

// ---- the columns loop -----------------------------------------------------------------------------------------------

/// Atoms of columns.
template <numeric X, numeric W>
struct column_atom_list {
  using type = std::tuple<>;
};
template <integer_numeric X, integer_numeric W>
  requires(X::bits == 8 && W::bits == 8)
struct column_atom_list<X, W> {
  using type = std::tuple<
#if SPARQ_HAS_AVX512VNNI
      quads4_avx512vnni<X, W>, columns4_avx512vnni<X, W>,
#endif
#if SPARQ_HAS_AVX2
      quads4_avx2<X, W>, columns4_avx2<X, W>,
#endif
      columns4_scalar<X, W>>;
};
template <integer_numeric X, integer_numeric W>
  requires(X::bits == 16 && W::bits == 8)
struct column_atom_list<X, W> {
  using type = std::tuple<
#if SPARQ_HAS_AVX2
      columns4_s16_avx2<W>,
#endif
      columns4_s16_scalar<W>>;
};
template <numeric X, numeric W>
  requires(!X::is_integer && !W::is_integer)
struct column_atom_list<X, W> {
  using type = std::tuple<
#if SPARQ_HAS_AVX512
      columns1_avx512<X, W>,
#endif
#if SPARQ_HAS_AVX2
      columns1_avx2<X, W>,
#endif
      columns1_scalar<X, W>>;
};

/// Those that are exact for narrow weights only: types share what holds 4 groups or 16.
template <numeric X, numeric W>
struct narrow_column_atom_list {
  using type = std::tuple<>;
};
#if SPARQ_HAS_AVX2 && !SPARQ_HAS_AVX512
template <integer_numeric X, integer_numeric W>
  requires(X::bits == 8 && W::bits <= 4)
struct narrow_column_atom_list<X, W> {
  static constexpr std::size_t groups = column_groups<W> >= 16 ? 16 : 4;
  static_assert(column_groups<W> >= 4,
                "sparq: sums of 16 bits hold too few groups; let columns4_avx2 have these weights");
  using type = std::tuple<quads4_narrow_avx2<X, W::is_signed, groups>, columns4_narrow_avx2<X, W::is_signed, groups>>;
};
template <integer_numeric X, integer_numeric W>
  requires multiplies_in_pairs<X, W>
struct narrow_column_atom_list<X, W> {
  using type = std::tuple<quads4_pairs_avx2<X, W>, columns4_pairs_avx2<X, W>>;
};
#endif

/// The atoms of the columns loop for few rows.
template <numeric X, numeric W>
struct gather_atom_list {
  using type = std::tuple<>;
};
template <integer_numeric X, integer_numeric W>
  requires(X::bits == 8 && W::bits == 8)
struct gather_atom_list<X, W> {
  using type = std::tuple<
#if SPARQ_HAS_AVX2
      gather4_avx2<X, W>,
#endif
      gather4_scalar<X, W>>;
};
template <integer_numeric X, integer_numeric W>
  requires(X::bits == 16 && W::bits == 8)
struct gather_atom_list<X, W> {
  using type = std::tuple<
#if SPARQ_HAS_AVX2
      gather4_s16_avx2<W>,
#endif
      gather4_s16_scalar<W>>;
};
template <numeric X, numeric W>
  requires(!X::is_integer && !W::is_integer)
struct gather_atom_list<X, W> {
  using type = std::tuple<
#if SPARQ_HAS_AVX2
      gather1_avx2<X, W>,
#endif
      gather1_scalar<X, W>>;
};

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
