// SPDX-License-Identifier: MIT
#pragma once
// Integer codes. A numeric type is a tag: which C++ type holds one code outside of packed memory, how many bits the
// code takes inside it, and which codes exist. codec.hpp says how codes share bytes; weight_quantization.hpp and
// activation_quantization.hpp say what real number a code means.

#include <sparq/base/joined_name.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace sparq {

/// Where the element with the even index sits when two or more elements share a byte.
enum class packing_order {
  low_first,   ///< in the low bits: ONNX, TFLite, CMSIS-NN, oneDNN, PULP-NN
  high_first,  ///< in the high bits: PyTorch int4pack, bitsandbytes
};

namespace detail {

/// What every integer type says of itself: the codes from Least to Most, each in Bits bits.
template <class Code, int Bits, std::int32_t Least, std::int32_t Most>
struct integer_codes {
  using code = Code;
  static constexpr int bits = Bits;
  static constexpr bool is_integer = true;
  static constexpr bool is_signed = Least < 0;
  static constexpr std::int32_t min_code = Least;
  static constexpr std::int32_t max_code = Most;
};

}  // namespace detail

/// Signed bytes.
struct s8 : detail::integer_codes<std::int8_t, 8, -128, 127> {
  static constexpr std::string_view name = "s8";
};

/// Unsigned bytes.
struct u8 : detail::integer_codes<std::uint8_t, 8, 0, 255> {
  static constexpr std::string_view name = "u8";
};

/// Activations and outputs of 16 bits; no weights.
struct s16 : detail::integer_codes<std::int16_t, 16, -32768, 32767> {
  static constexpr std::string_view name = "s16";
};

/// Accumulators and outputs only; no weights, no activations.
struct s32 : detail::integer_codes<std::int32_t, 32, INT32_MIN, INT32_MAX> {
  static constexpr std::string_view name = "s32";
};

/// Bytes whose codes are -64 to 64: what kernels hold for s5, s6 and s7. The bound stays in the type, because a CPU may
/// multiply small codes faster.
struct s8_up_to_64 : detail::integer_codes<std::int8_t, 8, -64, 64> {
  static constexpr std::string_view name = "s8_up_to_64";
};

/// Activations of 7 bits in bytes, 0 to 127. The bound is in the type for the same reason.
struct u8_up_to_127 : detail::integer_codes<std::uint8_t, 8, 0, 127> {
  static constexpr std::string_view name = "u8_up_to_127";
};

template <int Bits, bool Signed, packing_order Order>
struct narrow_integer;

namespace detail {

template <int Bits, bool Signed>
using narrow_codes = integer_codes<std::conditional_t<Signed, std::int8_t, std::uint8_t>, Bits,
                                   Signed ? -(1 << Bits) / 2 : 0, (1 << Bits) / (Signed ? 2 : 1) - 1>;

/// What kernels hold instead of codes of this width (packed_numeric_t): the next wider one that divides a byte.
template <int Bits, bool Signed, packing_order Order>
struct packed_instead {
  using packed = std::conditional_t<Bits == 3, narrow_integer<4, Signed, packing_order::low_first>,
                                    std::conditional_t<Signed, s8_up_to_64, u8>>;
};
template <int Bits, bool Signed, packing_order Order>
  requires(Bits == 1 || Bits == 2 || Bits == 4)
struct packed_instead<Bits, Signed, Order> {
  using packed = narrow_integer<Bits, Signed, packing_order::low_first>;
};

}  // namespace detail

/// Codes of 1 to 7 bits, which share bytes; two's complement if signed. Those of 3, 5, 6 and 7 bits straddle bytes:
/// they are for storage, kernels hold them in 4 or 8 bits.
template <int Bits, bool Signed, packing_order Order = packing_order::low_first>
struct narrow_integer : detail::narrow_codes<Bits, Signed>, detail::packed_instead<Bits, Signed, Order> {
  static_assert(Bits >= 1 && Bits <= 7, "sparq: narrow integers have 1 to 7 bits; use s8 or u8 for more");
  static_assert(Bits > 1 || !Signed, "sparq: one bit has no room for a sign; use u1, or binary for -1 and 1");
  static_assert(Bits == 1 || Bits == 2 || Bits == 4 || Order == packing_order::low_first,
                "sparq: codes that straddle bytes start at the low bits; use packing_order::low_first");
  static constexpr packing_order order = Order;
  static constexpr std::string_view name = detail::joined_name<Signed ? "s" : "u", std::size_t{Bits},
                                                               Order == packing_order::low_first ? "" : "_high_first">;
};

using s2 = narrow_integer<2, true>;
using s2_high_first = narrow_integer<2, true, packing_order::high_first>;
using s3 = narrow_integer<3, true>;
using s4 = narrow_integer<4, true>;
using s4_high_first = narrow_integer<4, true, packing_order::high_first>;
using s5 = narrow_integer<5, true>;
using s6 = narrow_integer<6, true>;
using s7 = narrow_integer<7, true>;
using u1 = narrow_integer<1, false>;
using u1_high_first = narrow_integer<1, false, packing_order::high_first>;
using u2 = narrow_integer<2, false>;
using u2_high_first = narrow_integer<2, false, packing_order::high_first>;
using u3 = narrow_integer<3, false>;
using u4 = narrow_integer<4, false>;
using u4_high_first = narrow_integer<4, false, packing_order::high_first>;
using u5 = narrow_integer<5, false>;
using u6 = narrow_integer<6, false>;
using u7 = narrow_integer<7, false>;

}  // namespace sparq
