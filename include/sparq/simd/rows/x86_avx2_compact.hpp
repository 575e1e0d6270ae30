// SPDX-License-Identifier: MIT
#pragma once
// Compacts rows of X by the positions of an N:M pattern that the channels of a panel share, AVX2. A lane is 16 bytes of
// the compacted row; vpshufb brings its elements from every 16 bytes of X that the lane's windows lie in, and widens
// them on the way where the atom reads 16 bits. What vpshufb is told is made once for
// a panel, and serves all rows of X.
//
//   2 of 4, bytes to words:   X      [ 0 1 2 3 | 4 5 6 7 | 8 9 a b | c d e f ]     one load
//                             lane   [ 1 . 2 . | 4 . 7 . | 8 . 9 . | d . f . ]     one vpshufb, one store

#include <sparq/base/config.hpp>
#include <sparq/base/math.hpp>
#include <sparq/simd/copy.hpp>
#include <sparq/simd/x86_registers.hpp>

#if SPARQ_HAS_AVX2

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Compacts elements of type From to elements of type To: the same ones, or bytes widened to 16 bits, [0 2 1 3] within
/// every four where `InWords`.
/// - `Window`: as window_of says, positions shared
template <class From, class To, class Window, bool InWords>
struct compaction_avx2 {
  static constexpr bool in_words = InWords;
  /// Lanes of 16 bytes seldom lie in two lines of a cache.
  static constexpr bool reads_lines = false;
  static constexpr std::size_t group_k = Window::positions_per_group;
  static constexpr std::size_t group_bytes = group_k * sizeof(To);
  static constexpr bool widens = sizeof(To) != sizeof(From);
  static_assert(
      !widens || (sizeof(From) == 1 && sizeof(To) == 2),
      "sparq: rows are compacted as they are, or bytes become words of 16 bits; pack them to other types behind it");
  static constexpr std::size_t lane_groups = 16 / group_bytes;

  /// Bytes of X from the window of one group to that of another.
  static constexpr std::size_t distance(std::size_t first, std::size_t group) {
    return (group / Window::groups - first / Window::groups) * Window::window * sizeof(From);
  }
  /// Pairs of lanes differ in where their groups lie in windows, and are alike again after so many.
  static constexpr std::size_t phases = Window::groups / std::gcd(Window::groups, 2 * lane_groups);
  /// Parts of 16 bytes of X that the windows of a lane lie in.
  static constexpr std::size_t chunks = [] {
    std::size_t most = 0;
    for (std::size_t first = 0; first < 2 * phases * lane_groups; first += lane_groups)
      most = (std::max)(most, distance(first, first + lane_groups - 1));
    return ceil_div(most + Window::window * sizeof(From), std::size_t{16});
  }();

  /// Two lanes, a register.
  struct pair {
    std::uint32_t from[2], to;  // bytes from the start of a row
    alignas(32) std::uint8_t control[chunks][32];
  };
  static constexpr std::size_t pairs(std::size_t groups) { return ceil_div(groups, 2 * lane_groups); }
  /// Bytes of X, from the window of the first of some groups on, that pairs of them touch.
  static constexpr std::size_t touched(std::size_t groups) {
    return groups == 0 ? 0 : distance(0, (2 * pairs(groups) - 1) * lane_groups) + chunks * 16;
  }

  /// Makes the pairs of consecutive groups, and returns the end of them.
  /// - `selects`: positions of `groups` groups
  /// - `room`: groups of the compacted row, at least so many; the others become zeros
  /// - `k`, `first_group`: where in X and in the compacted row they start
  static pair* make(const std::uint8_t* selects, std::size_t groups, std::size_t room, std::size_t k,
                    std::size_t first_group, pair* out) {
    for (std::size_t g = 0; g < room; g += 2 * lane_groups, ++out) {
      const std::size_t left = g < groups ? (std::min)(groups - g, 2 * lane_groups) : 0;
      __m256i at = load_positions(selects + g * group_k, left);
      for (std::size_t size = 1; size < sizeof(From); size *= 2) at = _mm256_add_epi8(at, at);
      const auto& phase = tables.phase[g / (2 * lane_groups) % phases];
      for (std::size_t c = 0; c < chunks; ++c) {  // places beyond 15 get a top bit, which gives 0
        __m256i control = _mm256_adds_epu8(_mm256_sub_epi8(at, load_256(phase.start[c])), _mm256_set1_epi8(0x70));
        if constexpr (chunks > 16) control = _mm256_or_si256(control, load_256(phase.outside[c]));
        if (widens || left != 2 * lane_groups) control = _mm256_or_si256(control, load_256(tables.beyond[left]));
        _mm256_store_si256(reinterpret_cast<__m256i*>(out->control[c]), control);
      }
      out->from[0] = static_cast<std::uint32_t>(k * sizeof(From) + distance(0, g));
      out->from[1] = static_cast<std::uint32_t>(k * sizeof(From) + distance(0, g + lane_groups));
      out->to = static_cast<std::uint32_t>((first_group + g) * group_bytes);
    }
    return out;
  }

