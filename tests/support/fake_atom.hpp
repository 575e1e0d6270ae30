// SPDX-License-Identifier: MIT
#pragma once
// An atom of any geometry in plain C++. It has every freedom that real ones take, at sizes of its own: lanes, k's of a
// group, rows of a block, steps per word, X that is widened and offset on the way, permutes that reach few elements.

#include <sparq/kernel/select.hpp>
#include <sparq/tensor/packed.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <tuple>
#include <type_traits>

namespace sparq_test {

/// The numbers that make a geometry.
struct atom_geometry {
  std::size_t lanes = 4;
  std::size_t group_k = 4;
  std::size_t steps = 1;        // a step multiplies the places step, step + steps, ... of a group
  std::size_t block_rows = 4;
  std::int32_t offset = 0;      // added to every X
  std::size_t permute_reach = 64;
};

template <sparq::integer_numeric X, sparq::integer_numeric W, atom_geometry Geometry>
struct fake_atom {
  static constexpr std::string_view name = "fake";
  static constexpr sparq::isa needs{};
  using x_code = typename X::code;
  using acc_type = std::int32_t;
  static constexpr std::size_t lanes = Geometry.lanes, group_k = Geometry.group_k, steps = Geometry.steps,
                               block_rows = Geometry.block_rows;
  static constexpr std::size_t places = group_k / steps;  // of a group in one step
  static constexpr std::int32_t weight_sum_factor = -Geometry.offset;
  using packed_x = std::int16_t;
  static constexpr bool in_place = false;

  struct acc {
    std::int32_t lane[lanes];
  };
  struct w_word {
    std::int32_t at[lanes][places];
  };
  struct x_word {
    std::int32_t at[lanes][places];
  };

  static void pack_row(const x_code* x, std::size_t k, bool grouped, packed_x* out) {
    for (std::size_t i = 0; i < k; ++i) {
      const std::size_t group = i / group_k * group_k, place = i % group_k;
      const std::size_t to = grouped ? group + place % steps * places + place / steps : i;
      out[to] = static_cast<packed_x>(x[i] + Geometry.offset);
    }
  }
  static acc zero() { return {}; }
  static x_word broadcast(const packed_x* p) {
    x_word x;
    for (auto& lane : x.at)
      for (std::size_t i = 0; i < places; ++i) lane[i] = p[i];
    return x;
  }
  static acc dot(acc c, const w_word& w, const x_word& x) {
    for (std::size_t l = 0; l < lanes; ++l)
      for (std::size_t i = 0; i < places; ++i) c.lane[l] += w.at[l][i] * x.at[l][i];
    return c;
  }
  static void store(acc_type* p, const acc& c) { std::memcpy(p, c.lane, sizeof c.lane); }

  template <sparq::integer_numeric N>
  struct loader {
    static constexpr std::size_t groups = sparq::groups_per_word_v<N, sparq::panel_shape<lanes, group_k>>;
    struct raw {
      std::uint32_t word[lanes];
    };
    static raw load(const std::uint32_t* words) {
      raw r;
      std::memcpy(r.word, words, sizeof r.word);
      return r;
    }
    template <std::size_t Step>
    static w_word decode(const raw& r) {
      constexpr std::size_t group = Step / steps, step = Step % steps, bits = N::bits;
      w_word w;
      for (std::size_t l = 0; l < lanes; ++l)
        for (std::size_t i = 0; i < places; ++i) {
          const std::size_t place = i * steps + step;
          const std::uint32_t code = r.word[l] >> (place * (32 / group_k) + group * bits) & ((1U << bits) - 1);
          w.at[l][i] = N::is_signed && code >= 1U << (bits - 1) ? static_cast<std::int32_t>(code) - (1 << bits)
                                                                : static_cast<std::int32_t>(code);
        }
      return w;
    }
  };

  template <std::size_t Window>
  struct selector {
    static constexpr std::size_t chunk = Geometry.permute_reach;
    static constexpr std::size_t chunks = (Window + chunk - 1) / chunk;
    struct control {
      int at[lanes][places];  // in the chunk, or -1
    };
    static control from(const std::uint8_t* p, std::size_t lane_stride, std::size_t step, std::size_t c) {
      control result;
      for (std::size_t l = 0; l < lanes; ++l)
        for (std::size_t i = 0; i < places; ++i) {
          const std::size_t position = p[l * lane_stride + i * steps + step];
          result.at[l][i] = position / chunk == c ? static_cast<int>(position % chunk) : -1;
        }
      return result;
    }
    static control make(const std::uint8_t* p, std::size_t step, std::size_t c) { return from(p, group_k, step, c); }
    static control make_shared(const std::uint8_t* p, std::size_t step, std::size_t c) { return from(p, 0, step, c); }
    static x_word select(const packed_x* x, const control& c) {
      x_word result;
      for (std::size_t l = 0; l < lanes; ++l)
        for (std::size_t i = 0; i < places; ++i) result.at[l][i] = c.at[l][i] < 0 ? 0 : x[c.at[l][i]];
      return result;
    }
    static x_word combine(x_word a, const x_word& b) {
      for (std::size_t l = 0; l < lanes; ++l)
        for (std::size_t i = 0; i < places; ++i) a.at[l][i] += b.at[l][i];
      return a;
    }
  };
};

/// A list of atoms for gemm that has only this one.
template <atom_geometry Geometry>
struct fake_atoms {
  template <sparq::numeric X, sparq::numeric W>
  using list = std::tuple<fake_atom<X, std::conditional_t<W::is_signed, sparq::s8, sparq::u8>, Geometry>>;
};

}  // namespace sparq_test
