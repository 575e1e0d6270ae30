// SPDX-License-Identifier: MIT
#pragma once
// Compacts rows of X by the positions of an N:M pattern that the channels of a panel share, AVX-512 VBMI, as
// x86_avx2_compact.hpp does: a register of the compacted row comes by one vpermb from every 64 bytes of X that its
// windows lie in, masked by which of its bytes lie there.
//
//   2 of 4:   X          [ 0 1 2 3 | 4 5 6 7 | ... 63 ] [ 64 ... 127 ]     two loads
//             register   [ 1 2 | 4 7 | ...            |  ...         ]     two vpermb, one store

#include <sparq/base/config.hpp>
#include <sparq/base/math.hpp>
#include <sparq/simd/x86_registers.hpp>

#if SPARQ_HAS_AVX512VBMI

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numeric>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Compacts bytes.
/// - `Window`: as window_of says, positions shared
template <class Byte, class Window>
struct compaction_avx512 {
  static_assert(sizeof(Byte) == 1, "sparq: this compacts bytes");
  static constexpr bool in_words = false;
  /// A load of 64 bytes that does not begin with a line of a cache lies in two, and takes twice as long.
  static constexpr bool reads_lines = true;
  static constexpr std::size_t group_k = Window::positions_per_group, register_groups = 64 / group_k;

  /// Bytes of X from the window of one group to that of another.
  static constexpr std::size_t distance(std::size_t first, std::size_t group) {
    return (group / Window::groups - first / Window::groups) * Window::window;
  }
  /// Registers differ in where their groups lie in windows, and are alike again after so many.
  static constexpr std::size_t phases = Window::groups / std::gcd(Window::groups, register_groups);
  /// Parts of 64 bytes of X that the windows of a register lie in.
  static constexpr std::size_t chunks = [] {
    std::size_t most = 0;
    for (std::size_t first = 0; first < phases * register_groups; first += register_groups)
      most = (std::max)(most, distance(first, first + register_groups - 1));
    return ceil_div(most + Window::window, std::size_t{64});
  }();
  /// More chunks take as long as a permute for each group does, which needs no store.
  static constexpr bool pays = chunks <= 2;

  /// A register.
  struct pair {
    std::uint32_t from, to;  // bytes from the start of a row
    std::uint64_t inside[chunks];
    alignas(64) std::uint8_t control[chunks][64];
  };
  static constexpr std::size_t pairs(std::size_t groups) { return ceil_div(groups, register_groups); }
  /// Bytes of X, from the window of the first of some groups on, that pairs of them touch.
  static constexpr std::size_t touched(std::size_t groups) {
    return groups == 0 ? 0 : distance(0, (pairs(groups) - 1) * register_groups) + chunks * 64;
  }

  /// Makes the pairs of consecutive groups, and returns the end of them.
  /// - `selects`: positions of `groups` groups
  /// - `room`: groups of the compacted row, at least so many; the others become zeros
  /// - `k`, `first_group`: where in X and in the compacted row they start
  static pair* make(const std::uint8_t* selects, std::size_t groups, std::size_t room, std::size_t k,
                    std::size_t first_group, pair* out) {
    for (std::size_t g = 0; g < room; g += register_groups, ++out) {
      const std::size_t left = g < groups ? (std::min)(groups - g, register_groups) * group_k : 0;
      const std::uint64_t filled = left < 64 ? (std::uint64_t{1} << left) - 1 : ~std::uint64_t{0};
      std::uint8_t some[64] = {};
      const std::uint8_t* positions = selects + g * group_k;
      if (left < 64) {
        if (left != 0) std::memcpy(some, positions, left);
        positions = some;
      }
      const __m512i at = _mm512_loadu_si512(positions);
      const auto& phase = tables.phase[g / register_groups % phases];
      for (std::size_t c = 0; c < chunks; ++c) {
        const __m512i control = _mm512_sub_epi8(at, _mm512_loadu_si512(phase.start[c]));
        _mm512_storeu_si512(out->control[c], control);
        out->inside[c] = filled & phase.near[c] & _mm512_cmplt_epu8_mask(control, _mm512_set1_epi8(64));
      }
      out->from = static_cast<std::uint32_t>(k + distance(0, g));
      out->to = static_cast<std::uint32_t>((first_group + g) * group_k);
    }
    return out;
  }

  /// Compacts `rows` rows, `ldx` and `ldo` bytes apart. Writes up to 64 bytes beyond the last group.
  static void run(const Byte* x, std::size_t ldx, std::size_t rows, const pair* first, const pair* end, Byte* out,
                  std::size_t ldo) {
    for (; rows >= 4; rows -= 4, x += 4 * ldx, out += 4 * ldo) run_rows<4>(x, ldx, first, end, out, ldo);
    for (; rows != 0; --rows, x += ldx, out += ldo) run_rows<1>(x, ldx, first, end, out, ldo);
  }

 private:
  struct register_phase {
    std::uint8_t start[chunks][64];  // of the chunk, from the window of the byte's group on
    std::uint64_t near[chunks];      // chunk and window are so near to each other that bytes tell them apart
  };
  struct register_tables {
    register_phase phase[phases];
  };
  static constexpr register_tables tables = [] {
    register_tables t{};
    for (std::size_t p = 0; p < phases; ++p)
      for (std::size_t c = 0; c < chunks; ++c)
        for (std::size_t i = 0; i < 64; ++i) {
          const std::size_t first = p * register_groups, window = distance(first, first + i / group_k);
          t.phase[p].start[c][i] = static_cast<std::uint8_t>(64 * c - window);
          if (window < 64 * c + 64 && 64 * c < window + 128) t.phase[p].near[c] |= std::uint64_t{1} << i;
        }
    return t;
  }();

  template <std::size_t R>
  static SPARQ_INLINE void run_rows(const Byte* x, std::size_t ldx, const pair* first, const pair* end, Byte* out,
                                    std::size_t ldo) {
    for (; first != end; ++first) {
      __m512i kept[R];
      SPARQ_UNROLL for (std::size_t c = 0; c < chunks; ++c) {
        const __m512i control = _mm512_loadu_si512(first->control[c]);
        SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
          const __m512i some = _mm512_loadu_si512(x + first->from + r * ldx + 64 * c);
          if (c == 0)
            kept[r] = _mm512_maskz_permutexvar_epi8(first->inside[c], control, some);
          else
            kept[r] = _mm512_mask_permutexvar_epi8(kept[r], first->inside[c], control, some);
        }
      }
      SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) _mm512_storeu_si512(out + first->to + r * ldo, kept[r]);
    }
  }
};

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX512VBMI
