// SPDX-License-Identifier: MIT
#pragma once
// Which atom serves a combination, and how large the blocks are: the one tuning table. Atoms stand in an ordered list,
// the first that fits is taken; a list of your own may put others in front.

#include <sparq/simd/atom.hpp>
#include <sparq/simd/scalar.hpp>
#include <sparq/simd/x86_avx2.hpp>
#include <sparq/simd/x86_avx512.hpp>
#include <sparq/tensor/packed.hpp>

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
using decoded_t = std::conditional_t<!N::is_integer, N, std::conditional_t<N::is_signed, s8, u8>>;

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
template <>
struct atom_list<f32, f32> {
  using type = std::tuple<
#if SPARQ_HAS_AVX512
      fma1_f32f32_avx512,
#endif
#if SPARQ_HAS_AVX2
      fma1_f32f32_avx2,
#endif
      fma1_f32f32_scalar>;
};

template <class Shape, class Atom>
inline constexpr bool fits_shape_v = native_isa.has(Atom::needs) && Shape::group_k == Atom::group_k &&
                                     Shape::channels % Atom::lanes == 0;

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
  using list = typename machine::atom_list<X, machine::decoded_t<W>>::type;
};

/// The atom that multiplies X by W packed in `Shape`; machine::no_atom when there is none.
template <numeric X, numeric W, class Shape, class Atoms = default_atoms>
using atom_for = typename machine::first_fit<Shape, typename Atoms::template list<X, W>>::type;

/// Block sizes, by atom.
template <class Atom>
struct blocking {
  /// Registers of channels beside the block's rows: 2 fill the accumulators that `block_rows` leaves.
  static constexpr std::size_t registers = 2;
  /// Bytes of packed X that stay in the second-level cache while all weights pass by.
  static constexpr std::size_t x_bytes = 128 * 1024;

  /// Rows of X that are packed together: as many as x_bytes hold, in whole blocks, at least 4 blocks.
  static constexpr std::size_t rows(std::size_t row_bytes) {
    const std::size_t fitting = x_bytes / (std::max)(row_bytes, std::size_t{1}) / Atom::block_rows;
    return (std::max)(fitting, std::size_t{4}) * Atom::block_rows;
  }
};

SPARQ_ABI_END
}  // namespace sparq
