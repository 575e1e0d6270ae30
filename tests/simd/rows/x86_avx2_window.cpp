// SPDX-License-Identifier: MIT
#include <sparq/simd/rows/x86_avx2_window.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <cstring>
#include <limits>
#include <vector>

using namespace sparq;

#if SPARQ_HAS_AVX2
namespace {

/// As many groups as the atom promises, each with a window that starts anywhere and positions of its own in every lane.
template <class Atom, class X, class W, std::size_t Window>
void check_groups(sparq_test::random_source& random) {
  using atom = Atom;
  using selector = typename atom::template selector<Window>;
  using loader = typename atom::template loader<W>;
  using x_code = typename X::code;
  using w_code = typename W::code;
  const std::size_t k = Window + random.below(70);
  const auto any = [&]<class T>(T) {
    return random.chance(0.3)
               ? (random.chance(0.5) ? std::numeric_limits<T>::lowest() : (std::numeric_limits<T>::max)())
               : static_cast<T>(random.between(std::numeric_limits<T>::lowest(), (std::numeric_limits<T>::max)()));
  };
  std::vector<x_code> x(k);
  for (auto& v : x) v = any(x_code{});
  const std::size_t distance = k + 64;
  std::vector<std::uint8_t> planes(2 * distance, 255);
  constexpr bool in_planes = machine::in_planes<atom>;
  if constexpr (in_planes)
    atom::pack_row(x.data(), k, distance, planes.data());
  else
    atom::pack_row(x.data(), k, false, planes.data());
  const auto select = [&](const std::uint8_t* at, const auto& control) {
    if constexpr (in_planes)
      return selector::select(at, distance, control);
    else
      return selector::select(at, control);
  };

  std::vector<std::int32_t> want(8), got(8);
  auto sums = atom::zero();
  for (std::size_t g = 0; g < atom::max_groups; ++g) {
    const std::size_t base = random.below(k - Window + 1);
    std::uint8_t positions[32];
    w_code codes[32];
    for (std::size_t i = 0; i < 32; ++i) {
      positions[i] = static_cast<std::uint8_t>(random.below(Window));
      codes[i] = any(w_code{});
      want[i / 4] += (x[base + positions[i]] - atom::weight_sum_factor) * codes[i];
    }
    std::uint32_t words[8];
    std::memcpy(words, codes, sizeof words);
    auto chosen = select(planes.data() + base, selector::make(positions, 0, 0));
    for (std::size_t c = 1; c < selector::chunks; ++c)
      chosen = selector::combine(
          chosen, select(planes.data() + base + c * selector::chunk, selector::make(positions, 0, c)));
    sums = atom::dot(sums, loader::template decode<0>(loader::load(words)), chosen);
  }
  atom::store(got.data(), sums);
  REQUIRE(got == want);
}

template <class Atom, class X, class W>
void check_windows() {
  sparq_test::random_source random;
  INFO(std::string(Atom::name) << ", " << random.text());
  for (int trial = 0; trial < 200; ++trial) {
    check_groups<Atom, X, W, 16>(random);
    check_groups<Atom, X, W, 32>(random);
    check_groups<Atom, X, W, 64>(random);
    check_groups<Atom, X, W, 128>(random);
  }
}

}  // namespace
#endif

TEST_CASE("x86_avx2_window: every lane finds its k's, and sums are exact for as many groups as promised") {
#if SPARQ_HAS_AVX2
  check_windows<dot4_window_avx2<u8, s8>, u8, s8>();
  check_windows<dot4_window_rows_avx2<u8, s8>, u8, s8>();
  check_windows<dot4_window_avx2<s8, s8>, s8, s8>();
  check_windows<dot4_window_rows_avx2<s8, s8>, s8, s8>();
  check_windows<dot4_window_avx2<u8, u8>, u8, u8>();
  check_windows<dot4_window_rows_avx2<u8, u8>, u8, u8>();
  check_windows<dot4_window_avx2<s8, u8>, s8, u8>();
  check_windows<dot4_window_rows_avx2<s8, u8>, s8, u8>();
#else
  CHECK_FALSE(native_isa.has(feature::avx2));
#endif
}
