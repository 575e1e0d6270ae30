// SPDX-License-Identifier: MIT
#pragma once
// Codes that share bytes become bytes and the other way round, many at a time: rows of X before a loop reads them, and
// sixteen channels of Y after the epilogue. numeric/codec.hpp says the same for one code at a time.
//
//   16 bytes of u2:   nibbles   = (v & 0x0f, v >> 4 & 0x0f)  interleaved      // 32 bytes
//                     pairs     = (n & 0x03, n >> 2 & 0x03)  interleaved      // 64 bytes, one code each

#include <sparq/numeric/codec.hpp>
#include <sparq/simd/vec.hpp>
#include <sparq/simd/x86_registers.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sparq {

/// Elements behind the last one that unpack_narrow may overwrite.
inline constexpr std::size_t unpack_slack = 63;

SPARQ_ABI_BEGIN

namespace machine {

/// Codes that one step makes, and the bytes that it reads for them.
template <numeric N>
inline constexpr std::size_t unpacked_codes = N::bits == 4 ? 32 : 64;
template <numeric N>
inline constexpr std::size_t unpacked_bytes = unpacked_codes<N> * static_cast<std::size_t>(N::bits) / 8;

#if SPARQ_HAS_AVX2

/// The bytes of v, each of which holds two fields of Bits bits, as two registers of one field a byte.
template <int Bits, packing_order Order>
SPARQ_INLINE void split_fields(__m128i v, __m128i& first, __m128i& second) {
  const __m128i mask = _mm_set1_epi8((1 << Bits) - 1);
  const __m128i low = _mm_and_si128(v, mask);
  const __m128i high = _mm_and_si128(_mm_srli_epi16(v, Bits), mask);
  constexpr bool low_first = Order == packing_order::low_first;
  first = _mm_unpacklo_epi8(low_first ? low : high, low_first ? high : low);
  second = _mm_unpackhi_epi8(low_first ? low : high, low_first ? high : low);
}

/// One step: unpacked_codes<N> codes of unpacked_bytes<N> bytes.
template <numeric N>
SPARQ_INLINE void unpack_step(const std::byte* in, typename N::code* out) {
  constexpr std::size_t registers = unpacked_codes<N> / 16;
  __m128i v[registers];
  if constexpr (N::bits == 4) {
    split_fields<4, N::order>(load_128(in), v[0], v[1]);
  } else if constexpr (N::bits == 2) {
    __m128i nibbles[2];
    split_fields<4, N::order>(load_128(in), nibbles[0], nibbles[1]);
    split_fields<2, N::order>(nibbles[0], v[0], v[1]);
    split_fields<2, N::order>(nibbles[1], v[2], v[3]);
  } else {
    __m128i nibbles[2], pairs[2];
    split_fields<4, N::order>(load_64(in), nibbles[0], nibbles[1]);
    split_fields<2, N::order>(nibbles[0], pairs[0], pairs[1]);
    split_fields<1, N::order>(pairs[0], v[0], v[1]);
    split_fields<1, N::order>(pairs[1], v[2], v[3]);
  }
  const __m128i sign = _mm_set1_epi8(N::is_signed ? 1 << (N::bits - 1) : 0);
  for (std::size_t i = 0; i < registers; ++i) {
    if constexpr (N::is_signed && N::bits == 1) v[i] = _mm_sub_epi8(_mm_set1_epi8(1), _mm_add_epi8(v[i], v[i]));
    else if constexpr (N::is_signed) v[i] = _mm_sub_epi8(_mm_xor_si128(v[i], sign), sign);
    store_128(out + 16 * i, v[i]);
  }
}

#else

template <numeric N>
SPARQ_INLINE void unpack_step(const std::byte* in, typename N::code* out) {
  using field = detail::bit_field<N>;
  for (std::size_t b = 0; b < unpacked_bytes<N>; ++b)
    for (std::size_t i = 0; i < field::per_byte; ++i) out[b * field::per_byte + i] = field::decode(in[b], i);
}

#endif

}  // namespace machine

/// Codes [first, first + count) of a row as bytes.
/// - `row`: no byte is read that holds none of them
/// - `out`: up to unpack_slack elements behind the last are overwritten with anything
template <numeric N>
void unpack_narrow(const std::byte* row, std::size_t first, std::size_t count, typename N::code* out) noexcept {
  constexpr std::size_t per_byte = detail::bit_field<N>::per_byte;
  for (; first % per_byte != 0 && count != 0; ++first, --count) *out++ = load_code<N>(row, first);
  const std::byte* in = row + first / per_byte;
  for (; count >= machine::unpacked_codes<N>; count -= machine::unpacked_codes<N>) {
    machine::unpack_step<N>(in, out);
    in += machine::unpacked_bytes<N>;
    out += machine::unpacked_codes<N>;
  }
  if (count == 0) return;
  std::byte last[machine::unpacked_bytes<N>] = {};
  std::memcpy(last, in, storage_bytes<N>(count));
  machine::unpack_step<N>(last, out);
}

namespace machine {

/// Eight codes, one in each byte of `codes`, in their packed order.
template <numeric N>
SPARQ_INLINE std::uint64_t pack_eight(std::uint64_t codes) {
  constexpr std::uint64_t fields[] = {0x00ff00ff00ff00ff, 0x0000ffff0000ffff, 0x00000000ffffffff};
  if constexpr (N::bits == 1 && N::is_signed) codes >>= 7;  // binary: the sign
  codes &= 0x0101010101010101 * ((1u << N::bits) - 1u);
  // two neighbours become one field, until a field is a byte; then the bytes move together
  int width = N::bits;
  for (int i = 0; i < 3; ++i) {
    const std::uint64_t even = codes & fields[i];
    const std::uint64_t odd = codes >> (8 << i) & fields[i];
    const bool odd_above = N::order == packing_order::low_first || width >= 8;
    codes = odd_above ? even | odd << width : even << width | odd;
    width *= 2;
  }
  return codes;
}

}  // namespace machine

/// Sixteen lanes, saturated to the codes of N, as elements [first, first + count) of a row.
/// Elements of the first byte that lie before them stay as they are, the bits of the last byte behind them become zero:
/// a row is written from its start to its end.
template <integer_numeric N>
void store_narrow(std::byte* row, std::size_t first, const vec<std::int32_t>& v, std::size_t count) noexcept {
  constexpr std::size_t per_byte = detail::bit_field<N>::per_byte;
  using code = typename N::code;
  const auto codes = max(min(v, vec<std::int32_t>(N::max_code)), vec<std::int32_t>(N::min_code));
  code bytes[16] = {};
  store_saturated(bytes, codes, count);
  std::byte* to = row + first / per_byte;
  if (first % per_byte == 0) {
    std::uint64_t halves[2];
    std::memcpy(halves, bytes, sizeof halves);
    const std::uint64_t packed =
        machine::pack_eight<N>(halves[0]) | machine::pack_eight<N>(halves[1]) << (8 * N::bits);
    std::memcpy(to, &packed, storage_bytes<N>(count));
    return;
  }
  for (std::size_t rest = first; rest % per_byte != 0; ++rest) store_code<N>(row, rest, code{});
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = first + i;
    if (at % per_byte == 0) row[at / per_byte] = std::byte{};
    store_code<N>(row, at, bytes[i]);
  }
}

SPARQ_ABI_END
}  // namespace sparq
