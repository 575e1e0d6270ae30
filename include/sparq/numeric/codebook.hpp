// SPDX-License-Identifier: MIT
#pragma once
// Codes that are no numbers but places in a table of numbers, its entries: clustered weights, and number formats that
// have only a few values. One table serves a tensor, an output channel, or a bucket of consecutive weights.
//
//   table 0 (channel 0)  [-40  0  11  90]     codes [1 3 0]     weights [0 90 -40]
//
// Where a format leaves zeros out, every table has an entry of exactly 0: a pruned weight is a real zero.

#include <sparq/base/joined_name.hpp>
#include <sparq/base/math.hpp>
#include <sparq/numeric/granularity.hpp>
#include <sparq/numeric/numeric.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace sparq {

/// One table for every `B` consecutive weights of the matrix, rows one after the other: a bucket may begin in one
/// output channel and end in the next, and the last may be short (PocketFlow's bucket type "split" has B = 256). Only
/// dense tensors keep all weights in that order. Use per_channel for one table for each output channel.
template <std::size_t B>
struct per_bucket {
  static_assert(B > 0, "sparq: a bucket holds at least one weight; use per_bucket<256>");
  static constexpr std::size_t bucket = B;
  static constexpr std::size_t scale_count(std::size_t n, std::size_t k) { return ceil_div(n * k, B); }
  static constexpr std::size_t scale_index(std::size_t channel, std::size_t k_index, std::size_t k_extent) {
    return (channel * k_extent + k_index) / B;
  }
  static constexpr std::string_view name = detail::joined_name<"per_bucket<", B, ">">;
};

/// Says how many tables W[n][k] has and which one a weight uses.
template <class T>
concept table_granularity = requires(std::size_t i) {
  { T::name } -> std::convertible_to<std::string_view>;
  { T::scale_count(i, i) } -> std::same_as<std::size_t>;
  { T::scale_index(i, i, i) } -> std::same_as<std::size_t>;
};

/// Codes of `Bits` bits that choose one of 2^Bits entries.
/// - `Entry`: s8 for products with bytes, exact; f32 for products with floats
/// - `Table`: which weights share a table: `per_tensor`, `per_channel` or `per_bucket<B>`
/// Tables lie one after the other, entries in the order of their codes.
template <int Bits, numeric Entry = s8, table_granularity Table = per_tensor>
struct codebook {
  static_assert(Bits >= 1 && Bits <= 8, "sparq: codes of a codebook have 1 to 8 bits; use s8 or f32 for more");
  static_assert(std::is_same_v<Entry, s8> || std::is_same_v<Entry, f32>,
                "sparq: entries of a codebook are s8 or f32; use s8 with a scale for other integers");
  using code = std::uint8_t;
  using entry = Entry;
  using table = Table;
  static constexpr int bits = Bits;
  static constexpr bool is_integer = Entry::is_integer;  // what is multiplied
  static constexpr bool is_signed = false;
  static constexpr packing_order order = packing_order::low_first;
  static constexpr std::size_t entries = std::size_t{1} << Bits;
  static constexpr std::string_view name =
      detail::joined_name<"codebook<", std::size_t{Bits}, ",", Entry::name, ",", Table::name, ">">;
};

/// A numeric type whose codes are places in tables.
template <class T>
concept has_tables = numeric<T> && requires {
  typename T::entry;
  typename T::table;
  { T::entries } -> std::convertible_to<std::size_t>;
};

namespace detail {
template <class N>
struct entry_of {
  using type = N;
};
template <has_tables N>
struct entry_of<N> {
  using type = typename N::entry;
};
}  // namespace detail

/// The numeric type that is multiplied: that of the entries for a codebook, N itself for all others.
template <numeric N>
using entry_t = typename detail::entry_of<N>::type;

/// Entries of all tables together. @pre n, k < 2^32
template <has_tables N>
constexpr std::size_t table_entries(std::size_t n, std::size_t k) {
  return N::table::scale_count(n, k) * N::entries;
}
/// Where the table of a weight starts.
template <has_tables N>
constexpr std::size_t table_start(std::size_t channel, std::size_t k_index, std::size_t k_extent) {
  return N::table::scale_index(channel, k_index, k_extent) * N::entries;
}

/// The first code whose entry is 0; `N::entries` if there is none.
template <has_tables N>
constexpr std::size_t zero_code(const typename N::entry::code* table) {
  std::size_t code = 0;
  while (code < N::entries && table[code] != 0) ++code;
  return code;
}

// ---- number formats of 16 values as tables, entries in the order of their codes -------------------------------------

/// The values of float4 e2m1, doubled so that they are integers: half of the scale makes up for it. MXFP4 and NVFP4 use
/// them, with a scale for each 32 or 16 weights. Source: ggml, kvalues_mxfp4 in src/ggml-common.h; OCP Microscaling
/// Formats 1.0, 5.3.3.
inline constexpr std::array<std::int8_t, 16> e2m1_doubled = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/// NormalFloat4: quantiles of a normal distribution, largest magnitude 1. Source: Dettmers et al., QLoRA (2023),
/// appendix E.
inline constexpr std::array<float, 16> nf4 = {
    -1.0F, -0.6961928009986877F, -0.5250730514526367F, -0.39491748809814453F, -0.28444138169288635F,
    -0.18477343022823334F, -0.09105003625154495F, 0.0F, 0.07958029955625534F, 0.16093020141124725F,
    0.24611230194568634F, 0.33791524171829224F, 0.44070982933044434F, 0.5626170039176941F, 0.7229568362236023F,
    1.0F};

/// The 4-bit float of bitsandbytes (sign, then three bits), largest magnitude 1. Source: bitsandbytes,
/// dDequantizeFP4Tree.
inline constexpr std::array<float, 16> fp4_bitsandbytes = {
    0.0F,  5.208333333e-03F,  0.66666667F,  1.0F,  0.33333333F,  0.5F,  0.16666667F,  0.25F,
    -0.0F, -5.208333333e-03F, -0.66666667F, -1.0F, -0.33333333F, -0.5F, -0.16666667F, -0.25F};

}  // namespace sparq
