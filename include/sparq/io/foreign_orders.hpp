// SPDX-License-Identifier: MIT
#pragma once
// Where others keep the bits of narrow codes. An order is an index function: which bit of the memory is bit b of the
// code of channel n and k? All that differs between ecosystems is in there,
// and one loop reads them and one writes them, bit by bit:
// conversions that run once, when a model is loaded.
//
//   order                         codes [n][k] of channel 0: 1 2 3 4        who
//   flat<4>                       21 43, rows not padded                   ONNX, TFLite, CMSIS-NN, oneDNN, PULP-NN
//   flat_high_first<4>            12 34, rows not padded                   bitsandbytes, ORT MatMulBnb4
//   rows<4>, rows_high_first<4>   the same, each row from a byte on        ORT zero points; PyTorch int4pack
//   blocks_of_k<4, Block>         rows of whole blocks of k                ORT MatMulNBits
//   gptq<Bits>                    32-bit words [k * Bits / 32][n]          GPTQ qweight; 3 bits straddle words
//   gptq_zeros<Bits>              words [group][n * Bits / 32], zero - 1   GPTQ qzeros
//   awq                           words [k][n / 8], columns 0 2 4 6 1 3 5 7  AWQ qweight and qzeros
//   i2_s                          128 codes in 32 bytes, a quarter each    bitnet.cpp I2_S on x86 (ACT_PARALLEL)
//
// Bit 0 is the lowest bit of byte 0; words are little-endian, so bit i of word w is bit 32 w + i.

#include <sparq/base/error.hpp>
#include <sparq/base/math.hpp>
#include <sparq/format/shape.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace sparq::orders {

/// `bits` of a code; `bias`: what is stored less the code; `bytes(shape)` that n x k codes take; `bit(n, k, b, shape)`;
/// `check(shape)`: shapes that the order cannot hold; `most_stored`: the largest field, if not all of them are codes.
template <class T>
concept foreign_order = requires(std::size_t i, int b, weight_shape shape) {
  { T::name } -> std::convertible_to<std::string_view>;
  { T::bits } -> std::convertible_to<int>;
  { T::bias } -> std::convertible_to<int>;
  { T::bytes(shape) } -> std::same_as<std::size_t>;
  { T::bit(i, i, b, shape) } -> std::same_as<std::size_t>;
  { T::check(shape) } -> std::same_as<status>;
};

namespace detail {

struct any_shape {
  static constexpr int bias = 0;
  static status check(weight_shape) { return {}; }
};

inline status needs_multiple(std::string_view order, const char* of, std::size_t value, std::size_t factor) {
  if (value % factor == 0) return {};
  return status::failure(std::string(order) + ": " + of + " = " + std::to_string(value) + " is no multiple of " +
                         std::to_string(factor));
}

/// Place of field `i` of a stream whose bytes are filled from their low or their high end.
template <int Bits, bool HighFirst>
constexpr std::size_t stream_bit(std::size_t i, int b) {
  constexpr std::size_t per_byte = 8 / Bits;
  const std::size_t place = HighFirst ? per_byte - 1 - i % per_byte : i % per_byte;
  return i / per_byte * 8 + place * Bits + static_cast<std::size_t>(b);
}

}  // namespace detail

/// One stream over all rows; only its very end is padded.
template <int Bits, bool HighFirst = false>
struct flat : detail::any_shape {
  static_assert(Bits == 1 || Bits == 2 || Bits == 4, "sparq: streams hold codes of 1, 2 or 4 bits; use gptq<3> for 3");
  static constexpr std::string_view name = HighFirst ? "flat_high_first" : "flat";
  static constexpr int bits = Bits;
  static constexpr std::size_t bytes(weight_shape s) { return ceil_div(s.n * s.k * Bits, 8); }
  static constexpr std::size_t bit(std::size_t n, std::size_t k, int b, weight_shape s) {
    return detail::stream_bit<Bits, HighFirst>(n * s.k + k, b);
  }
};
template <int Bits>
using flat_high_first = flat<Bits, true>;

/// A stream for each row, which starts with a byte of its own.
template <int Bits, bool HighFirst = false>
struct rows : detail::any_shape {
  static_assert(Bits == 1 || Bits == 2 || Bits == 4, "sparq: streams hold codes of 1, 2 or 4 bits; use gptq<3> for 3");
  static constexpr std::string_view name = HighFirst ? "rows_high_first" : "rows";
  static constexpr int bits = Bits;
  static constexpr std::size_t bytes(weight_shape s) { return s.n * ceil_div(s.k * Bits, 8); }
  static constexpr std::size_t bit(std::size_t n, std::size_t k, int b, weight_shape s) {
    return n * ceil_div(s.k * Bits, 8) * 8 + detail::stream_bit<Bits, HighFirst>(k, b);
  }
};
template <int Bits>
using rows_high_first = rows<Bits, true>;

