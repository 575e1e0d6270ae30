// SPDX-License-Identifier: MIT
#pragma once
// Which products can be measured: pairs of numeric types, and the formats of each. Every pair is instantiated in one of
// product_*.cpp, so that files are compiled beside each other; product.cpp, which knows their names,
// compiles no kernel.

#include "bench/workbench/product.hpp"

#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_n_m.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/format/tile_wise_n_m.hpp>
#include <sparq/tensor/pack.hpp>

#include <memory>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace workbench {

using format_list =
    std::tuple<sparq::dense, sparq::csr, sparq::block<1, 4>, sparq::block<16, 4>, sparq::n_m<2, 4>, sparq::n_m<1, 4>,
               sparq::n_m<4, 8>, sparq::tile_wise<128>, sparq::tile_wise<128, sparq::n_m<2, 4>>,
               sparq::tile_n_m<32, 2, 4>, sparq::tile_n_m<32, 1, 4>>;

/// Those of u8 x s8, with longer N:M patterns.
using byte_formats = decltype(std::tuple_cat(
    std::declval<format_list>(),
    std::declval<std::tuple<sparq::n_m<2, 8>, sparq::n_m<1, 8>, sparq::n_m<4, 16>, sparq::tile_n_m<32, 2, 8>>>()));
/// The formats of numeric types that are one of many of their width: what they cost is what the type before them costs.
using few_formats = std::tuple<sparq::dense, sparq::csr, sparq::tile_wise<128>>;
using bf16_formats = std::tuple<sparq::dense, sparq::csr, sparq::n_m<2, 4>, sparq::tile_wise<128>>;
using tile_format = std::tuple<sparq::tile_wise<128>>;
/// Those of bits that are counted.
using bit_formats = std::tuple<sparq::dense, sparq::tile_wise<128>>;
using dense_format = std::tuple<sparq::dense>;

template <class Formats>
std::vector<std::string> names_of() {
  return []<class... Format>(std::type_identity<std::tuple<Format...>>) {
    return std::vector<std::string>{Format::name()...};
  }(std::type_identity<Formats>{});
}

/// make(std::type_identity<Format>) of the format that is called so; nothing when the name is not in the list.
template <class Formats, class Make>
std::unique_ptr<product> make_of_format(const std::string& name, Make&& make) {
  std::unique_ptr<product> result;
  const auto consider = [&]<class Format>(std::type_identity<Format> format) {
    if (Format::name() == name) result = make(format);
  };
  [&]<class... Format>(std::type_identity<std::tuple<Format...>>) {
    (consider(std::type_identity<Format>{}), ...);
  }(std::type_identity<Formats>{});
  return result;
}

/// X x W with an epilogue (product_case.hpp).
template <class X, class W, class Formats = few_formats>
struct products {
  using formats = Formats;
  static std::unique_ptr<product> make(const product_request&, std::span<const float>, sparq::weight_shape);
};

/// X x W whose sums stay as they are (product_sums.hpp).
template <class X, class W, class G = sparq::default_granularity<W>,
          class Shape = sparq::default_shape<sparq::dense, W>, class Formats = dense_format>
struct sums {
  using formats = Formats;
  static std::unique_ptr<product> make(const product_request&, std::span<const float>, sparq::weight_shape);
};
/// Bits that are counted.
template <class W, class Formats = dense_format>
using bit_sums = sums<sparq::binary, W, sparq::default_granularity<W>, sparq::bit_panel_shape, Formats>;

/// u8 x s8 in two tensors, whose sums are added (product_remainder.cpp).
struct products_with_remainder {
  using formats = std::tuple<sparq::tile_wise<128>>;
  static std::unique_ptr<product> make(const product_request&, std::span<const float>, sparq::weight_shape);
};

}  // namespace workbench
