// SPDX-License-Identifier: MIT
#pragma once
// One atom by itself against plain arithmetic: pack a row, load words, permute, multiply, store.

#include <sparq/numeric/codec.hpp>
#include <sparq/numeric/number_text.hpp>
#include <sparq/tensor/packed.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace sparq_test {

/// An element of X; of integers every third is an end of its range.
template <class Atom, class N>
typename Atom::x_code random_element(random_source& random) {
  using x_code = typename Atom::x_code;
  using limits = std::numeric_limits<x_code>;
  if constexpr (N::is_integer)
    if (random.chance(0.3)) return random.chance(0.5) ? limits::lowest() : (limits::max)();
  return static_cast<x_code>(N::is_integer ? random.between(-100, 100) : random.between(-9, 9));
}

/// A code of W, which takes the place of weight i of group g in its word; of integers every third is the least.
template <class Atom, class N>
typename N::code put_random_code(random_source& random, std::size_t g, std::size_t i, std::uint32_t& word) {
  if constexpr (N::is_integer) {
    auto code = static_cast<typename N::code>(random.chance(0.3) ? N::min_code
                                                                 : random.between(N::min_code, N::max_code));
    if (!sparq::is_code<N>(code)) code = static_cast<typename N::code>(N::max_code);
    word |= std::uint32_t{sparq::detail::bits_of<N>(code)} << (i * (32 / Atom::group_k) + g * N::bits);
    return code;
  } else {
    const auto code = static_cast<typename N::code>(random.between(-9, 9));
    std::memcpy(&word, &code, 4);
    return code;
  }
}

/// Every lane of an atom equals the sum over `groups` groups of random codes, -128 and 255 often among them.
template <class Atom, class N>
void check_atom(std::size_t groups) {
  random_source random;
  INFO(std::string(Atom::name) << ", " << groups << " groups, " << random.text());
  using loader = typename Atom::template loader<N>;
  using x_code = typename Atom::x_code;
  using sum_type = typename Atom::acc_type;
  const std::size_t k = groups * Atom::group_k;
  std::vector<x_code> x(k);
  for (x_code& element : x) element = random_element<Atom, N>(random);
  constexpr std::size_t group_x = [] {
    if constexpr (requires { Atom::group_x; })
      return Atom::group_x;
    else
      return Atom::group_k;
  }();
  std::vector<typename Atom::packed_x> packed(groups * group_x + 64);
  Atom::pack_row(x.data(), k, true, packed.data());

  std::vector<sum_type> want(Atom::lanes), got(Atom::lanes);
  auto acc = Atom::zero();
  for (std::size_t load = 0; load < groups / loader::groups; ++load) {
    std::vector<std::uint32_t> words(Atom::lanes);
    for (std::size_t lane = 0; lane < Atom::lanes; ++lane)
      for (std::size_t g = 0; g < loader::groups; ++g)
        for (std::size_t i = 0; i < Atom::group_k; ++i) {
          const typename N::code code = put_random_code<Atom, N>(random, g, i, words[lane]);
          const std::size_t at = (load * loader::groups + g) * Atom::group_k + i;
          want[lane] += static_cast<sum_type>(x[at]) * static_cast<sum_type>(code) +
                        static_cast<sum_type>(-Atom::weight_sum_factor) * static_cast<sum_type>(code);
        }
    const auto raw = loader::load(words.data());
    const auto step = [&]<std::size_t S>(std::integral_constant<std::size_t, S>) {
      const std::size_t at = load * loader::groups * group_x + S * (group_x / Atom::steps);
      acc = Atom::dot(acc, loader::template decode<S>(raw), Atom::broadcast(packed.data() + at));
    };
    [&]<std::size_t... S>(std::index_sequence<S...>) {
      (step(std::integral_constant<std::size_t, S>{}), ...);
    }(std::make_index_sequence<loader::groups * Atom::steps>{});
  }
  Atom::store(got.data(), acc);
  REQUIRE(got == want);
}

/// The loader makes the float of every finite code of N, two of which share a word.
template <class Atom, class N>
void check_narrow_floats() {
  using loader = typename Atom::template loader<N>;
  static_assert(N::bits == 16 && loader::groups == 2);
  INFO(std::string(Atom::name) << ", " << std::string(N::name));
  const auto value_of = [](std::uint32_t bits) {
    typename N::code code;
    code.bits = static_cast<std::uint16_t>(bits);
    return static_cast<float>(code);
  };
  const float one = 1.0F;
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const std::uint32_t other = (bits * 40503U + 7U) & 0xffffU;
    if (!sparq::is_finite(value_of(bits)) || !sparq::is_finite(value_of(other))) continue;
    const std::vector<std::uint32_t> words(Atom::lanes, other << 16 | bits);
    const auto raw = loader::load(words.data());
    std::vector<float> low(Atom::lanes), high(Atom::lanes);
    Atom::store(low.data(), Atom::dot(Atom::zero(), loader::template decode<0>(raw), Atom::broadcast(&one)));
    Atom::store(high.data(), Atom::dot(Atom::zero(), loader::template decode<1>(raw), Atom::broadcast(&one)));
    if (low != std::vector<float>(Atom::lanes, value_of(bits)) ||
        high != std::vector<float>(Atom::lanes, value_of(other)))
      FAIL("codes " << bits << " and " << other << " became " << low[0] << " and " << high[0]);
  }
}

