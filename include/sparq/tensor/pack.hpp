// SPDX-License-Identifier: MIT
#pragma once
// The explicit step from a tensor to what kernels read (packed.hpp, packed_columns.hpp, packed_bitmask.hpp). It says
// beforehand how many bytes it writes, and writes them into the caller's memory if asked. Works for every format, the
// user's own included.

#include <sparq/tensor/pack_bitmask.hpp>
#include <sparq/tensor/pack_columns.hpp>
#include <sparq/tensor/pack_panels.hpp>
#include <sparq/tensor/pack_window.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

namespace sparq {

namespace detail {

/// The packer for a shape: panel_shape and window_shape serve the rows loop, bitmask_shape the expanding one,
/// column_shape the columns loop.
template <class Shape, format F, numeric N, quantization_granularity G>
struct packer_for {
  using type = packer<Shape, F, N, G>;
};
template <std::size_t Channels, std::size_t GroupK, std::size_t Run, format F, numeric N, quantization_granularity G>
struct packer_for<column_shape<Channels, GroupK, Run>, F, N, G> {
  using type = column_packer<column_shape<Channels, GroupK, Run>, F, N, G>;
};
template <std::size_t Channels, std::size_t GroupK, format F, numeric N, quantization_granularity G>
struct packer_for<bitmask_shape<Channels, GroupK>, F, N, G> {
  using type = bitmask_packer<bitmask_shape<Channels, GroupK>, F, N, G>;
};
template <std::size_t Channels, std::size_t GroupK, std::size_t W, format F, numeric N, quantization_granularity G>
struct packer_for<window_shape<Channels, GroupK, W>, F, N, G> {
  using type = window_packer<window_shape<Channels, GroupK, W>, F, N, G>;
};
template <class Shape, format F, numeric N, quantization_granularity G>
using packer_for_t = typename packer_for<Shape, F, N, G>::type;

/// A packer of w that has measured what it will write.
template <class Shape, format F, numeric N, quantization_granularity G>
auto measured(const tensor_view<F, N, G>& w, [[maybe_unused]] for_rows rows) {
  using packer_type = packer_for_t<Shape, F, N, G>;
  if constexpr (std::is_constructible_v<packer_type, const tensor_view<F, N, G>&, for_rows>)
    return packer_type(w, rows);
  else
    return packer_type(w);
}

/// Whether a form can hold its tensor; most hold every one.
template <class Packer>
status check_packable(const Packer& packer) {
  if constexpr (requires { packer.check(); })
    return packer.check();
  else
    return {};
}

}  // namespace detail

/// The shape in which a format is packed for the columns loop: integers whose format stores aligned runs of four k's
/// keep them together.
template <format F, numeric N>
struct column_shape_for {
  using type = default_column_shape<N>;
};
template <format F, numeric N>
  requires requires { F::run; } && (F::run % 4 == 0) && N::is_integer
struct column_shape_for<F, N> {
  using type = column_shape<4, 4, 4>;
};
template <format F, numeric N>
using column_shape_for_t = typename column_shape_for<F, N>::type;

/// The shape in which a format is packed unless told otherwise: scattered k's for the columns loop,
/// all others for rows.
template <format F, numeric N>
using default_shape = std::conditional_t<std::is_same_v<typename F::k_map, scattered>, column_shape_for_t<F, N>,
                                         default_panel_shape<N>>;

/// The packed form of a tensor.
template <class Tensor, class Shape = default_shape<typename Tensor::format_type, typename Tensor::numeric_type>>
using packed_view_of = typename detail::packer_for_t<Shape, typename Tensor::format_type, typename Tensor::numeric_type,
                                                     typename Tensor::granularity>::view_type;

/// Bytes that packing `w` will write, for the same rows. O(slots).
template <class Shape, format F, numeric N, quantization_granularity G>
std::size_t packed_bytes(const tensor_view<F, N, G>& w, for_rows rows = {}) {
  return detail::measured<Shape>(w, rows).bytes();
}

/// Packs into the caller's memory; nothing is written when an error is returned.
/// Errors: a block that is too small or not aligned to 64 bytes; a table without 0 for the columns loop or for windows
/// (only dense tensors have such); slots that break the N:M pattern which the format's policies promise.
/// Complexity O(n k).
template <class Shape, format F, numeric N, quantization_granularity G>
expected<packed_view_of<tensor_view<F, N, G>, Shape>> try_pack_into(const tensor_view<F, N, G>& w,
                                                                    std::span<std::byte> block, for_rows rows = {}) {
  auto packer = detail::measured<Shape>(w, rows);
  if (block.size() < packer.bytes())
    return status::failure("pack: " + std::to_string(packer.bytes()) + " bytes are needed, the block has " +
                           std::to_string(block.size()));
  if (reinterpret_cast<std::uintptr_t>(block.data()) % alignment != 0)
    return status::failure("pack: the block does not start on a boundary of 64 bytes");
  if (status s = detail::check_packable(packer); !s.ok()) return s;
  packer.write(block);
  return packed_view_of<tensor_view<F, N, G>, Shape>(unchecked, block.data());
}

/// Packs into memory of its own.
/// - `Shape`: panel_shape for the rows loop, window_shape or bitmask_shape for few rows, column_shape for the columns
///   loop; the default is what suits the format
/// - `rows`: of X in most products, if that is known
/// Errors: a table without 0 for the columns loop or for windows; slots that break the N:M pattern which the format's
/// policies promise. @pre w is valid. Complexity O(n k).
template <class Shape, format F, numeric N, quantization_granularity G>
expected<packed<packed_view_of<tensor_view<F, N, G>, Shape>>> try_pack(const tensor_view<F, N, G>& w,
                                                                       for_rows rows = {}) {
  auto packer = detail::measured<Shape>(w, rows);
  if (status s = detail::check_packable(packer); !s.ok()) return s;
  aligned_buffer block(packer.bytes());
  packer.write(block.bytes());
  return packed<packed_view_of<tensor_view<F, N, G>, Shape>>(unchecked, std::move(block));
}
/// Throwing twin of try_pack.
template <class Shape, format F, numeric N, quantization_granularity G>
packed<packed_view_of<tensor_view<F, N, G>, Shape>> pack(const tensor_view<F, N, G>& w, for_rows rows = {}) {
  return try_pack<Shape>(w, rows).value();
}

template <format F, numeric N, quantization_granularity G>
auto pack(const tensor_view<F, N, G>& w, for_rows rows = {}) { return pack<default_shape<F, N>>(w, rows); }
template <format F, numeric N, quantization_granularity G>
auto pack(const tensor<F, N, G>& w, for_rows rows = {}) { return pack<default_shape<F, N>>(w.view(), rows); }
template <class Shape, format F, numeric N, quantization_granularity G>
auto pack(const tensor<F, N, G>& w, for_rows rows = {}) { return pack<Shape>(w.view(), rows); }
template <format F, numeric N, quantization_granularity G>
auto try_pack(const tensor<F, N, G>& w, for_rows rows = {}) { return try_pack<default_shape<F, N>>(w.view(), rows); }
template <class Shape, format F, numeric N, quantization_granularity G>
auto try_pack(const tensor<F, N, G>& w, for_rows rows = {}) { return try_pack<Shape>(w.view(), rows); }

template <format F, numeric N, quantization_granularity G>
std::size_t packed_bytes(const tensor<F, N, G>& w, for_rows rows = {}) {
  return packed_bytes<default_shape<F, N>>(w.view(), rows);
}
template <format F, numeric N, quantization_granularity G>
auto try_pack_into(const tensor<F, N, G>& w, std::span<std::byte> block, for_rows rows = {}) {
  return try_pack_into<default_shape<F, N>>(w.view(), block, rows);
}

}  // namespace sparq
