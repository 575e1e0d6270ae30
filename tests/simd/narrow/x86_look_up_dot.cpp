// SPDX-License-Identifier: MIT
#include <sparq/simd/narrow/x86_look_up_dot.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

using namespace sparq;

#if SPARQ_HAS_AVX2

namespace {

/// R rows of X against plain lookups; floats hold small integers, so that every order of additions is exact. A signed X
/// of bytes is made 128 greater.
/// - `extreme`: the largest X and all entries -128, whose sums are the largest
template <class X, class N, int Bits, std::size_t R>
void check_look_up_dot(bool extreme = false) {
  sparq_test::random_source random;
  INFO(std::string(N::name) << ", " << R << " rows, " << random.text());
  using entry = typename N::entry::code;
  using packed_x = std::conditional_t<std::is_same_v<entry, float>, float, std::uint8_t>;
  using sum = std::conditional_t<std::is_same_v<entry, float>, float, std::int32_t>;
  constexpr sum more = std::is_same_v<X, std::int8_t> ? 128 : 0;
  for (std::size_t k = 0; k < 300; k += 1 + random.below(27)) {
    INFO("k " << k);
    const std::size_t chunks = (k + 31) / 32,
                      stride = round_up(k, std::size_t{64}) * (std::is_integral_v<entry> ? 2 : 1) + 7;
    std::vector<entry> table(N::entries);
    for (entry& e : table) e = static_cast<entry>(extreme ? -128 : random.between(-128, 127));
    std::vector<std::uint8_t> bytes(chunks * 4 * Bits);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random.below(256));
    std::vector<packed_x> x(R * stride);
    std::vector<sum> sums(32 * R, -1), expected(R, 0);
    [[maybe_unused]] std::vector<sum> total(R, 0);
    for (std::size_t r = 0; r < R; ++r) {
      std::vector<X> row(k);
      for (X& value : row)
        value = extreme ? (std::numeric_limits<X>::max)() : static_cast<X>(random.between(-128, 127));
      machine::split_row<Bits>(row.data(), k, x.data() + r * stride);
      for (std::size_t i = 0; i < k; ++i) {
        total[r] += static_cast<sum>(row[i]) + more;
        const std::size_t place = i % 32, per_code = 4 * Bits;  // bytes of a chunk: a code of each part of it
        const unsigned byte = bytes[i / 32 * per_code + place % per_code];
        const std::size_t code = byte >> (place / per_code * static_cast<std::size_t>(Bits)) & (N::entries - 1);
        expected[r] += (static_cast<sum>(row[i]) + more) * static_cast<sum>(table[code]);
      }
    }
#if SPARQ_HAS_AVX512
    if constexpr (std::is_same_v<entry, float>) {  // beside a channel whose entries are twice as large
      std::vector<float> twice(table);
      for (float& e : twice) e *= 2;
      const std::uint8_t* codes[] = {bytes.data(), bytes.data()};
      const float* tables[] = {table.data(), twice.data()};
      machine::look_up_fma<N, Bits, R, 2>(codes, tables, k, x.data(), stride, 64, sums.data());
      for (std::size_t r = 0; r < R; ++r) REQUIRE(sums[16 * r + 1] == 2 * expected[r]);
    }
#else
    if constexpr (std::is_same_v<entry, float>)
      machine::look_up_fma<N, Bits, R>(bytes.data(), table.data(), chunks, x.data(), stride, sums.data());
#endif
    if constexpr (!std::is_same_v<entry, float>) {  // beside a channel whose entries are mirrored, then alone
      std::vector<entry> mirrored(table);
      for (entry& e : mirrored) e = static_cast<entry>(~e);
      machine::look_up_dot<N, Bits, R, 2>({bytes.data(), bytes.data()}, {table.data(), mirrored.data()}, chunks,
                                          x.data(), stride, sums.data());
      for (std::size_t r = 0; r < R; ++r) {
        REQUIRE(sums[32 * r] == expected[r]);
        REQUIRE(sums[32 * r + 16] == -expected[r] - total[r]);
      }
      machine::look_up_dot<N, Bits, R, 1>({bytes.data()}, {table.data()}, chunks, x.data(), stride, sums.data());
    }
    for (std::size_t r = 0; r < R; ++r) REQUIRE(sums[16 * r] == expected[r]);
  }
}

}  // namespace

TEST_CASE("x86_look_up_dot: sums of entries times X") {
  check_look_up_dot<std::uint8_t, codebook<4>, 4, 1>();
  check_look_up_dot<std::int8_t, codebook<4>, 4, 4>();
  check_look_up_dot<std::int8_t, codebook<3>, 4, 2>();
  check_look_up_dot<std::uint8_t, codebook<2>, 2, 3>();
  check_look_up_dot<std::uint8_t, codebook<4>, 4, 1>(true);
  check_look_up_dot<std::int8_t, codebook<2>, 2, 4>(true);
  check_look_up_dot<float, codebook<4, f32>, 4, 1>();
  check_look_up_dot<float, codebook<3, f32>, 4, 3>();
  check_look_up_dot<float, codebook<1, f32>, 2, 4>();
}

#else

TEST_CASE("x86_look_up_dot: entries are looked up into memory without AVX2") { CHECK_FALSE(SPARQ_HAS_AVX2); }

#endif
