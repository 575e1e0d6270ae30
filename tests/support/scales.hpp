// SPDX-License-Identifier: MIT
#pragma once
// Weights whose scales run along k: one product by several packed forms, which give the same bits,
// against sums in double.

#include "tests/support/matrix.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace sparq_test {

/// How far the kernel's floats may be off: one rounding of each group's sum, one of each addition,
/// and of floats one of each product.
template <sparq::format F, sparq::numeric N, sparq::quantization_granularity G>
std::vector<double> bounds(const sparq::tensor<F, N, G>& w, gemm_extents e, double largest_x) {
  std::vector<double> result(e.n);
  const auto view = w.view();
  sparq::detail::for_each_slot(w.index(), [&](std::size_t slot, std::size_t n, std::size_t k) {
    result[n] += std::abs(static_cast<double>(sparq::load_weight(view, slot, n, k))) * largest_x *
                 static_cast<double>(w.scales()[G::scale_index(n, k, e.k)]);
  });
  const std::size_t roundings = sparq::ceil_div(e.k, G::group) + (N::is_integer ? 0 : e.k) + 2;
  for (double& bound : result) bound *= static_cast<double>(roundings) * 0x1p-23;
  return result;
}

template <class Format, class Combination, class Granularity, class... Shapes>
void check_scales() {
  using weight_type = typename Combination::weight_type;
  using x_type = typename Combination::x_type;
  random_source random;
  INFO(random.text());
  sparq::workspace scratch;
  for (const gemm_extents e : extents_to_try(random)) {
    if (random.chance(0.6) && e.m * e.n * e.k < 200000) continue;
    INFO("m " << e.m << ", n " << e.n << ", k " << e.k);
    const auto w =
        with_scales<Granularity>(random_tensor<Format, weight_type>({e.n, e.k}, random_style(random), random), random);
    const auto x = random_x<x_type>(e, random_style(random), random);
    const std::int32_t zero_point = !x_type::is_integer || random.chance(0.5)
                                        ? 0
                                        : random.between(x_type::is_signed ? -128 : 0, x_type::is_signed ? 127 : 255);
    const auto want = sparq::scaled_reference_gemm(x.view(), w.view(), zero_point);
    const auto bound = bounds(w, e, (x_type::bits == 16 ? 32768.0 : 255.0) + std::abs(zero_point));
    const auto stages = [&] {
      if constexpr (x_type::is_integer)
        return sparq::epilogue(sparq::scale(1.0F), sparq::subtract_zero_point(zero_point));
      else
        return sparq::epilogue(sparq::scale(1.0F));
    }();
    std::vector<std::vector<float>> results;
    const auto multiply = [&]<class Shape>(std::type_identity<Shape>, std::size_t parts) {
      const auto packed = sparq::pack<Shape>(w);
      const auto view = decltype(packed.view())::from_bytes(packed.block());
      guarded_output<float> y(e.m, e.n, random);
      sparq::gemm(x.view(), view, y.view(), stages, scrambled_executor{parts, &random}, scratch);
      REQUIRE(y.surroundings_intact());
      results.push_back(y.elements());
    };
    (multiply(std::type_identity<Shapes>{}, 1), ...);
    (multiply(std::type_identity<Shapes>{}, 1 + random.below(7)), ...);
    for (const auto& y : results) {
      REQUIRE(y == results.front());  // the same roundings in both loops, however the work is cut
      for (std::size_t i = 0; i < y.size(); ++i)
        if (!(std::abs(static_cast<double>(y[i]) - want[i]) <= bound[i % e.n]))
          FAIL("Y[" << i / e.n << "][" << i % e.n << "] is " << y[i] << ", not " << want[i] << " +- "
                    << bound[i % e.n]);
    }
  }
}

}  // namespace sparq_test