/// [n][ceil(k / Block)][Block * Bits / 8]: the last block of a row is padded.
template <int Bits, std::size_t Block>
struct blocks_of_k : detail::any_shape {
  static_assert(Bits == 2 || Bits == 4, "sparq: blocks of k hold codes of 2 or 4 bits");
  static_assert(Block % 16 == 0, "sparq: MatMulNBits has blocks of 16 and multiples; use 16, 32, 64, 128 or 256");
  static constexpr std::string_view name = "blocks_of_k";
  static constexpr int bits = Bits;
  static constexpr std::size_t bytes(weight_shape s) { return s.n * ceil_div(s.k, Block) * (Block * Bits / 8); }
  static constexpr std::size_t bit(std::size_t n, std::size_t k, int b, weight_shape s) {
    return detail::stream_bit<Bits, false>(n * round_up(s.k, Block) + k, b);
  }
};

/// qweight of GPTQ: a stream of bits down each column of words, so that codes of 3 bits straddle two words in places.
template <int Bits>
struct gptq {
  static_assert(Bits == 2 || Bits == 3 || Bits == 4 || Bits == 8, "sparq: GPTQ has 2, 3, 4 or 8 bits");
  static constexpr std::string_view name = "gptq";
  static constexpr int bits = Bits;
  static constexpr int bias = 0;
  static status check(weight_shape s) { return detail::needs_multiple(name, "k", s.k, 32); }
  static constexpr std::size_t bytes(weight_shape s) { return s.k * Bits / 32 * s.n * 4; }
  static constexpr std::size_t bit(std::size_t n, std::size_t k, int b, weight_shape s) {
    const std::size_t at = k * Bits + static_cast<std::size_t>(b);
    return (at / 32 * s.n + n) * 32 + at % 32;
  }
};

/// qzeros of GPTQ: zero points of n channels and k groups, stored less one, along n.
template <int Bits>
struct gptq_zeros {
  static_assert(Bits == 2 || Bits == 3 || Bits == 4,
                "sparq: a zero point of GPTQ beyond 255 is no byte; use 2, 3 or 4 bits");
  static constexpr std::string_view name = "gptq_zeros";
  static constexpr int bits = Bits;
  static constexpr int bias = -1;
  static status check(weight_shape s) { return detail::needs_multiple(name, "n", s.n, 32); }
  static constexpr std::size_t bytes(weight_shape s) { return s.k * (s.n * Bits / 32) * 4; }
  static constexpr std::size_t bit(std::size_t n, std::size_t group, int b, weight_shape s) {
    return group * s.n * Bits + n * Bits + static_cast<std::size_t>(b);
  }
};

/// AWQ's gemm layout, for weights and, with k as the group, for zero points.
struct awq {
  static constexpr std::string_view name = "awq";
  static constexpr int bits = 4;
  static constexpr int bias = 0;
  static status check(weight_shape s) { return detail::needs_multiple(name, "n", s.n, 8); }
  static constexpr std::size_t bytes(weight_shape s) { return s.k * s.n / 2; }
  static constexpr std::size_t bit(std::size_t n, std::size_t k, int b, weight_shape s) {
    const std::size_t nibble = n % 2 * 4 + n % 8 / 2;  // nibbles 0 .. 7 hold columns 0 2 4 6 1 3 5 7
    return (k * s.n + n / 8 * 8 + nibble) * 4 + static_cast<std::size_t>(b);
  }
};

/// bitnet.cpp's I2_S as its x86 build with ACT_PARALLEL writes it: -1, 0, 1 as 0, 1, 2. Its other builds differ.
struct i2_s {
  static constexpr std::string_view name = "i2_s";
  static constexpr int bits = 2;
  static constexpr int bias = 1;
  static constexpr int most_stored = 2;
  static status check(weight_shape s) { return detail::needs_multiple(name, "n * k", s.n * s.k, 128); }
  static constexpr std::size_t bytes(weight_shape s) { return s.n * s.k / 4; }
  static constexpr std::size_t bit(std::size_t n, std::size_t k, int b, weight_shape s) {
    const std::size_t i = n * s.k + k;
    return (i / 128 * 32 + i % 32) * 8 + (6 - i % 128 / 32 * 2) + static_cast<std::size_t>(b);
  }
};

