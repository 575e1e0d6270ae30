// SPDX-License-Identifier: MIT
#pragma once
// Any function of a byte as 256 bytes: activation functions of quantized tensors, exact for whatever they compute.

#include <sparq/base/error.hpp>
#include <sparq/numeric/activation_quantization.hpp>
#include <sparq/numeric/integer.hpp>

#include <cstdint>
#include <utility>

namespace sparq {

/// The code of Out for every code of In, s8 or u8. `entries[byte]` belongs to the code whose byte it is: 0 .. 127, then
/// -128 .. -1 for s8.
template <activation_numeric In, activation_numeric Out>
struct look_up_table {
  static_assert(In::bits == 8 && Out::bits == 8, "sparq: tables map bytes to bytes; use s8 or u8");
  using in = In;
  using out = Out;
  typename Out::code entries[256] = {};

  constexpr typename Out::code operator[](typename In::code code) const {
    return entries[static_cast<std::uint8_t>(code)];
  }
};

/// f(code) for every code; f gives codes of Out.
template <activation_numeric In, activation_numeric Out, class F>
constexpr look_up_table<In, Out> table_of_codes(F&& f) {
  look_up_table<In, Out> table;
  for (std::int32_t code = In::min_code; code <= In::max_code; ++code)
    table.entries[static_cast<std::uint8_t>(code)] = f(static_cast<typename In::code>(code));
  return table;
}

/// quantize(f(dequantize(code))) for every code; f takes and gives float. NaN becomes the zero point.
/// Errors: quantizations that do not validate.
template <activation_numeric In, activation_numeric Out, class F>
expected<look_up_table<In, Out>> try_table_of(const activation_quantization& x, const activation_quantization& y,
                                              F&& f) {
  if (status s = validate<In>(x); !s.ok()) return s;
  if (status s = validate<Out>(y); !s.ok()) return s;
  return table_of_codes<In, Out>([&](typename In::code code) {
    return quantize_activation<Out>(static_cast<float>(f(dequantize_activation<In>(code, x))), y);
  });
}
/// Throwing twin.
template <activation_numeric In, activation_numeric Out, class F>
look_up_table<In, Out> table_of(const activation_quantization& x, const activation_quantization& y, F&& f) {
  return try_table_of<In, Out>(x, y, std::forward<F>(f)).value();
}

}  // namespace sparq