  /// Compacts `rows` rows, `ldx` and `ldo` elements apart. Writes up to 32 bytes beyond the last group.
  static void run(const From* x, std::size_t ldx, std::size_t rows, const pair* first, const pair* end, To* out,
                  std::size_t ldo) {
    for (; rows >= 4; rows -= 4, x += 4 * ldx, out += 4 * ldo) run_rows<4>(x, ldx, first, end, out, ldo);
    for (; rows != 0; --rows, x += ldx, out += ldo) run_rows<1>(x, ldx, first, end, out, ldo);
  }

 private:
  /// Of every byte of a pair.
  struct pair_phase {
    std::uint8_t start[chunks][32];    // of the chunk, from the window of the byte's element on
    std::uint8_t outside[chunks][32];  // a top bit: chunk and window are too far from each other for bytes to tell
  };
  struct pair_tables {
    std::uint8_t position[32];                     // the byte's position among those that are loaded
    std::uint8_t beyond[2 * lane_groups + 1][32];  // a top bit: a zero, always or where there are only so many groups
    pair_phase phase[phases];
  };
  static constexpr pair_tables tables = [] {
    pair_tables t{};
    constexpr std::size_t words[] = {0, 2, 1, 3};
    for (std::size_t i = 0; i < 32; ++i) {
      const std::size_t lane = i / 16, group = i / group_bytes, byte = i % sizeof(To);
      const std::size_t element = InWords ? words[i % group_bytes / sizeof(To)] : i % group_bytes / sizeof(To);
      t.position[i] = static_cast<std::uint8_t>((group * group_k + element) % 16);
      const bool is_zero = widens && byte != (std::is_signed_v<From> ? 1 : 0);
      for (std::size_t left = 0; left <= 2 * lane_groups; ++left)
        t.beyond[left][i] = is_zero || group >= left ? 0x80 : 0;
      for (std::size_t p = 0; p < phases; ++p) {
        const std::size_t first = p * 2 * lane_groups;
        const std::size_t window = distance(first + lane * lane_groups, first + group) + (widens ? 0 : byte);
        for (std::size_t c = 0; c < chunks; ++c) {
          t.phase[p].start[c][i] = static_cast<std::uint8_t>(16 * c - window);
          t.phase[p].outside[c][i] = window / 16 <= c && c - window / 16 < 16 ? 0 : 0x80;
        }
      }
    }
    return t;
  }();

  /// Of every byte of a pair the position of its element, of `groups` groups.
  static SPARQ_INLINE __m256i load_positions(const std::uint8_t* p, std::size_t groups) {
    std::uint8_t some[32] = {};
    if (groups != 2 * lane_groups) {
      if (groups != 0) std::memcpy(some, p, groups * group_k);
      p = some;
    }
    __m256i positions;
    if constexpr (lane_groups * group_k == 16) {
      positions = load_256(p);
    } else if constexpr (lane_groups * group_k == 8) {
      positions = load_128_twice(p);
    } else {
      positions = _mm256_set1_epi64x(load_as<std::int64_t>(p));
    }
    return _mm256_shuffle_epi8(positions, load_256(tables.position));
  }

  template <std::size_t R>
  static SPARQ_INLINE void run_rows(const From* x, std::size_t ldx, const pair* first, const pair* end, To* out,
                                    std::size_t ldo) {
    const auto* from = reinterpret_cast<const char*>(x);
    auto* to = reinterpret_cast<char*>(out);
    for (; first != end; ++first) {
      __m256i kept[R];
      SPARQ_UNROLL for (std::size_t c = 0; c < chunks; ++c) {
        const __m256i control = _mm256_load_si256(reinterpret_cast<const __m256i*>(first->control[c]));
        SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
          const char* at = from + r * ldx * sizeof(From) + 16 * c;
          const __m256i some = _mm256_shuffle_epi8(load_both(at, *first), control);
          kept[r] = c == 0 ? some : _mm256_or_si256(kept[r], some);
        }
      }
      SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
        if constexpr (widens && std::is_signed_v<From>) kept[r] = _mm256_srai_epi16(kept[r], 8);
        store_256(to + first->to + r * ldo * sizeof(To), kept[r]);
      }
    }
  }
  /// 16 bytes of X for each lane.
  static SPARQ_INLINE __m256i load_both(const char* x, const pair& lanes) {
    if constexpr (lane_groups % Window::groups == 0 && distance(0, lane_groups) == 16)
      return load_256(x + lanes.from[0]);
    return load_halves(x + lanes.from[0], x + lanes.from[1]);
  }
};

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2
