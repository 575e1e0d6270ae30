// SPDX-License-Identifier: MIT
#pragma once
// A tensor whose format and numeric type are chosen at run time, by name, among the library's own. Code that knows its
// types, and formats of your own, use tensor<Format, Numeric>; other sets of types are a basic_any_tensor.
//
//   format    dense  csr  block<16,4>  n_m<2,4>  tile_wise<128>  tile_n_m<32,2,4>
//   numeric   f32  s8  s4, with the scales that belong to them: none, or one for each output channel

#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_n_m.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/tensor/basic_any_tensor.hpp>

#include <variant>

namespace sparq {

namespace detail {

template <class... F>
using any_tensor_variant_of = std::variant<tensor<F, f32>..., tensor<F, s8>..., tensor<F, s4>...>;
using any_tensor_variant =
    any_tensor_variant_of<dense, csr, block<16, 4>, n_m<2, 4>, tile_wise<128>, tile_n_m<32, 2, 4>>;

}  // namespace detail

/// A tensor of any of the library's formats and numeric types.
using any_tensor = basic_any_tensor<detail::any_tensor_variant>;

/// The packed form of an any_tensor.
using any_packed = basic_any_packed<detail::packed_variant_t<detail::any_tensor_variant>>;

}  // namespace sparq
