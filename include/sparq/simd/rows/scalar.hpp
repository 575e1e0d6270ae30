// SPDX-License-Identifier: MIT
#pragma once
// Atoms in plain C++: they run everywhere, serve every numeric type, and compilers vectorise them as they can.

#include <sparq/simd/copy.hpp>
#include <sparq/simd/rows/atom.hpp>
#include <sparq/simd/wrapping.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Four lanes of T.
template <class T>
struct lanes4 {
  T lane[4];
};

/// The permute that scalar atoms share: four lanes, GroupK elements each.
template <class Element, std::size_t GroupK, std::size_t Window>
struct scalar_selector {
  static constexpr std::size_t chunk = Window;
  static constexpr std::size_t chunks = 1;
  struct control {
    std::uint8_t at[4][GroupK];
  };
  struct x_word {
    Element at[4][GroupK];
  };
  static SPARQ_INLINE control make(const std::uint8_t* p, std::size_t, std::size_t) { return load_as<control>(p); }
  static SPARQ_INLINE control make_shared(const std::uint8_t* p, std::size_t, std::size_t) {
    control result;
    for (auto& lane : result.at) std::memcpy(&lane, p, GroupK);
    return result;
  }
  static SPARQ_INLINE x_word select(const Element* x, const control& c) {
    x_word result;
    for (std::size_t l = 0; l < 4; ++l)
      for (std::size_t i = 0; i < GroupK; ++i) result.at[l][i] = x[c.at[l][i]];
    return result;
  }
};

}  // namespace machine

/// Four products of bytes, summed into int32.
template <integer_numeric X, integer_numeric W>
struct dot4_scalar {
  static constexpr std::string_view name = machine::atom_name<"dot4_", X, W, "_scalar">;
  static constexpr isa needs{};
  using x_code = typename X::code;
  using acc_type = std::int32_t;
  static constexpr std::size_t lanes = 4, group_k = 4, steps = 1, block_rows = 4;
  static constexpr std::int32_t weight_sum_factor = 0;
  using packed_x = x_code;
  static constexpr bool in_place = true;

  using acc = machine::lanes4<std::int32_t>;
  struct w_word {
    std::int16_t at[4][4];
  };
  template <std::size_t Window>
  using selector = machine::scalar_selector<x_code, 4, Window>;
  using x_word = typename selector<4>::x_word;

  static void pack_row(const x_code* x, std::size_t k, bool, packed_x* out) { copy_elements(x, k, out); }
  static SPARQ_INLINE acc zero() { return {}; }
  static SPARQ_INLINE x_word broadcast(const packed_x* p) {
    x_word x;
    for (auto& lane : x.at) std::memcpy(&lane, p, 4);
    return x;
  }
  template <class XWord>
  static SPARQ_INLINE acc dot(acc c, const w_word& w, const XWord& x) {
    for (std::size_t l = 0; l < 4; ++l)
      for (std::size_t i = 0; i < 4; ++i) c.lane[l] = machine::plus(c.lane[l], w.at[l][i] * x.at[l][i]);
    return c;
  }
  static SPARQ_INLINE void store(acc_type* p, const acc& c) { std::memcpy(p, c.lane, sizeof c.lane); }

  template <integer_numeric N>
  struct loader {
    static constexpr std::size_t groups = 8 / static_cast<std::size_t>(N::bits);
    struct raw {
      std::uint8_t byte[4][4];
    };
    static SPARQ_INLINE raw load(const std::uint32_t* words) { return machine::load_as<raw>(words); }
    template <std::size_t Step>
    static SPARQ_INLINE w_word decode(const raw& r) {
      w_word w;
      for (std::size_t l = 0; l < 4; ++l)
        for (std::size_t i = 0; i < 4; ++i) {
          const auto code = static_cast<std::uint8_t>(r.byte[l][i] << (8 - N::bits - static_cast<int>(Step) * N::bits));
          if constexpr (N::bits == 1 && N::is_signed) {
            w.at[l][i] = (code & 0x80) != 0 ? -1 : 1;
            continue;
          }
          w.at[l][i] = N::is_signed
                           ? static_cast<std::int16_t>(static_cast<std::int8_t>(code) >> (8 - N::bits))
                           : static_cast<std::int16_t>(code >> (8 - N::bits));
        }
      return w;
    }
  };
};

/// One product of floats, added in the order of k.
template <numeric X, numeric W>
struct fma1_scalar {
  static constexpr std::string_view name = machine::atom_name<"fma1_", X, W, "_scalar">;
  static constexpr isa needs{};
  using x_code = typename X::code;
  using acc_type = float;
  static constexpr std::size_t lanes = 4, group_k = 1, steps = 1, block_rows = 4;
  static constexpr std::int32_t weight_sum_factor = 0;
  using packed_x = float;
  static constexpr bool in_place = X::bits == 32;

  using acc = machine::lanes4<float>;
  using w_word = machine::lanes4<float>;
  template <std::size_t Window>
  using selector = machine::scalar_selector<float, 1, Window>;
  using x_word = typename selector<1>::x_word;

  static void pack_row(const x_code* x, std::size_t k, bool, float* out) { machine::widen_floats(x, k, out); }
  static SPARQ_INLINE acc zero() { return {}; }
  static SPARQ_INLINE x_word broadcast(const float* p) {
    x_word x;
    for (auto& lane : x.at) lane[0] = *p;
    return x;
  }
  template <class XWord>
  static SPARQ_INLINE acc dot(acc c, const w_word& w, const XWord& x) {
    for (std::size_t l = 0; l < 4; ++l) c.lane[l] += w.lane[l] * x.at[l][0];
    return c;
  }
  static SPARQ_INLINE void store(float* p, const acc& c) { std::memcpy(p, c.lane, sizeof c.lane); }

  template <numeric N>
  struct loader {
    static constexpr std::size_t groups = 32 / static_cast<std::size_t>(N::bits);
    using raw = machine::lanes4<std::uint32_t>;
    static SPARQ_INLINE raw load(const std::uint32_t* words) { return machine::load_as<raw>(words); }
    template <std::size_t Step>
    static SPARQ_INLINE w_word decode(const raw& r) {
      w_word w;
      for (std::size_t l = 0; l < 4; ++l) {
        const std::uint32_t word = r.lane[l];
        if constexpr (N::bits == 32) {
          w.lane[l] = std::bit_cast<float>(word);
        } else {
          typename N::code code;
          code.bits = static_cast<std::uint16_t>(word >> (16 * Step));
          w.lane[l] = code;
        }
      }
      return w;
    }
  };
};

using fma1_f32f32_scalar = fma1_scalar<f32, f32>;

SPARQ_ABI_END
}  // namespace sparq