namespace detail {

template <class Order>
status check_sizes(weight_shape shape, std::size_t bytes, std::size_t codes) {
  if (status s = validate(shape); !s.ok()) return status::failure(std::string(Order::name) + ": " + s.message());
  if (status s = Order::check(shape); !s.ok()) return s;
  if (bytes == Order::bytes(shape) && codes == shape.n * shape.k) return {};
  return status::failure(std::string(Order::name) + ": " + to_string(shape) + " codes take " +
                         std::to_string(Order::bytes(shape)) + " bytes; there are " + std::to_string(codes) +
                         " codes and " + std::to_string(bytes) + " bytes");
}

/// The codes that an order can hold as Code: signed ones in two's complement unless the order moves them.
template <class Order, class Code>
inline constexpr bool is_twos_complement_v = std::is_signed_v<Code> && Order::bias == 0;
template <class Order, class Code>
inline constexpr int least_code_v = is_twos_complement_v<Order, Code> ? -(1 << (Order::bits - 1)) : -Order::bias;
template <class Order>
inline constexpr int most_stored_v = [] {
  if constexpr (requires { Order::most_stored; })
    return Order::most_stored;
  else
    return (1 << Order::bits) - 1;
}();

/// What stands for the code of channel n and k. @pre check_sizes
template <class Order>
int stored_field(std::span<const std::byte> data, std::size_t n, std::size_t k, weight_shape shape) {
  int stored = 0;
  for (int b = 0; b < Order::bits; ++b) {
    const std::size_t at = Order::bit(n, k, b, shape);
    stored |= static_cast<int>(std::to_integer<unsigned>(data[at / 8]) >> at % 8 & 1U) << b;
  }
  return stored;
}

/// The first field that is no code, or ok. @pre check_sizes
template <class Order>
status check_fields(std::span<const std::byte> data, weight_shape shape) {
  if constexpr (requires { Order::most_stored; })
    for (std::size_t n = 0; n < shape.n; ++n)
      for (std::size_t k = 0; k < shape.k; ++k)
        if (const int stored = stored_field<Order>(data, n, k, shape); stored > Order::most_stored)
          return status::failure(std::string(Order::name) + ": " + position_text(n, k) + " has the bits of " +
                                 std::to_string(stored) + ", which is no code");
  return {};
}

template <class Order, class Code>
constexpr void check_code() {
  static_assert(sizeof(Code) == 1, "sparq: foreign codes become bytes; use std::int8_t or std::uint8_t");
  static_assert(std::is_signed_v<Code> || Order::bias <= 0, "sparq: this order has codes below 0; use std::int8_t");
}

}  // namespace detail

/// Codes [n][k] of foreign bytes. Code int8_t reads two's complement (or -1, 0, 1 of i2_s), uint8_t the plain bits.
/// Errors: shapes that the order cannot hold, sizes that do not match, the first field that is no code. Nothing is
/// written then. O(n k bits).
template <foreign_order Order, class Code>
status try_unpack(std::span<const std::byte> data, weight_shape shape, std::span<Code> codes) {
  detail::check_code<Order, Code>();
  if (status s = detail::check_sizes<Order>(shape, data.size(), codes.size()); !s.ok()) return s;
  if (status s = detail::check_fields<Order>(data, shape); !s.ok()) return s;
  for (std::size_t n = 0; n < shape.n; ++n)
    for (std::size_t k = 0; k < shape.k; ++k) {
      const int stored = detail::stored_field<Order>(data, n, k, shape);
      if constexpr (detail::is_twos_complement_v<Order, Code>) {
        constexpr int sign = 1 << (Order::bits - 1);
        codes[n * shape.k + k] = static_cast<Code>((stored ^ sign) - sign);
      } else {
        codes[n * shape.k + k] = static_cast<Code>(stored - Order::bias);
      }
    }
  return {};
}

/// Foreign bytes of codes [n][k]; bits that belong to no code are 0.
/// Errors: as try_unpack, and the first code that the order cannot hold. Nothing is written then. O(n k bits).
template <foreign_order Order, class Code>
status try_pack(std::span<const Code> codes, weight_shape shape, std::span<std::byte> data) {
  detail::check_code<Order, Code>();
  if (status s = detail::check_sizes<Order>(shape, data.size(), codes.size()); !s.ok()) return s;
  constexpr int least = detail::least_code_v<Order, Code>, most = least + detail::most_stored_v<Order>;
  for (std::size_t i = 0; i < codes.size(); ++i)
    if (codes[i] < least || codes[i] > most)
      return status::failure(std::string(Order::name) + ": code " + std::to_string(codes[i]) + " at " +
                             position_text(i / shape.k, i % shape.k) + " is not in [" + std::to_string(least) + ", " +
                             std::to_string(most) + "]");
  for (std::byte& byte : data) byte = std::byte{0};
  for (std::size_t n = 0; n < shape.n; ++n)
    for (std::size_t k = 0; k < shape.k; ++k) {
      const auto stored = static_cast<unsigned>(codes[n * shape.k + k] + Order::bias);
      for (int b = 0; b < Order::bits; ++b) {
        const std::size_t at = Order::bit(n, k, b, shape);
        data[at / 8] |= static_cast<std::byte>((stored >> b & 1U) << at % 8);
      }
    }
  return {};
}

/// Throwing twins.
template <foreign_order Order, class Code>
void unpack(std::span<const std::byte> data, weight_shape shape, std::span<Code> codes) {
  try_unpack<Order, Code>(data, shape, codes).value();
}
template <foreign_order Order, class Code>
void pack(std::span<const Code> codes, weight_shape shape, std::span<std::byte> data) {
  try_pack<Order, Code>(codes, shape, data).value();
}

}  // namespace sparq::orders
