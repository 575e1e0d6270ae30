// SPDX-License-Identifier: MIT
#pragma once
// How codes sit in bytes: one contiguous stream, codes of fewer than 8 bits share bytes and rows are not padded.
//
//   s4             codes [1 2 3]   bytes 0x21 0x03   element 2i in the low nibble
//   s4_high_first  codes [1 2 3]   bytes 0x12 0x30   element 2i in the high nibble
//   s3             codes [1 2 3]   bytes 0xD1 0x00   code i at bit 3i, and so for 5, 6 and 7 bits
//
// The bits behind the last code are zero. Codes of several bytes are little-endian.

#include <sparq/base/math.hpp>
#include <sparq/numeric/numeric.hpp>

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

namespace sparq {

static_assert(std::endian::native == std::endian::little,
              "sparq: packed codes are little-endian; big-endian machines are not supported");

namespace detail {

/// The low N::bits bits that stand for a code of at most 32.
template <numeric N>
constexpr std::uint32_t bits_of(typename N::code value) {
  if constexpr (requires { N::to_bits(value); })
    return N::to_bits(value);
  else if constexpr (requires { value.bits; })
    return value.bits;
  else if constexpr (N::bits == 32)
    return std::bit_cast<std::uint32_t>(value);
  else
    return static_cast<std::uint32_t>(value) & ((1U << N::bits) - 1U);
}
/// The code of fewer than 32 bits that these stand for.
template <numeric N>
constexpr typename N::code code_of(unsigned bits) {
  if constexpr (requires { N::from_bits(bits); }) {
    return N::from_bits(bits);
  } else {
    constexpr int sign = N::is_signed ? 1 << (N::bits - 1) : 0;
    return static_cast<typename N::code>((static_cast<int>(bits) ^ sign) - sign);
  }
}

/// Codes that share a byte evenly: 1, 2 or 4 bits.
template <numeric N>
struct bit_field {
  static constexpr std::size_t per_byte = 8 / N::bits;
  static constexpr unsigned mask = (1u << N::bits) - 1u;

  static constexpr unsigned shift(std::size_t i) {
    const std::size_t place = N::order == packing_order::low_first ? i % per_byte : per_byte - 1 - i % per_byte;
    return static_cast<unsigned>(place) * N::bits;
  }
  static constexpr unsigned encode(typename N::code value, std::size_t i) { return bits_of<N>(value) << shift(i); }
  static constexpr typename N::code decode(std::byte byte, std::size_t i) {
    return code_of<N>((std::to_integer<unsigned>(byte) >> shift(i)) & mask);
  }
  static constexpr typename N::code load(const std::byte* data, std::size_t i) { return decode(data[i / per_byte], i); }
  static constexpr void store(std::byte* data, std::size_t i, typename N::code value) {
    std::byte& byte = data[i / per_byte];
    const unsigned others = std::to_integer<unsigned>(byte) & ~(mask << shift(i));
    byte = static_cast<std::byte>(others | encode(value, i));
  }
};

/// Codes of 3, 5, 6 or 7 bits: code i starts at bit i * bits of the stream and may end in the next byte.
template <numeric N>
struct straddling_field {
  static_assert(N::order == packing_order::low_first,
                "sparq: codes share bytes evenly or start at the low bits; use 1, 2 or 4 bits, or low_first");
  static constexpr unsigned mask = (1u << N::bits) - 1u;