/// One group whose k's are chosen from a window of X: by each lane for itself, or the same for all.
template <class Atom, class N, std::size_t Window>
void check_permute(random_source& random, bool is_shared) {
  using loader = typename Atom::template loader<N>;
  using selector = typename Atom::template selector<Window>;
  using x_code = typename Atom::x_code;
  using sum_type = typename Atom::acc_type;
  constexpr std::size_t lanes = Atom::lanes, group_k = Atom::group_k, chunks = selector::chunks;
  static_assert(loader::groups == 1,
                "sparq: permutes are checked with one group in a word; use codes of 8 bits or f32");

  const auto any = []<class T>(random_source& from, T) {
    if constexpr (std::is_integral_v<T>)
      return static_cast<T>(from.between(std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
    else
      return static_cast<T>(from.between(-99, 99));
  };
  std::vector<x_code> x(Window);
  for (auto& v : x) v = any(random, x_code{});
  std::vector<typename Atom::packed_x> packed(Window + 64, typename Atom::packed_x{1});
  Atom::pack_row(x.data(), Window, false, packed.data());
  std::vector<std::uint8_t> positions(is_shared ? group_k : lanes * group_k);
  for (auto& at : positions) at = static_cast<std::uint8_t>(random.below(Window));

  std::vector<std::uint32_t> words(lanes);
  std::vector<sum_type> want(lanes), got(lanes);
  for (std::size_t lane = 0; lane < lanes; ++lane)
    for (std::size_t i = 0; i < group_k; ++i) {
      const auto code = any(random, typename N::code{});
      std::memcpy(reinterpret_cast<char*>(&words[lane]) + i * sizeof code, &code, sizeof code);
      const x_code selected = x[positions[is_shared ? i : lane * group_k + i]];
      want[lane] += static_cast<sum_type>(selected) * static_cast<sum_type>(code) -
                    static_cast<sum_type>(Atom::weight_sum_factor) * static_cast<sum_type>(code);
    }

  auto acc = Atom::zero();
  const auto raw = loader::load(words.data());
  const auto step = [&]<std::size_t S>(std::integral_constant<std::size_t, S>) {
    const auto control = [&](std::size_t c) {
      if constexpr (requires { selector::make_shared(positions.data(), S, c); })
        if (is_shared) return selector::make_shared(positions.data(), S, c);
      return selector::make(positions.data(), S, c);
    };
    auto selected = selector::select(packed.data(), control(0));
    if constexpr (chunks > 1)
      for (std::size_t c = 1; c < chunks; ++c)
        selected = selector::combine(selected, selector::select(packed.data() + c * selector::chunk, control(c)));
    acc = Atom::dot(acc, loader::template decode<S>(raw), selected);
  };
  [&]<std::size_t... S>(std::index_sequence<S...>) {
    (step(std::integral_constant<std::size_t, S>{}), ...);
  }(std::make_index_sequence<Atom::steps>{});
  Atom::store(got.data(), acc);
  INFO("window " << Window << (is_shared ? ", shared" : ", by lane"));
  REQUIRE(got == want);
}

/// Windows on both sides of everything that a permute of some instruction set reaches.
template <class Atom, class N, std::size_t... Window>
void check_permutes(std::index_sequence<Window...>) {
  random_source random;
  INFO(std::string(Atom::name) << ", " << random.text());
  for (int trial = 0; trial < 50; ++trial)
    for (const bool is_shared : {false, true}) {
      const auto check = [&]<std::size_t W>(std::integral_constant<std::size_t, W>) {
        using selector = typename Atom::template selector<W>;
        if (!is_shared || requires { selector::make_shared(nullptr, 0, 0); })
          check_permute<Atom, N, W>(random, is_shared);
      };
      (check(std::integral_constant<std::size_t, Window>{}), ...);
    }
}
using byte_windows = std::index_sequence<1, 4, 5, 8, 9, 16, 17, 32, 33, 64, 65, 128>;
using float_windows = std::index_sequence<1, 4, 8, 9, 16, 17, 32>;

}  // namespace sparq_test
