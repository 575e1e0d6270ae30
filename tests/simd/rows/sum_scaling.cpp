// SPDX-License-Identifier: MIT
#include <sparq/kernel/select.hpp>
#include <sparq/simd/rows/sum_scaling.hpp>

#include "tests/support/catch.hpp"

#include <cstdint>

using namespace sparq;

namespace {

/// Starts from factor * sums, adds nothing, and scales into a tile that holds 1.
template <class Atom>
void check_scaling() {
  constexpr std::size_t lanes = Atom::lanes;
  std::int32_t sums[lanes];
  float scales[lanes], tile[lanes];
  for (std::size_t i = 0; i < lanes; ++i) {
    sums[i] = static_cast<std::int32_t>(i) - 3;
    scales[i] = 0.25F * static_cast<float>(i + 1);
    tile[i] = 1.0F;
  }
  typename Atom::acc acc;
  machine::start_sums(acc, sums, -128);
  machine::keep_register(acc);
  if constexpr (!std::is_same_v<typename Atom::acc_type, float>) {  // there and back
    std::int32_t whole[lanes];
    machine::store_sums(whole, machine::plus_sums(acc, sums));
    for (std::size_t i = 0; i < lanes; ++i) CHECK(whole[i] == -127 * sums[i]);
  }
  machine::add_scaled(tile, acc, machine::load_scales(acc, scales));
  for (std::size_t i = 0; i < lanes; ++i) {
    const std::int32_t start = std::is_same_v<typename Atom::acc_type, float> ? 0 : -128 * sums[i];
    CHECK(tile[i] == 1.0F + static_cast<float>(start) * scales[i]);
  }
}

}  // namespace

TEST_CASE("sum_scaling: registers start from weight sums and add to floats") {
  check_scaling<dot4_scalar<u8, s8>>();
  check_scaling<fma1_scalar<f32, f32>>();
  check_scaling<atom_for<u8, s8, default_panel_shape<s8>>>();
  check_scaling<atom_for<f32, f32, default_panel_shape<f32>>>();
#if SPARQ_HAS_AVX2
  check_scaling<dot4_avx2<s8, s8>>();
#endif
}