  static constexpr typename N::code load(const std::byte* data, std::size_t i) {
    const std::size_t bit = i * N::bits;
    unsigned word = std::to_integer<unsigned>(data[bit / 8]);
    if (bit % 8 + N::bits > 8) word |= std::to_integer<unsigned>(data[bit / 8 + 1]) << 8;
    return code_of<N>(word >> (bit % 8) & mask);
  }
  static constexpr void store(std::byte* data, std::size_t i, typename N::code value) {
    const std::size_t bit = i * N::bits;
    const unsigned bits = bits_of<N>(value) << (bit % 8), others = ~(mask << (bit % 8));
    const auto replace = [](std::byte& byte, unsigned keep, unsigned add) {
      byte = static_cast<std::byte>((std::to_integer<unsigned>(byte) & keep) | add);
    };
    replace(data[bit / 8], others, bits & 0xffU);
    if (bit % 8 + N::bits > 8) replace(data[bit / 8 + 1], others >> 8, bits >> 8);
  }
};

/// Codes that share a byte in a way of their own: N says how many, and reads and writes the byte.
template <class N>
concept byte_of_codes = requires(std::uint8_t byte, std::size_t at, typename N::code value) {
  { N::codes_per_byte } -> std::convertible_to<std::size_t>;
  { N::load(byte, at) } -> std::same_as<typename N::code>;
  { N::store(byte, at, value) } -> std::same_as<std::uint8_t>;
};
template <numeric N>
struct own_field {
  static constexpr typename N::code load(const std::byte* data, std::size_t i) {
    return N::load(std::to_integer<std::uint8_t>(data[i / N::codes_per_byte]), i % N::codes_per_byte);
  }
  static constexpr void store(std::byte* data, std::size_t i, typename N::code value) {
    std::byte& byte = data[i / N::codes_per_byte];
    byte = std::byte{N::store(std::to_integer<std::uint8_t>(byte), i % N::codes_per_byte, value)};
  }
};

/// Whether whole bytes can be made of codes without looking at their neighbours.
template <numeric N>
inline constexpr bool fills_bytes_v = 8 % N::bits == 0 && !byte_of_codes<N>;

template <numeric N>
using field_of = std::conditional_t<byte_of_codes<N>, own_field<N>,
                                    std::conditional_t<fills_bytes_v<N>, bit_field<N>, straddling_field<N>>>;

template <numeric N>
inline constexpr bool shares_bytes_v = N::bits < 8;

template <numeric N>
constexpr void check_whole_bytes() {
  static_assert(sizeof(typename N::code) * 8 == N::bits,
                "sparq: a code of 8 bits or more must fill its C++ type; make bits 8 * sizeof(code)");
}

}  // namespace detail

/// Bytes that `count` codes take: ceil(count * bits / 8), or whole bytes of N's own codes_per_byte.
/// @pre the result fits in std::size_t, as it does for the slots of every shape that validates
template <numeric N>
constexpr std::size_t storage_bytes(std::size_t count) {
  if constexpr (detail::byte_of_codes<N>) return ceil_div(count, N::codes_per_byte);
  constexpr auto bits = static_cast<std::size_t>(N::bits);
  return count / 8 * bits + ceil_div(count % 8 * bits, 8);  // count * bits may not fit
}

/// Code `i` of a stream. @pre storage_bytes<N>(i + 1) bytes are readable
template <numeric N>
constexpr typename N::code load_code(const std::byte* data, std::size_t i) {
  if constexpr (detail::shares_bytes_v<N>) {
    return detail::field_of<N>::load(data, i);
  } else if constexpr (N::bits == 8) {
    return static_cast<typename N::code>(data[i]);
  } else {
    detail::check_whole_bytes<N>();
    typename N::code value;
    std::memcpy(&value, data + i * sizeof value, sizeof value);
    return value;
  }
}

/// Replaces code `i` of a stream and leaves its neighbours in the same byte untouched.
/// @pre storage_bytes<N>(i + 1) bytes are writable; `value` is a code of N (only its low bits are stored)
template <numeric N>
constexpr void store_code(std::byte* data, std::size_t i, typename N::code value) {
  if constexpr (detail::shares_bytes_v<N>) {
    detail::field_of<N>::store(data, i, value);
  } else if constexpr (N::bits == 8) {
    data[i] = static_cast<std::byte>(value);
  } else {
    detail::check_whole_bytes<N>();
    std::memcpy(data + i * sizeof value, &value, sizeof value);
  }
}

/// Writes all `storage_bytes<N>(codes.size())` bytes of a stream.
/// @pre `out` does not overlap `codes`; every value is a code of N (only its low bits are stored). O(count).
template <numeric N>
void pack_codes(std::span<const typename N::code> codes, std::byte* out) {
  if (codes.empty()) return;
  if constexpr (detail::shares_bytes_v<N> && !detail::fills_bytes_v<N>) {
    std::memset(out, 0, storage_bytes<N>(codes.size()));
    for (std::size_t i = 0; i < codes.size(); ++i) detail::field_of<N>::store(out, i, codes[i]);
  } else if constexpr (detail::shares_bytes_v<N>) {
    using field = detail::bit_field<N>;
    const std::size_t whole = codes.size() / field::per_byte;
    const typename N::code* in = codes.data();
    for (std::size_t b = 0; b < whole; ++b, in += field::per_byte) {
      unsigned byte = 0;
      for (std::size_t i = 0; i < field::per_byte; ++i) byte |= field::encode(in[i], i);
      out[b] = static_cast<std::byte>(byte);
    }
    if (const std::size_t rest = codes.size() % field::per_byte; rest != 0) {
      unsigned byte = 0;
      for (std::size_t i = 0; i < rest; ++i) byte |= field::encode(in[i], i);
      out[whole] = static_cast<std::byte>(byte);
    }
  } else {
    detail::check_whole_bytes<N>();
    std::memcpy(out, codes.data(), codes.size_bytes());
  }
}

/// Reads the first `out.size()` codes of a stream. @pre `out` does not overlap `data`. O(count).
template <numeric N>
void unpack_codes(const std::byte* data, std::span<typename N::code> out) {
  if (out.empty()) return;
  if constexpr (detail::shares_bytes_v<N> && !detail::fills_bytes_v<N>) {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = detail::field_of<N>::load(data, i);
  } else if constexpr (detail::shares_bytes_v<N>) {
    using field = detail::bit_field<N>;
    const std::size_t whole = out.size() / field::per_byte;
    typename N::code* to = out.data();
    for (std::size_t b = 0; b < whole; ++b, to += field::per_byte)
      for (std::size_t i = 0; i < field::per_byte; ++i) to[i] = field::decode(data[b], i);
    for (std::size_t i = 0; i < out.size() % field::per_byte; ++i) to[i] = field::decode(data[whole], i);
  } else {
    detail::check_whole_bytes<N>();
    std::memcpy(out.data(), data, out.size_bytes());
  }
}

}  // namespace sparq
