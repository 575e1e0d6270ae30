// SPDX-License-Identifier: MIT
#include <sparq/simd/rows/x86_avx2.hpp>

#include "tests/support/atom_check.hpp"
#include "tests/support/random.hpp"

#include <array>
#include <cstring>
#include <vector>

using namespace sparq;

TEST_CASE("x86_avx2: atoms multiply every pair of signs exactly") {
#if SPARQ_HAS_AVX2
  for (const std::size_t groups : {2u, 8u, 64u}) {
    sparq_test::check_atom<dot4_avx2<u8, s8>, s8>(groups);
    sparq_test::check_atom<dot4_avx2<s8, s8>, s8>(groups);
    sparq_test::check_atom<dot4_avx2<s8, u8>, u8>(groups);
    sparq_test::check_atom<dot4_avx2<u8, u8>, u8>(groups);
    sparq_test::check_atom<dot4_avx2<s8, s8>, s4>(groups);
    if (groups % 8 == 0) sparq_test::check_atom<dot4_avx2<u8, s8>, binary>(groups);
    sparq_test::check_atom<fma1_f32f32_avx2, f32>(groups);
  }
#else
  CHECK_FALSE(native_isa.has(feature::avx2));
#endif
}

#if SPARQ_HAS_AVX2
namespace {

/// A strip of random words, widened, holds what the packed words are decoded to.
template <integer_numeric W, std::size_t Channels>
void check_widened(std::size_t groups) {
  using atom = dot4_avx2<u8, W>;
  using wide = dot4_widened_avx2<u8, W, Channels>;
  using loader = typename atom::template loader<W>;
  using wide_loader = typename wide::template loader<W>;
  sparq_test::random_source random;
  INFO(random.text());
  std::vector<std::uint32_t> words(groups * Channels);
  for (std::uint32_t& word : words) word = static_cast<std::uint32_t>(random.below(std::size_t{1} << 32));
  std::vector<std::uint32_t> widened(words.size() * wide::words_of_word + 1, 7U);
  wide::widen(words.data(), words.size(), widened.data());
  const auto lanes_of = [](__m256i v) {
    std::array<std::int16_t, 16> lanes;
    std::memcpy(lanes.data(), &v, sizeof v);
    return lanes;
  };
  for (std::size_t g = 0; g < groups; ++g)
    for (std::size_t c = 0; c < Channels; c += atom::lanes) {
      const auto raw = loader::load(words.data() + g * Channels + c);
      const auto wide_raw = wide_loader::load(widened.data() + g * Channels * wide::words_of_word + c);
      REQUIRE(lanes_of(wide_loader::template decode<0>(wide_raw)) == lanes_of(loader::template decode<0>(raw)));
      REQUIRE(lanes_of(wide_loader::template decode<1>(wide_raw)) == lanes_of(loader::template decode<1>(raw)));
    }
  REQUIRE(widened.back() == 7U);
}

}  // namespace
#endif

TEST_CASE("x86_avx2: widened strips hold the words as they are decoded") {
#if SPARQ_HAS_AVX2
  check_widened<s8, 16>(5);
  check_widened<u8, 16>(1);
  check_widened<s8, 8>(3);
  check_widened<s8, 16>(0);
#else
  CHECK_FALSE(native_isa.has(feature::avx2));
#endif
}

TEST_CASE("x86_avx2: two registers of channels at once are two products") {
#if SPARQ_HAS_AVX2
  using atom = dot4_avx2<u8, s8>;
  sparq_test::random_source random;
  INFO(random.text());
  const std::array<std::int16_t, 6> extremes{-128, -127, 0, 1, 127, 255};
  const auto any = [&] {
    std::array<std::int16_t, 16> lanes;
    for (std::int16_t& lane : lanes) lane = extremes[random.below(extremes.size())];
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(lanes.data()));
  };
  const auto same = [](__m256i a, __m256i b) { return _mm256_movemask_epi8(_mm256_cmpeq_epi8(a, b)) == -1; };
  __m256i one = any(), two = any();
  for (int turn = 0; turn < 100; ++turn) {
    const __m256i wa = any(), wb = any(), x = any();
    const __m256i want_one = atom::dot(one, wa, x), want_two = atom::dot(two, wb, x);
    atom::dot_both(one, two, wa, wb, x);
    REQUIRE(same(one, want_one));
    REQUIRE(same(two, want_two));
    REQUIRE_FALSE(same(one, two));
  }
#endif
}

TEST_CASE("x86_avx2: narrow floats become f32") {
#if SPARQ_HAS_AVX2
  sparq_test::check_narrow_floats<fma1_avx2<f32, f16>, f16>();
  sparq_test::check_narrow_floats<fma1_avx2<f32, bf16>, bf16>();
#else
  CHECK_FALSE(native_isa.has(feature::avx2));
#endif
}

TEST_CASE("x86_avx2: permutes take what they are told from windows of every size") {
#if SPARQ_HAS_AVX2
  sparq_test::check_permutes<dot4_avx2<u8, s8>, s8>(sparq_test::byte_windows());
  sparq_test::check_permutes<dot4_avx2<s8, u8>, u8>(sparq_test::byte_windows());
  sparq_test::check_permutes<fma1_f32f32_avx2, f32>(sparq_test::float_windows());
#else
  CHECK_FALSE(native_isa.has(feature::avx2));
#endif
}
