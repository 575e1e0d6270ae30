// SPDX-License-Identifier: MIT
#pragma once
// Which atom serves a combination. Atoms stand in an ordered list, the first that fits is taken; a list of your own may put
// others in front.

#include <sparq/simd/atom.hpp>
#include <sparq/simd/columns4_s16.hpp>
#include <sparq/simd/dot2_bf16.hpp>
#include <sparq/simd/dot4_s16.hpp>
#include <sparq/simd/popcount.hpp>
#include <sparq/simd/scalar.hpp>
#include <sparq/simd/scalar_columns.hpp>
#include <sparq/simd/scalar_gather.hpp>
#include <sparq/simd/x86_avx2.hpp>
#include <sparq/simd/x86_avx2_columns.hpp>
#include <sparq/simd/x86_avx2_gather.hpp>
#include <sparq/simd/x86_avx2_quads.hpp>
#include <sparq/simd/x86_avx2_narrow.hpp>
#include <sparq/simd/x86_avx2_narrow_columns.hpp>
#include <sparq/simd/x86_avx2_one_row.hpp>
#include <sparq/simd/x86_avx2_pairs_columns.hpp>
#include <sparq/simd/x86_avx2_window.hpp>
#include <sparq/simd/x86_avx512.hpp>
#include <sparq/simd/x86_avx512_columns.hpp>
#include <sparq/simd/x86_avx512_quads.hpp>
#include <sparq/tensor/packed.hpp>
#include <sparq/tensor/packed_bitmask.hpp>
#include <sparq/tensor/packed_columns.hpp>

#include <algorithm>
#include <cstddef>
#include <tuple>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

struct no_atom {};

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

/// Bytes whose products fit into 16 bits in pairs, which AVX2 without AVX-512 makes use of: codes of 5 to 7 bits, or X up to 127.
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
  using type = std::tuple<dot4_window_avx2<X, W>>;
};
#endif
#if SPARQ_HAS_AVX512BF16
/// Two windows in a row may lie anywhere, so no permute serves both products of a pair.
template <>
struct window_atom_list<bf16, bf16> {
  using type = std::tuple<dot2_bf16_avx512>;
};
#endif

template <class First, class Second>
struct joined;
template <class... First, class... Second>
struct joined<std::tuple<First...>, std::tuple<Second...>> {
  using type = std::tuple<First..., Second...>;
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

/// The same for the columns loop.
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
  static_assert(column_groups<W> >= 4, "sparq: sums of 16 bits hold too few groups; let columns4_avx2 have these weights");
  using type = std::tuple<quads4_narrow_avx2<X, W::is_signed, groups>, columns4_narrow_avx2<X, W::is_signed, groups>>;
};
template <integer_numeric X, integer_numeric W>
  requires multiplies_in_pairs<X, W>
struct narrow_column_atom_list<X, W> {
  using type = std::tuple<quads4_pairs_avx2<X, W>, columns4_pairs_avx2<X, W>>;
};
#endif

template <class Shape, class Atom>
inline constexpr bool fits_shape_v = native_isa.has(Atom::needs) && Shape::group_k == Atom::group_k &&
                                     Shape::channels % Atom::lanes == 0 &&
                                     (Shape::group_k != 32 || Shape::channels == plane_words);
template <std::size_t Channels, std::size_t GroupK, std::size_t Run, class Atom>
inline constexpr bool fits_shape_v<column_shape<Channels, GroupK, Run>, Atom> =
    native_isa.has(Atom::needs) && GroupK == Atom::group_k && Run % run_of_v<Atom> == 0;

template <class Shape, class Atoms, class X, class W>
struct atoms_for_shape {
  using type = typename Atoms::template list<X, W>;
};
template <std::size_t Channels, std::size_t GroupK, std::size_t Run, class Atoms, class X, class W>
struct atoms_for_shape<column_shape<Channels, GroupK, Run>, Atoms, X, W> {
  using type = typename Atoms::template columns<X, W>;
};

