// SPDX-License-Identifier: MIT
#pragma once
// Which atom serves a combination. Atoms stand in ordered lists (atom_lists.hpp), the first that fits is taken; a list
// of your own may put others in front.

#include <sparq/kernel/atom_lists.hpp>
#include <sparq/simd/rows/atom.hpp>
#include <sparq/tensor/packed.hpp>
#include <sparq/tensor/packed_bitmask.hpp>
#include <sparq/tensor/packed_columns.hpp>

#include <cstddef>
#include <tuple>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Nothing multiplies these types in this shape.
struct no_atom {};

/// One list behind the other.
template <class First, class Second>
struct joined;
template <class... First, class... Second>
struct joined<std::tuple<First...>, std::tuple<Second...>> {
  using type = std::tuple<First..., Second...>;
};

/// Whether an atom runs here and reads what is packed in this shape.
template <class Shape, class Atom>
inline constexpr bool fits_shape_v = native_isa.has(Atom::needs) && Shape::group_k == Atom::group_k &&
                                     Shape::channels % Atom::lanes == 0 &&
                                     (Shape::group_k != 32 || Shape::channels == plane_words);
/// An atom may be for windows of some k's and more.
template <std::size_t Channels, std::size_t GroupK, std::size_t Window, class Atom>
  requires(requires { Atom::least_window; })
inline constexpr bool fits_shape_v<window_shape<Channels, GroupK, Window>, Atom> =
    native_isa.has(Atom::needs) && GroupK == Atom::group_k && Channels % Atom::lanes == 0 &&
    Window >= Atom::least_window;
template <std::size_t Channels, std::size_t GroupK, std::size_t Run, class Atom>
inline constexpr bool fits_shape_v<column_shape<Channels, GroupK, Run>, Atom> =
    native_isa.has(Atom::needs) && GroupK == Atom::group_k && Run % run_of_v<Atom> == 0;

/// The list that serves a shape.
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

/// The atom that takes the place of `Atom` for few rows of X, no more than it takes at once, and packs X in a way of
/// its own; otherwise the atom itself. In the rows loop X has no more rows, in the columns loop the last block.
template <class Atom>
struct few_rows_atom {
  using type = Atom;
};
#if SPARQ_HAS_AVX2
template <integer_numeric X, integer_numeric W>
struct few_rows_atom<dot4_avx2<X, W>> {
  using type = dot4_cut_avx2<X, W>;
};
template <integer_numeric X, integer_numeric W>
struct few_rows_atom<dot4_window_rows_avx2<X, W>> {
  using type = dot4_window_avx2<X, W>;
};
template <integer_numeric W>
struct few_rows_atom<popcnt32_avx2<W>> {
  using type = popcnt32_row_avx2<W>;
};
template <integer_numeric X, integer_numeric W>
struct few_rows_atom<columns4_avx2<X, W>> {
  using type = columns4_few_avx2<X, W>;
};
#endif
#if SPARQ_HAS_AVX512
template <numeric X, numeric W>
struct few_rows_atom<columns1_avx512<X, W>> {
  using type = columns1_few_avx512<X, W>;
};
#endif
#if SPARQ_HAS_AVX512VNNI && SPARQ_HAS_AVX512VBMI
template <integer_numeric X, integer_numeric W>
struct few_rows_atom<columns4_avx512vnni<X, W>> {
  using type = columns4_few_avx512vbmi<X, W>;
};
#endif
#if SPARQ_HAS_AVX512VNNI
template <integer_numeric X, integer_numeric W>
struct few_rows_atom<quads4_avx512vnni<X, W>> {
  using type = quads4_avx512vnni<X, W, 1>;
};
#endif
/// Whether that of the columns loop takes a last block of so many rows.
template <class Atom>
constexpr bool takes_few_rows(std::size_t rows, std::size_t k) {
  using few = typename few_rows_atom<Atom>::type;
  if constexpr (std::is_same_v<few, Atom>)
    return false;
  else
    return rows <= few::lanes * few::registers && k >= few::least_k;
}

/// Rows of X that the columns loop gathers where there are no more: a block of theirs would be mostly empty. Atoms for
/// few rows may say that theirs wins earlier.
template <class Atom>
inline constexpr std::size_t gathered_rows = [] {
  using few = typename few_rows_atom<Atom>::type;
  if constexpr (requires { few::gathered_rows; })
    return few::gathered_rows;
  else
    return std::size_t{2};
}();

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
