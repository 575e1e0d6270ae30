// SPDX-License-Identifier: MIT
#pragma once
// Atoms of the columns loop in plain C++.

#include <sparq/simd/columns/column_atom.hpp>
#include <sparq/simd/wrapping.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// What atoms in plain C++ say of lists of k's in groups of GroupK: elements and weights are what they are in memory.
template <class X, class Weight, class Sum, std::size_t GroupK>
struct scalar_lists {
  static constexpr isa needs{};
  using x_code = X;
  using acc_type = Sum;
  static constexpr std::size_t group_k = GroupK;
  using packed_x = X;
  using weight = Weight;
  template <numeric N>
  static constexpr bool in_place = std::is_same_v<typename N::code, Weight> && N::bits == 8 * sizeof(Weight);
};

/// Sixteen rows of X beside each other.
template <class X, class Weight, class Sum, std::size_t GroupK>
struct scalar_columns : scalar_lists<X, Weight, Sum, GroupK> {
  static constexpr std::size_t lanes = 16, registers = 1;
  static constexpr std::int32_t weight_sum_factor = 0;
  struct acc {
    Sum lane[lanes];
  };
  template <std::size_t V>
  struct x_group {
    const X* k[GroupK];
  };

  static void pack_rows(const X* const* rows, std::size_t k, X* block) {
    for (std::size_t r = 0; r < lanes; ++r)
      for (std::size_t i = 0; i < k; ++i) block[i * lanes + r] = rows[r][i];
  }
  static void pack_columns(const X* x, std::size_t stride, std::size_t k, std::size_t count, X* block) {
    for (std::size_t i = 0; i < k; ++i)
      for (std::size_t r = 0; r < lanes; ++r) block[i * lanes + r] = r < count ? x[i * stride + r] : X{};
  }
  template <std::size_t V>
  static SPARQ_INLINE x_group<V> load(const X* block, const std::uint16_t* k) {
    x_group<V> x;
    for (std::size_t i = 0; i < GroupK; ++i) x.k[i] = block + std::size_t{k[i]} * lanes;
    return x;
  }
  static SPARQ_INLINE acc zero() { return {}; }
  template <std::size_t V>
  static SPARQ_INLINE void add(acc (&sums)[V], const Weight* w, const x_group<V>& x) {
    for (std::size_t l = 0; l < lanes; ++l)
      for (std::size_t i = 0; i < GroupK; ++i)
        sums[0].lane[l] = plus(sums[0].lane[l], static_cast<Sum>(w[i]) * static_cast<Sum>(x.k[i][l]));
  }
  static SPARQ_INLINE acc load_sums(const Sum* p) {
    acc sums;
    for (std::size_t l = 0; l < lanes; ++l) sums.lane[l] = p[l];
    return sums;
  }
  static SPARQ_INLINE void store_sums(Sum* p, const acc& sums) {
    for (std::size_t l = 0; l < lanes; ++l) p[l] = sums.lane[l];
  }
};

}  // namespace machine

/// Four products of bytes, summed into int32.
template <integer_numeric X, integer_numeric W>
struct columns4_scalar
    : machine::scalar_columns<typename X::code, typename W::code, std::int32_t, 4> {
  static constexpr std::string_view name = machine::atom_name<"columns4_", X, W, "_scalar">;
};

/// One product of floats, added in the order of the lists.
template <numeric X, numeric W>
struct columns1_scalar : machine::scalar_columns<typename X::code, float, float, 1> {
  static constexpr std::string_view name = machine::atom_name<"columns1_", X, W, "_scalar">;
};
using columns1_f32f32_scalar = columns1_scalar<f32, f32>;

SPARQ_ABI_END
}  // namespace sparq
