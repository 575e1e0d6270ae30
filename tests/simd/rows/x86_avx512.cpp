// SPDX-License-Identifier: MIT
#include <sparq/simd/rows/x86_avx512.hpp>

#include <sparq/kernel/loop/rows.hpp>

#include "tests/support/atom_check.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

using namespace sparq;

#if SPARQ_HAS_AVX512
namespace {

/// The permute of bytes by itself, because only CPUs with VNNI have an atom for it: with and without VBMI.
template <std::size_t Window>
void check_byte_selector(sparq_test::random_source& random) {
  using selector = machine::byte_selector<std::uint8_t, Window>;
  std::vector<std::uint8_t> x(Window + 64), positions(64), got(64);
  for (auto& v : x) v = static_cast<std::uint8_t>(random.below(256));
  for (auto& at : positions) at = static_cast<std::uint8_t>(random.below(Window));
  auto selected = selector::select(x.data(), selector::make(positions.data(), 0, 0));
  for (std::size_t c = 1; c < selector::chunks; ++c)
    selected = selector::combine(selected, selector::select(x.data() + c * selector::chunk,
                                                            selector::make(positions.data(), 0, c)));
  _mm512_storeu_si512(got.data(), selected);
  INFO("window " << Window);
  for (std::size_t i = 0; i < 64; ++i) REQUIRE(got[i] == x[positions[i]]);
}

#if SPARQ_HAS_AVX512VNNI
/// A strip that is decoded at once holds the words that the loader decodes one by one.
template <class Atom, integer_numeric N, std::size_t Channels>
void check_decoded_strip(sparq_test::random_source& random) {
  using narrow = typename Atom::template loader<N>;
  constexpr std::size_t turns = 3;
  std::vector<std::uint32_t> words(turns * Channels);
  for (auto& word : words) word = static_cast<std::uint32_t>(random.below(std::size_t{1} << 32));
  std::vector<std::uint32_t> decoded(words.size() * narrow::groups + 1, 7U);
  Atom::template decode_strip<N, Channels>(words.data(), words.size(), decoded.data());
  for (std::size_t turn = 0; turn < turns; ++turn)
    for (std::size_t c = 0; c < Channels; c += Atom::lanes)
      machine::for_constants(std::make_index_sequence<narrow::groups>{}, [&](auto step) {
        std::uint32_t want[Atom::lanes];
        _mm512_storeu_si512(want, narrow::template decode<step>(narrow::load(words.data() + turn * Channels + c)));
        const std::uint32_t* got = decoded.data() + (turn * narrow::groups + step) * Channels + c;
        REQUIRE(std::equal(want, want + Atom::lanes, got));
      });
  CHECK(decoded.back() == 7U);
}
#endif

}  // namespace
#endif

TEST_CASE("x86_avx512: narrow words of a strip are decoded at once") {
#if SPARQ_HAS_AVX512VNNI
  sparq_test::random_source random;
  INFO(random.text());
  check_decoded_strip<dot4_avx512vnni<u8, s8>, s4, 16>(random);
  check_decoded_strip<dot4_avx512vnni<u8, s8>, s2, 32>(random);
  check_decoded_strip<dot4_avx512vnni<s8, s8>, ternary, 16>(random);
  check_decoded_strip<dot4_avx512vnni<s8, s8>, binary, 16>(random);
  check_decoded_strip<dot4_avx512vnni<s8, u8>, u4, 16>(random);
#else
  CHECK_FALSE(native_isa.has(feature::avx512vnni));
#endif
}

TEST_CASE("x86_avx512: atoms multiply every pair of signs exactly") {
#if SPARQ_HAS_AVX512
  for (const std::size_t groups : {2U, 8U, 64U}) {
    sparq_test::check_atom<dot4_avx512<u8, s8>, s8>(groups);
    sparq_test::check_atom<dot4_avx512<s8, s8>, s8>(groups);
    sparq_test::check_atom<dot4_avx512<s8, u8>, u8>(groups);
    sparq_test::check_atom<dot4_avx512<u8, u8>, u8>(groups);
    sparq_test::check_atom<dot4_avx512<s8, s8>, s4>(groups);
    if (groups % 8 == 0) sparq_test::check_atom<dot4_avx512<u8, s8>, binary>(groups);
    sparq_test::check_atom<fma1_f32f32_avx512, f32>(groups);
  }
#else
  CHECK_FALSE(native_isa.has(feature::avx512));
#endif
}

TEST_CASE("x86_avx512: narrow floats become f32") {
#if SPARQ_HAS_AVX512
  sparq_test::check_narrow_floats<fma1_avx512<f32, f16>, f16>();
  sparq_test::check_narrow_floats<fma1_avx512<f32, bf16>, bf16>();
#else
  CHECK_FALSE(native_isa.has(feature::avx512));
#endif
}

TEST_CASE("x86_avx512: byte dot products multiply every pair of signs exactly") {
#if SPARQ_HAS_AVX512VNNI
  for (const std::size_t groups : {2U, 8U, 64U}) {
    sparq_test::check_atom<dot4_avx512vnni<u8, s8>, s8>(groups);
    sparq_test::check_atom<dot4_avx512vnni<s8, s8>, s8>(groups);
    sparq_test::check_atom<dot4_avx512vnni<s8, u8>, u8>(groups);
    sparq_test::check_atom<dot4_avx512vnni<u8, u8>, u8>(groups);
    sparq_test::check_atom<dot4_avx512vnni<u8, s8>, s4>(groups);
    sparq_test::check_atom<dot4_avx512vnni<s8, s8>, s4>(groups);
    if (groups % 8 == 0) sparq_test::check_atom<dot4_avx512vnni<s8, s8>, binary>(groups);
  }
#else
  CHECK_FALSE(native_isa.has(feature::avx512vnni));
#endif
}

TEST_CASE("x86_avx512: permutes take what they are told from windows of every size") {
#if SPARQ_HAS_AVX512
  sparq_test::check_permutes<dot4_avx512<u8, s8>, s8>(sparq_test::byte_windows());
  sparq_test::check_permutes<dot4_avx512<s8, u8>, u8>(sparq_test::byte_windows());
  sparq_test::check_permutes<fma1_f32f32_avx512, f32>(sparq_test::float_windows());
  sparq_test::random_source random;
  INFO(random.text());
  [&]<std::size_t... Window>(std::index_sequence<Window...>) {
    (check_byte_selector<Window>(random), ...);
  }(sparq_test::byte_windows());
#else
  CHECK_FALSE(native_isa.has(feature::avx512));
#endif
}

TEST_CASE("x86_avx512: permutes of bytes serve every pair of signs") {
#if SPARQ_HAS_AVX512VNNI
  sparq_test::check_permutes<dot4_avx512vnni<u8, s8>, s8>(sparq_test::byte_windows());
  sparq_test::check_permutes<dot4_avx512vnni<s8, s8>, s8>(sparq_test::byte_windows());
  sparq_test::check_permutes<dot4_avx512vnni<s8, u8>, u8>(sparq_test::byte_windows());
  sparq_test::check_permutes<dot4_avx512vnni<u8, u8>, u8>(sparq_test::byte_windows());
#else
  CHECK_FALSE(native_isa.has(feature::avx512vnni));
#endif
}
