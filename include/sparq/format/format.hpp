// SPDX-License-Identifier: MIT
#pragma once
// What a format is: index arrays, an order of slots, and a division of the output channels into panels. It knows
// nothing of values, numeric types or instructions, and adding one needs no edit here: model the concept, in your own
// code if you like (examples/custom_format.cpp).

#include <sparq/base/error.hpp>
#include <sparq/base/math.hpp>
#include <sparq/format/mask.hpp>
#include <sparq/format/policy.hpp>
#include <sparq/format/shape.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

namespace sparq {

/// Index arrays come in two kinds: `owned` by a tensor, or `viewed` in memory that somebody else keeps.
template <class T>
using owned = std::vector<T>;
template <class T>
using viewed = std::span<const T>;

/// The output channels of one panel: [first, first + count).
struct channel_range {
  std::size_t first = 0;
  std::size_t count = 0;
};

/// Panel p where each has `channels` of the n output channels and the last one what is left.
/// @pre p < ceil(n / channels)
constexpr channel_range panel_of(std::size_t p, std::size_t channels, std::size_t n) {
  const std::size_t first = p * channels;
  return {first, n - first < channels ? n - first : channels};
}

namespace detail {
struct any_slot_visitor {
  void operator()(std::size_t, std::size_t, std::size_t) const {}
};
}  // namespace detail

/// An index: the shape and the arrays that say where the slots of one matrix sit.
/// - `shape`: extents of W
/// - `arrays()`: std::tie of all index arrays, for copying, viewing and counting bytes
/// - `slots()`: number of stored values
/// - `panels()`, `panel(p)`: the channels, in order and without gaps, in groups that share a k_map
/// - `for_each_slot(p, f)`: f(slot, channel, k) for the slots of panel p; slots that only pad are not visited
/// - `validate()`: the first thing that is wrong with the arrays, or ok
template <class I>
concept format_index = requires(const I index, std::size_t p, detail::any_slot_visitor f) {
  { index.shape } -> std::convertible_to<weight_shape>;
  index.arrays();
  { index.slots() } -> std::convertible_to<std::size_t>;
  { index.panels() } -> std::convertible_to<std::size_t>;
  { index.panel(p) } -> std::same_as<channel_range>;
  index.for_each_slot(p, f);
  { index.validate() } -> std::same_as<status>;
};

/// A format: a name, two policies, an index, and a way to build the index from a mask.
/// - `k_map`, `row_select`: see policy.hpp
/// - `index<Array>`: the index with its arrays `owned` or `viewed`
/// - `from_mask(mask)`: the index that stores every kept element; a status that names the first element which the
///   format would have to drop
template <class F>
concept format = requires(mask_view keep) {
  { F::name() } -> std::convertible_to<std::string>;
  typename F::k_map;
  typename F::row_select;
  { F::from_mask(keep) } -> std::same_as<expected<typename F::template index<owned>>>;
  requires format_index<typename F::template index<owned>>;
  requires format_index<typename F::template index<viewed>>;
  requires std::is_trivially_copyable_v<typename F::template index<viewed>>;
};

/// Whether every weight has a slot, as F::holds_every_weight says. Formats that do not say so may leave weights out.
template <format F>
inline constexpr bool holds_every_weight_v = [] {
  if constexpr (requires { F::holds_every_weight; })
    return F::holds_every_weight;
  else
    return false;
}();

/// A view of an owned index. O(1).
template <format F>
typename F::template index<viewed> view_of(const typename F::template index<owned>& index) {
  typename F::template index<viewed> view{};
  view.shape = index.shape;
  auto to = view.arrays();
  const auto from = index.arrays();
  [&]<std::size_t... A>(std::index_sequence<A...>) {
    ((std::get<A>(to) = std::remove_reference_t<std::tuple_element_t<A, decltype(to)>>(std::get<A>(from))), ...);
  }(std::make_index_sequence<std::tuple_size_v<decltype(from)>>{});
  return view;
}

/// Bytes of all index arrays.
template <format_index I>
std::size_t index_bytes(const I& index) {
  return std::apply(
      [](const auto&... array) {
        return (std::size_t{0} + ... +
                (array.size() * sizeof(typename std::remove_cvref_t<decltype(array)>::value_type)));
      },
      index.arrays());
}

/// The first kept element that the format would have to drop, or ok. O(n k).
template <format F>
status conforms(mask_view keep) {
  auto index = F::from_mask(keep);
  return index.ok() ? status{} : index.error();
}

}  // namespace sparq
