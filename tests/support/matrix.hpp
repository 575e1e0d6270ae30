// SPDX-License-Identifier: MIT
#pragma once
// The matrix test: one kernel, that is format x numeric type of W x type of X, against kernel/reference.hpp. Sizes run
// around the blocks of every instruction set, because leftovers are where kernels break.

#include <sparq/kernel/reference.hpp>
#include <sparq/op/gemm.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/guarded.hpp"
#include "tests/support/operands.hpp"

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace sparq_test {

/// W's numeric type and X's: one column of the matrix.
template <sparq::numeric W, sparq::numeric X>
struct with {
  using weight_type = W;
  using x_type = X;
};

struct gemm_extents {
  std::size_t m = 0;
  std::size_t n = 0;
  std::size_t k = 0;
};

/// Every m meets every n twice, with some k; and nothing in each direction.
inline std::vector<gemm_extents> extents_to_try(random_source& random) {
  static constexpr std::size_t rows[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 24, 25};
  static constexpr std::size_t channels[] = {1, 4, 15, 16, 17, 31, 32, 33, 47, 64, 65};
  static constexpr std::size_t reductions[] = {1,  2,  3,  4,  5,  6,  7,  8,   9,   15,  16,  17, 31,
                                               32, 33, 63, 64, 65, 96, 127, 128, 129, 255, 256, 257};
  std::vector<gemm_extents> result = {{0, 5, 7}, {3, 0, 7}, {3, 5, 0}, {0, 0, 0}, {1, 1, 1}};
  for (const std::size_t m : rows)
    for (const std::size_t n : channels)
      for (int time = 0; time < 2; ++time) result.push_back({m, n, random.pick(reductions)});
  return result;
}

/// The first element of Y that is not what the reference says, or "".
/// - `bound`: how far floats may be off
template <class Y, class Sum>
std::string first_difference(const std::vector<Y>& got, const std::vector<Sum>& want, std::size_t n, double bound) {
  if (got.size() != want.size()) return "sizes differ";
  for (std::size_t i = 0; i < got.size(); ++i) {
    const bool same = std::is_integral_v<Y> ? got[i] == static_cast<Y>(want[i])
                                            : std::abs(static_cast<double>(got[i]) - static_cast<double>(want[i])) <= bound;
    if (!same)
      return "Y[" + std::to_string(i / n) + "][" + std::to_string(i % n) + "] is " + std::to_string(got[i]) + ", not " +
             std::to_string(want[i]);
  }
  return "";
}

/// X of any values; between its rows lies what must not count.
template <sparq::numeric X>
strided_input<typename X::code> random_x(gemm_extents e, value_style style, random_source& random) {
  return {e.m, e.k, random.chance(0.3) ? 0 : random.below(20),
          [&](std::span<typename X::code> block) { fill_codes<X>(block, style, random); }};
}

/// What is wrong with one multiplication of random operands by the kernel that `Atoms` selects, or "".
template <class Format, class Combination, class Atoms = sparq::default_atoms,
          class Shape = sparq::default_panel_shape<typename Combination::weight_type>>
std::string multiplication_problem(gemm_extents e, random_source& random, sparq::workspace& scratch) {
  using weight_type = typename Combination::weight_type;
  using x_type = typename Combination::x_type;
  using y_element = std::conditional_t<weight_type::is_integer, std::int32_t, float>;

  const value_style x_style = random_style(random);
  const value_style w_style = random_style(random);
  const auto w = random_tensor<Format, weight_type>({e.n, e.k}, w_style, random);
  const auto x = random_x<x_type>(e, x_style, random);
  guarded_output<y_element> y(e.m, e.n, random);
  sparq::gemm<Atoms>(x.view(), sparq::pack<Shape>(w), y.view(), scratch);

  std::string problem = first_difference(y.elements(), sparq::reference_gemm(x.view(), w.view()), e.n,
                                         float_bound(x_style, w_style, e.k));
  if (!y.surroundings_intact()) problem += " memory around Y has changed";
  if (!x.unchanged()) problem += " X has changed";
  return problem;
}

template <class Format, class Combination, class Atoms = sparq::default_atoms,
          class Shape = sparq::default_panel_shape<typename Combination::weight_type>>
void check_all_extents() {
  random_source random;
  INFO(random.text());
  sparq::workspace scratch;
  for (const gemm_extents e : extents_to_try(random)) {
    INFO("m " << e.m << ", n " << e.n << ", k " << e.k);
    REQUIRE(multiplication_problem<Format, Combination, Atoms, Shape>(e, random, scratch) == "");
  }
}

}  // namespace sparq_test
