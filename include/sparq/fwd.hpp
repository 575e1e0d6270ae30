// SPDX-License-Identifier: MIT
#pragma once
// Names only, for headers of an engine that pass these types through: numeric types, granularities, formats, views.
// Constrained templates (tensor, packed_view) cannot be named without their concepts; include tensor/tensor.hpp or
// tensor/packed.hpp for those.

#include <cstddef>

namespace sparq {

class status;
template <class T>
class expected;
class aligned_buffer;
class workspace;

struct s8;
struct u8;
struct s16;
struct s32;
struct f32;
struct bf16;
struct brain_float;
struct f16;
struct half_float;
enum class packing_order;
struct ternary;
struct ternary_dense5;
struct binary;
template <int Bits>
struct pow2;
template <int Bits, bool Signed, packing_order Order>
struct narrow_integer;

struct unquantized;
struct per_tensor;
struct per_channel;
template <std::size_t G>
struct per_group;
template <std::size_t R, std::size_t G>
struct per_block;
template <std::size_t B>
struct per_bucket;

struct dense;
struct csr;
struct bitmask;
template <std::size_t R, std::size_t C>
struct block;
template <std::size_t N, std::size_t M>
struct n_m;
template <std::size_t G, class... Inside>
struct tile_wise;
template <std::size_t V, std::size_t N, std::size_t M>
struct tile_n_m;

struct weight_shape;
struct mask_view;
class mask;
template <class T>
struct matrix_view;
template <class T>
struct k_major_view;
template <class T>
struct quad_view;
template <class T>
struct image_view;
template <class T>
struct plane_view;
template <class N>
struct narrow_matrix_view;
template <class N>
struct narrow_image_view;
struct window_parameters;

}  // namespace sparq
