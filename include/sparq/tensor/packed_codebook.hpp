// SPDX-License-Identifier: MIT
#pragma once
// How the packed form holds codes of a codebook. Their entries are looked up before they meet X: the loop that reads
// the weights looks some channels up at a time, once for many rows of X. So codes need no order that an atom likes;
// they stay channel by channel, where one table serves them all,
// in chunks of 32 that one shuffle of a register takes apart.
//
//   4 bits   chunk of 16 bytes   byte i = code i | code (16 + i) << 4
//   2 bits   chunk of 8 bytes    byte i = code i | code (8 + i) << 2 | code (16 + i) << 4 | code (24 + i) << 6
//   8 bits   chunk of 32 bytes   byte i = code i
//
// Codes of 1 bit take 2, of 3 bits 4, of 5 to 7 bits 8. Places that hold no weight have the code whose entry is 0.

#include <sparq/base/error.hpp>
#include <sparq/numeric/codebook.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace sparq::detail {

/// Bits that a code of N takes in packed memory.
template <has_tables N>
inline constexpr int packed_code_bits_v = N::bits <= 2 ? 2 : N::bits <= 4 ? 4 : 8;

/// The row of one channel: codes of `places` consecutive places, whole chunks of them.
template <has_tables N>
struct codebook_row {
  static constexpr std::size_t chunk = 32;
  static constexpr int bits = packed_code_bits_v<N>;
  static constexpr std::size_t chunk_bytes = chunk * bits / 8;
  static constexpr std::uint8_t mask = static_cast<std::uint8_t>(N::entries - 1);

  /// 32-bit words of a row.
  static constexpr std::size_t words(std::size_t places) { return ceil_div(places, chunk) * chunk_bytes / 4; }

  static constexpr std::size_t byte_of(std::size_t place) {
    return place / chunk * chunk_bytes + place % chunk % chunk_bytes;
  }
  static constexpr int shift_of(std::size_t place) { return static_cast<int>(place % chunk / chunk_bytes) * bits; }

  /// A code of N whatever the bytes are.
  static std::uint8_t load(const std::uint8_t* row, std::size_t place) {
    return static_cast<std::uint8_t>(row[byte_of(place)] >> shift_of(place)) & mask;
  }
  /// @pre the place's bits are 0
  static void store(std::uint8_t* row, std::size_t place, std::uint8_t code) {
    row[byte_of(place)] = static_cast<std::uint8_t>(row[byte_of(place)] | code << shift_of(place));
  }
  /// Rows of `places` codes each, one after the other. @pre `to` is 0
  static void store_rows(const std::uint8_t* codes, std::size_t rows, std::size_t places, std::uint32_t* to) {
    for (std::size_t r = 0; r < rows; ++r, codes += places, to += words(places))
      for (std::size_t place = 0; place < places; ++place)
        store(reinterpret_cast<std::uint8_t*>(to), place, codes[place]);
  }
};

/// 32-bit words that the tables of an n x k matrix take, whole cache lines. @pre n, k < 2^32
template <has_tables N>
constexpr std::size_t table_words(std::size_t n, std::size_t k) {
  return round_up(table_entries<N>(n, k) * sizeof(typename N::entry::code), 64) / 4;
}

/// Whether each table has an entry of 0, for forms that have places without weights.
/// - `fills`: what is done with it, for the message
template <has_tables N>
status check_zero_entries(std::span<const typename N::entry::code> tables, const char* fills) {
  for (std::size_t t = 0; t < tables.size(); t += N::entries)
    if (zero_code<N>(tables.data() + t) == N::entries)
      return status::failure("pack: table " + std::to_string(t / N::entries) + " has no entry of 0, with which " +
                             fills + "; pack for the rows loop");
  return {};
}

}  // namespace sparq::detail
