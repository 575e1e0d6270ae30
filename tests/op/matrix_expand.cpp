// SPDX-License-Identifier: MIT
// The matrix test of weights that are packed as a bitmask: any format can be.
#include <sparq/format/bitmask.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/n_m.hpp>

#include "tests/support/scales.hpp"

using namespace sparq;
using sparq_test::with;

namespace {

template <class Format, class Combination>
void check_expanding() {
  sparq_test::check_all_extents<Format, Combination, default_atoms,
                                default_bitmask_shape<typename Combination::weight_type>>();
}

}  // namespace

TEMPLATE_TEST_CASE("matrix: weights packed as a bitmask equal the reference", "", (with<s8, u8>), (with<s8, s8>),
                   (with<u8, s8>), (with<s4, u8>), (with<ternary_dense5, u8>), (with<f32, f32>), (with<bf16, f32>)) {
  check_expanding<csr, TestType>();
}

TEMPLATE_TEST_CASE("matrix: every other type of weights is packed as a bitmask", "", (with<s2, u8>), (with<u4, s8>),
                   (with<s6, u8>), (with<pow2<4>, u8>), (with<ternary, s8>), (with<binary, u8>), (with<f16, f32>),
                   (with<bf16, bf16>), (with<s8, s16>)) {
  using weight_type = typename TestType::weight_type;
  using format = std::conditional_t<has_zero_v<weight_type>, bitmask, dense>;
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (const std::size_t m : {1U, 2U, 5U, 14U})
    for (const std::size_t n : {1U, 47U, 80U}) {
      const sparq_test::gemm_extents e{m, n, 1 + random.below(600)};
      INFO("m " << e.m << ", n " << e.n << ", k " << e.k);
      REQUIRE(sparq_test::multiplication_problem<format, TestType, default_atoms, default_bitmask_shape<weight_type>>(
                  e, random, scratch) == "");
    }
}

TEST_CASE("matrix: other formats packed as a bitmask equal the reference") {
  check_expanding<n_m<2, 4>, with<s8, u8>>();
}

TEMPLATE_TEST_CASE("matrix: few rows, several sections of k and strips that are left over", "", (with<s8, u8>),
                   (with<s4, s8>), (with<f32, f32>)) {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (std::size_t m = 1; m <= 9; ++m)
    for (const std::size_t n : {1U, 47U, 64U, 81U, 128U}) {
      const sparq_test::gemm_extents e{m, n, 230 + random.below(600)};
      INFO("m " << e.m << ", n " << e.n << ", k " << e.k);
      REQUIRE(sparq_test::multiplication_problem<bitmask, TestType, default_atoms,
                                                 default_bitmask_shape<typename TestType::weight_type>>(e, random,
                                                                                                        scratch) == "");
    }
}

TEST_CASE("matrix: sums of a bitmask are scaled along k") {
  sparq_test::check_scales<csr, with<s8, u8>, per_group<32>, default_bitmask_shape<s8>, default_panel_shape<s8>>();
}

TEST_CASE("matrix: weights pack to the same bitmask on every machine") {
  CHECK(sparq_test::packed_fingerprint<csr, s8, default_bitmask_shape<s8>>() == 0x92f05cfa6139dabe);
  CHECK(sparq_test::packed_fingerprint<csr, s4, default_bitmask_shape<s4>>() == 0x7fa7ea1ca7c2c849);
  CHECK(sparq_test::packed_fingerprint<csr, f32, default_bitmask_shape<f32>>() == 0x08b10b1a287713e9);
}

TEST_CASE("matrix: damaged bitmasks are refused or stay in bounds") {
  sparq_test::check_damaged_blocks<csr, with<s8, u8>, default_bitmask_shape<s8>>();
}
