// SPDX-License-Identifier: MIT
#pragma once
// The tiles of AMX on CPUs without them: eight arrays for each thread. Using tiles that nobody laid out ends the program,
// as the CPU would; their layout must be the whole one.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace sparq_test::emulated {

struct tile {
  std::uint8_t bytes[16][64];
};

struct thread_tiles {
  bool are_laid_out = false;
  tile numbered[8] = {};
};
inline thread_tiles& tiles_of_this_thread() {
  thread_local thread_tiles tiles;
  return tiles;
}

inline void tile_loadconfig(const void* layout) {
  std::uint8_t bytes[64];
  std::memcpy(bytes, layout, sizeof bytes);
  bool is_whole = bytes[0] == 1;
  for (std::size_t i = 0; i < 8; ++i)
    is_whole = is_whole && bytes[16 + 2 * i] == 64 && bytes[17 + 2 * i] == 0 && bytes[48 + i] == 16;
  if (!is_whole) {
    std::fputs("only whole tiles are emulated\n", stderr);
    std::abort();
  }
  tiles_of_this_thread() = {.are_laid_out = true};
}
inline void tile_release() { tiles_of_this_thread().are_laid_out = false; }

inline tile& tile_numbered(int number) {
  thread_tiles& tiles = tiles_of_this_thread();
  if (!tiles.are_laid_out) {
    std::fputs("tiles are used that nobody laid out\n", stderr);
    std::abort();
  }
  return tiles.numbered[number];
}
inline void tile_zero(int number) { tile_numbered(number) = {}; }
inline void tile_loadd(int number, const void* from, std::size_t stride) {
  tile& to = tile_numbered(number);
  for (std::size_t row = 0; row < 16; ++row)
    std::memcpy(to.bytes[row], static_cast<const std::byte*>(from) + row * stride, 64);
}
inline void tile_stored(int number, void* to, std::size_t stride) {
  const tile& from = tile_numbered(number);
  for (std::size_t row = 0; row < 16; ++row)
    std::memcpy(static_cast<std::byte*>(to) + row * stride, from.bytes[row], 64);
}

/// Rows of `a`, whose bytes are of type A, by words of `b`, of type B.
template <class A, class B>
void tile_dot(int sums, int a, int b) {
  tile& to = tile_numbered(sums);
  for (std::size_t row = 0; row < 16; ++row)
    for (std::size_t channel = 0; channel < 16; ++channel) {
      std::uint32_t sum;
      std::memcpy(&sum, to.bytes[row] + 4 * channel, 4);
      for (std::size_t k = 0; k < 64; ++k)
        sum += static_cast<std::uint32_t>(static_cast<A>(tile_numbered(a).bytes[row][k]) *
                                          static_cast<B>(tile_numbered(b).bytes[k / 4][4 * channel + k % 4]));
      std::memcpy(to.bytes[row] + 4 * channel, &sum, 4);
    }
}

}  // namespace sparq_test::emulated

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbusd
#undef _tile_dpbsud
#define _tile_loadconfig sparq_test::emulated::tile_loadconfig
#define _tile_release sparq_test::emulated::tile_release
#define _tile_zero sparq_test::emulated::tile_zero
#define _tile_loadd sparq_test::emulated::tile_loadd
#define _tile_stored sparq_test::emulated::tile_stored
#define _tile_dpbusd sparq_test::emulated::tile_dot<std::uint8_t, std::int8_t>
#define _tile_dpbsud sparq_test::emulated::tile_dot<std::int8_t, std::uint8_t>
