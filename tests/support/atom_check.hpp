// SPDX-License-Identifier: MIT
#pragma once
// One atom by itself against plain arithmetic: pack a row, load words, multiply, store.

#include <sparq/tensor/packed.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <cstring>
#include <vector>

namespace sparq_test {

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
  for (auto& v : x)
    v = random.chance(0.3) ? (random.chance(0.5) ? std::numeric_limits<x_code>::lowest() : (std::numeric_limits<x_code>::max)())
                           : static_cast<x_code>(random.between(-100, 100));
  if constexpr (!N::is_integer)
    for (auto& v : x) v = static_cast<x_code>(random.between(-9, 9));
  std::vector<typename Atom::packed_x> packed(k + 64);
  Atom::pack_row(x.data(), k, true, packed.data());

  std::vector<sum_type> want(Atom::lanes), got(Atom::lanes);
  auto acc = Atom::zero();
  for (std::size_t load = 0; load < groups / loader::groups; ++load) {
    std::vector<std::uint32_t> words(Atom::lanes);
    std::vector<typename N::code> codes(Atom::lanes * loader::groups * Atom::group_k);
    for (std::size_t lane = 0; lane < Atom::lanes; ++lane)
      for (std::size_t g = 0; g < loader::groups; ++g)
        for (std::size_t i = 0; i < Atom::group_k; ++i) {
          typename N::code code{};
          if constexpr (N::is_integer) {
            code = static_cast<typename N::code>(random.chance(0.3) ? N::min_code : random.between(N::min_code, N::max_code));
            const auto bits = static_cast<std::uint32_t>(code) & ((std::uint32_t{1} << N::bits) - 1);
            words[lane] |= bits << (i * (32 / Atom::group_k) + g * N::bits);
          } else {
            code = static_cast<typename N::code>(random.between(-9, 9));
            std::memcpy(&words[lane], &code, 4);
          }
          const std::size_t at = (load * loader::groups + g) * Atom::group_k + i;
          want[lane] += static_cast<sum_type>(x[at]) * static_cast<sum_type>(code) +
                        static_cast<sum_type>(-Atom::weight_sum_factor) * static_cast<sum_type>(code);
        }
    const auto raw = loader::load(words.data());
    const auto step = [&]<std::size_t S>(std::integral_constant<std::size_t, S>) {
      const std::size_t at = load * loader::groups * Atom::group_k + S * (Atom::group_k / Atom::steps);
      acc = Atom::dot(acc, loader::template decode<S>(raw), Atom::broadcast(packed.data() + at));
    };
    [&]<std::size_t... S>(std::index_sequence<S...>) {
      (step(std::integral_constant<std::size_t, S>{}), ...);
    }(std::make_index_sequence<loader::groups * Atom::steps>{});
  }
  Atom::store(got.data(), acc);
  REQUIRE(got == want);
}

}  // namespace sparq_test
