// SPDX-License-Identifier: MIT
#pragma once
// Weights whose width in bits is chosen at run time, layer by layer, from a precision map as bit assignment writes it:
//
//   for (const auto& [layer, bits] : map) {  // bits of X and of W, from 1 to 8
//     const precision p = make_precision(layer, bits.x, bits.w);
//     const auto w = pack(any_precision<dense>::encode("dense", p.weight_numeric(), weights, shape));
//     gemm(x, w, y, ...);  // op/gemm_any.hpp: one visit, then the kernel of that type
//   }
//
// Eight widths meet five kernels: 1 bit is binary, 3 bits are packed as 4, and 5 to 7 as bytes up to 64.

#include <sparq/base/error.hpp>
#include <sparq/numeric/number_text.hpp>
#include <sparq/tensor/basic_any_tensor.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace sparq {

/// Bits of the activations that enter a layer, and of its weights.
struct precision {
  int x_bits = 8;
  int w_bits = 8;

  /// The numeric type of the weights: binary, s2, s3 .. s8. Bits that try_make_precision refuses have none: "", which
  /// any_precision refuses by name.
  std::string_view weight_numeric() const {
    constexpr std::string_view names[] = {"",       binary::name, s2::name, s3::name, s4::name,
                                          s5::name, s6::name,     s7::name, s8::name};
    return names[is_width(w_bits) ? w_bits : 0];
  }
  /// Activations are codes from 0 to this, in u8, or packed where they have 1, 2 or 4 bits. 0 of bits that
  /// try_make_precision refuses.
  std::int32_t x_max_code() const { return is_width(x_bits) ? (1 << x_bits) - 1 : 0; }

  friend constexpr bool operator==(const precision&, const precision&) = default;

  /// A code has 1 to 8 bits.
  static constexpr bool is_width(double bits) { return bits >= 1 && bits <= 8 && bits == static_cast<int>(bits); }
};

/// An entry of a precision map.
/// Errors: bits that are no whole number from 1 to 8; the message names the layer.
inline expected<precision> try_make_precision(std::string_view layer, double x_bits, double w_bits) {
  for (const auto& [what, bits] : {std::pair("activations", x_bits), std::pair("weights", w_bits)})
    if (!precision::is_width(bits))
      return status::failure("precision: layer " + std::string(layer) + " has " + what + " of " + number_text(bits) +
                             " bits; a code has a whole number of bits, from 1 to 8");
  return precision{static_cast<int>(x_bits), static_cast<int>(w_bits)};
}
/// Throwing twin of try_make_precision.
inline precision make_precision(std::string_view layer, double x_bits, double w_bits) {
  return try_make_precision(layer, x_bits, w_bits).value();
}

/// A tensor of one format whose codes have 1 to 8 bits, chosen by name at run time; see basic_any_tensor.
template <format F>
using any_precision = basic_any_tensor<std::variant<tensor<F, binary>, tensor<F, s2>, tensor<F, s3>, tensor<F, s4>,
                                                    tensor<F, s5>, tensor<F, s6>, tensor<F, s7>, tensor<F, s8>>>;

}  // namespace sparq