/// Weights packed as a bitmask are decoded before they are expanded.
template <std::size_t Channels, std::size_t GroupK, class Atoms, class X, class W>
struct atoms_for_shape<bitmask_shape<Channels, GroupK>, Atoms, X, W> {
  using type = typename Atoms::template list<X, expanded_t<W>>;
};

/// Windows have atoms of their own, where the list has such.
template <std::size_t Channels, std::size_t GroupK, std::size_t Window, class Atoms, class X, class W>
struct atoms_for_shape<window_shape<Channels, GroupK, Window>, Atoms, X, W> {
  using type = typename Atoms::template list<X, W>;
};
template <std::size_t Channels, std::size_t GroupK, std::size_t Window, class Atoms, class X, class W>
  requires requires { typename Atoms::template windows<X, W>; }
struct atoms_for_shape<window_shape<Channels, GroupK, Window>, Atoms, X, W> {
  using type = typename Atoms::template windows<X, W>;
};

template <class Shape, class List>
struct first_fit;
template <class Shape>
struct first_fit<Shape, std::tuple<>> {
  using type = no_atom;
};
template <class Shape, class First, class... Rest>
struct first_fit<Shape, std::tuple<First, Rest...>> {
  using type = typename std::conditional_t<fits_shape_v<Shape, First>, std::type_identity<First>,
                                           first_fit<Shape, std::tuple<Rest...>>>::type;
};

}  // namespace machine

/// The atoms that come with the library, most demanding first.
struct default_atoms {
  template <numeric X, numeric W>
  using list = typename machine::joined<typename machine::narrow_atom_list<X, W>::type,
                                        typename machine::atom_list<X, machine::decoded_for_t<X, W>>::type>::type;
  template <numeric X, numeric W>
  using columns = typename machine::joined<typename machine::narrow_column_atom_list<X, W>::type,
                                           typename machine::column_atom_list<X, machine::decoded_t<W>>::type>::type;
  template <numeric X, numeric W>
  using windows = typename machine::joined<typename machine::window_atom_list<X, entry_t<W>>::type, list<X, W>>::type;
};

/// The atom that multiplies X by W packed in `Shape`; machine::no_atom when there is none.
template <numeric X, numeric W, class Shape, class Atoms = default_atoms>
using atom_for = typename machine::first_fit<Shape, typename machine::atoms_for_shape<Shape, Atoms, X, W>::type>::type;

namespace machine {

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

/// The atom that takes the place of `Atom` where X has one row.
template <class Atom>
struct one_row_atom {
  using type = Atom;
};
#if SPARQ_HAS_AVX2
template <integer_numeric X, integer_numeric W>
struct one_row_atom<dot4_avx2<X, W>> {
  using type = dot4_cut_avx2<X, W>;
};
template <integer_numeric W>
struct one_row_atom<popcnt32_avx2<W>> {
  using type = popcnt32_row_avx2<W>;
};
#endif

/// The atom that takes the place of `Atom` where strips of words are widened for many rows; no_atom: none.
template <class Atom, std::size_t Channels>
struct widened_atom {
  using type = no_atom;
};
#if SPARQ_HAS_AVX2
template <integer_numeric X, integer_numeric W, std::size_t Channels>
struct widened_atom<dot4_avx2<X, W>, Channels> {
  using type = dot4_widened_avx2<X, W, Channels>;
};
#endif

}  // namespace machine

/// The atom that multiplies few rows of X by W packed in a column_shape.
template <numeric X, numeric W, class Shape>
using gather_atom_for =
    typename machine::first_fit<Shape, typename machine::gather_atom_list<X, machine::decoded_t<W>>::type>::type;

namespace machine {

/// The atom of the columns loop for a block of at most 16 rows, whose X is packed apart; otherwise the atom itself.
template <class Atom>
struct few_rows_atom {
  using type = Atom;
};
#if SPARQ_HAS_AVX512VNNI && SPARQ_HAS_AVX512VBMI
template <integer_numeric X, integer_numeric W>
struct few_rows_atom<columns4_avx512vnni<X, W>> {
  using type = columns4_few_avx512vbmi<X, W>;
};
#endif

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
