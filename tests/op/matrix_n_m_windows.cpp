// SPDX-License-Identifier: MIT
// The matrix test of N:M patterns whose windows of X are of every kind that a permute of some instruction set reaches:
// 4, 7, 9, 16, 32 and 128 elements wide; of one and of two groups; wider than a register.
#include <sparq/format/n_m.hpp>

#include "tests/support/matrix.hpp"

using namespace sparq;
using sparq_test::with;

template <class Format, class Combination>
struct kernel {
  using format_type = Format;
  using combination = Combination;
};

TEMPLATE_TEST_CASE("matrix: n_m equals the reference for windows of every size", "", (kernel<n_m<3, 4>, with<s8, u8>>),
                   (kernel<n_m<1, 4>, with<s8, u8>>), (kernel<n_m<1, 4>, with<s4, s8>>),
                   (kernel<n_m<3, 7>, with<s8, u8>>), (kernel<n_m<3, 7>, with<f32, f32>>),
                   (kernel<n_m<5, 9>, with<s8, s8>>), (kernel<n_m<5, 9>, with<f32, f32>>),
                   (kernel<n_m<1, 8>, with<s8, u8>>), (kernel<n_m<1, 32>, with<s8, u8>>),
                   (kernel<n_m<1, 32>, with<f32, f32>>)) {
  sparq_test::check_all_extents<typename TestType::format_type, typename TestType::combination>();
}
