// SPDX-License-Identifier: MIT
#pragma once
// How codes sit in bytes: one contiguous stream, codes of fewer than 8 bits share bytes and rows are not padded.
//
//   s4             codes [1 2 3]   bytes 0x21 0x03   element 2i in the low nibble
//   s4_high_first  codes [1 2 3]   bytes 0x12 0x30   element 2i in the high nibble
//
// The bits behind the last code are zero. Codes of several bytes are little-endian.

#include <sparq/base/math.hpp>
#include <sparq/numeric/numeric.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace sparq {

static_assert(std::endian::native == std::endian::little,
              "sparq: packed codes are little-endian; big-endian machines are not supported");

namespace detail {

/// Where code i sits in its byte, and how its bits become a value.
template <numeric N>
struct bit_field {
  static_assert(N::bits == 1 || N::bits == 2 || N::bits == 4,
                "sparq: codes below 8 bits share bytes evenly; use 1, 2 or 4 bits");

  static constexpr std::size_t per_byte = 8 / N::bits;
  static constexpr unsigned mask = (1u << N::bits) - 1u;

  static constexpr unsigned shift(std::size_t i) {
    const std::size_t place = N::order == packing_order::low_first ? i % per_byte : per_byte - 1 - i % per_byte;
    return static_cast<unsigned>(place) * N::bits;
  }
  static constexpr unsigned encode(typename N::code value, std::size_t i) {
    return (static_cast<unsigned>(value) & mask) << shift(i);
  }
  static constexpr typename N::code decode(std::byte byte, std::size_t i) {
    const unsigned raw = (std::to_integer<unsigned>(byte) >> shift(i)) & mask;
    constexpr int sign = N::is_signed ? 1 << (N::bits - 1) : 0;
    return static_cast<typename N::code>((static_cast<int>(raw) ^ sign) - sign);
  }
};

template <numeric N>
inline constexpr bool shares_bytes_v = N::bits < 8;

template <numeric N>
constexpr void check_whole_bytes() {
  static_assert(sizeof(typename N::code) * 8 == N::bits,
                "sparq: a code of 8 bits or more must fill its C++ type; make bits 8 * sizeof(code)");
}

}  // namespace detail

/// Bytes that `count` codes take: ceil(count * bits / 8). @pre count * bits fits in std::size_t
template <numeric N>
constexpr std::size_t storage_bytes(std::size_t count) {
  return ceil_div(count * static_cast<std::size_t>(N::bits), 8);
}

/// Code `i` of a stream. @pre storage_bytes<N>(i + 1) bytes are readable
template <numeric N>
constexpr typename N::code load_code(const std::byte* data, std::size_t i) {
  if constexpr (detail::shares_bytes_v<N>) {
    using field = detail::bit_field<N>;
    return field::decode(data[i / field::per_byte], i);
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
    using field = detail::bit_field<N>;
    std::byte& byte = data[i / field::per_byte];
    const unsigned others = std::to_integer<unsigned>(byte) & ~(field::mask << field::shift(i));
    byte = static_cast<std::byte>(others | field::encode(value, i));
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
  if constexpr (detail::shares_bytes_v<N>) {
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
  if constexpr (detail::shares_bytes_v<N>) {
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
