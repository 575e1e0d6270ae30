// SPDX-License-Identifier: MIT
#include <sparq/simd/narrow/x86_avx2_look_up.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <cstring>
#include <vector>

using namespace sparq;

#if SPARQ_HAS_AVX2

namespace {

/// Sixteen codes of two channels against plain lookups.
template <class N, int Bits>
void check_look_up() {
  sparq_test::random_source random;
  INFO(std::string(N::name) << ", " << random.text());
  using entry = typename N::entry::code;
  entry tables[2][N::entries];
  for (auto& table : tables)
    for (entry& e : table) e = static_cast<entry>(random.between(-128, 127));
  for (const int part : {0, 1}) {
    std::uint8_t bytes[2][16];
    for (auto& row : bytes)
      for (auto& byte : row) byte = static_cast<std::uint8_t>(random.below(256));
    using pair = machine::table_pair<N>;
    __m256i words[pair::planes];
    const __m256i both = machine::codes_of_two_rows<Bits>(bytes[0], bytes[1]);
    const __m256i codes = _mm256_and_si256(part == 0 ? both : _mm256_srli_epi16(both, 4),
                                           _mm256_set1_epi8(static_cast<char>(N::entries - 1)));
    pair(tables[0], tables[1]).look_up(codes, words);
    std::uint8_t places[32];
    std::memcpy(places, &codes, sizeof places);
    for (std::size_t half = 0; half < 2; ++half)
      for (std::size_t i = 0; i < 16; ++i) {
        const unsigned byte = Bits == 4 ? bytes[half][i] : bytes[half][i % 8];
        const unsigned shift =
            Bits == 4 ? 4U * static_cast<unsigned>(part) : 4U * static_cast<unsigned>(part) + (i < 8 ? 0U : 2U);
        const std::size_t code = byte >> shift & (N::entries - 1);
        REQUIRE(places[16 * half + i] == code);
        entry got;
        const std::size_t per_word = 16 / pair::planes;  // entries of one half in one register
        std::memcpy(&got, reinterpret_cast<const char*>(&words[i / per_word]) + 16 * half + i % per_word * sizeof got,
                    sizeof got);
        REQUIRE(got == tables[half][code]);
      }
  }
}

}  // namespace

TEST_CASE("x86_avx2_look_up: codes choose entries of the table of their channel") {
  check_look_up<codebook<4>, 4>();
  check_look_up<codebook<4, f32>, 4>();
  check_look_up<codebook<3>, 4>();
  check_look_up<codebook<2>, 2>();
  check_look_up<codebook<2, f32>, 2>();
}

#else

TEST_CASE("x86_avx2_look_up: plain lookups serve without AVX2") { CHECK_FALSE(SPARQ_HAS_AVX2); }

#endif
