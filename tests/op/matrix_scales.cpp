// SPDX-License-Identifier: MIT
// The matrix test of scales along k: formats x numeric types x granularities, in both loops, against sums in double.
#include <sparq/format/bitmask.hpp>
#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_n_m.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/format/tile_wise_n_m.hpp>

#include "tests/support/matrix.hpp"

using namespace sparq;
using sparq_test::gemm_extents;
using sparq_test::value_style;
using sparq_test::with;

namespace {

/// How far the kernel's floats may be off: one rounding of each group's sum, one of each addition.
template <format F, numeric N, quantization_granularity G>
std::vector<double> bounds(const tensor<F, N, G>& w, gemm_extents e, double largest_x) {
  std::vector<double> result(e.n);
  detail::for_each_slot(w.index(), [&](std::size_t slot, std::size_t n, std::size_t k) {
    result[n] += std::abs(static_cast<double>(load_code<N>(w.values().data(), slot))) * largest_x *
                 static_cast<double>(w.scales()[G::scale_index(n, k, e.k)]);
  });
  for (double& bound : result) bound *= static_cast<double>(ceil_div(e.k, G::group) + 2) * 0x1p-23;
  return result;
}

/// A tensor with scales of one granularity, from one without.
template <quantization_granularity G, format F, numeric N>
tensor<F, N, G> with_scales(const tensor<F, N>& w, sparq_test::random_source& random) {
  std::vector<float> scales(G::scale_count(w.shape().n, w.shape().k));
  for (float& scale : scales) scale = random.real(0.01F, 2.0F);
  aligned_buffer values(w.values().size());
  std::memcpy(values.data(), w.values().data(), values.size());
  return tensor<F, N, G>(w.index(), std::move(values), std::move(scales));
}

template <class Format, class Combination, class Granularity, class... Shapes>
void check_scales() {
  using weight_type = typename Combination::weight_type;
  using x_type = typename Combination::x_type;
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (const gemm_extents e : sparq_test::extents_to_try(random)) {
    if (random.chance(0.6) && e.m * e.n * e.k < 200000) continue;
    INFO("m " << e.m << ", n " << e.n << ", k " << e.k);
    const auto w =
        with_scales<Granularity>(sparq_test::random_tensor<Format, weight_type>({e.n, e.k}, sparq_test::random_style(random), random), random);
    const auto x = sparq_test::random_x<x_type>(e, sparq_test::random_style(random), random);
    const std::int32_t zero_point =
        random.chance(0.5) ? 0 : random.between(x_type::is_signed ? -128 : 0, x_type::is_signed ? 127 : 255);
    const auto want = scaled_reference_gemm(x.view(), w.view(), zero_point);
    const auto bound = bounds(w, e, 255.0 + std::abs(zero_point));
    const epilogue stages(scale(1.0F), subtract_zero_point(zero_point));
    std::vector<std::vector<float>> results;
    const auto multiply = [&]<class Shape>(std::type_identity<Shape>, std::size_t parts) {
      const auto packed = pack<Shape>(w);
      const auto view = decltype(packed.view())::from_bytes(packed.block());
      sparq_test::guarded_output<float> y(e.m, e.n, random);
      gemm(x.view(), view, y.view(), stages, sparq_test::scrambled_executor{parts, &random}, scratch);
      REQUIRE(y.surroundings_intact());
      results.push_back(y.elements());
    };
    (multiply(std::type_identity<Shapes>{}, 1), ...);
    (multiply(std::type_identity<Shapes>{}, 1 + random.below(7)), ...);
    for (const auto& y : results) {
      REQUIRE(y == results.front());  // the same roundings in both loops, however the work is cut
      for (std::size_t i = 0; i < y.size(); ++i)
        if (!(std::abs(static_cast<double>(y[i]) - want[i]) <= bound[i % e.n]))
          FAIL("Y[" << i / e.n << "][" << i % e.n << "] is " << y[i] << ", not " << want[i] << " +- " << bound[i % e.n]);
    }
  }
}

using rows_shape = default_panel_shape<s8>;
using columns_shape = default_column_shape<s8>;

}  // namespace

TEST_CASE("matrix: scales along k in the format that keeps everything") {
  check_scales<dense, with<s4, u8>, per_group<32>, rows_shape, columns_shape>();
  check_scales<dense, with<s8, s8>, per_group<128>, rows_shape>();
  check_scales<dense, with<s2, s8>, per_group<16>, rows_shape>();
  check_scales<dense, with<u4, u8>, per_group<20>, rows_shape>();
}

TEST_CASE("matrix: scales along k in lists and runs") {
  check_scales<tile_wise<8>, with<s8, u8>, per_group<32>, rows_shape, columns_shape>();
  check_scales<tile_wise<32>, with<s4, s8>, per_block<4, 64>, rows_shape>();
  check_scales<block<16, 4>, with<s4, u8>, per_group<12>, rows_shape>();
  check_scales<csr, with<s8, s8>, per_group<64>, rows_shape, columns_shape>();
}

TEST_CASE("matrix: scales along k in windows") {
  check_scales<csr, with<s8, s8>, per_group<64>, rows_shape, window_shape<16, 4, 32>, window_shape<16, 4, 64>>();
  check_scales<csr, with<s4, u8>, per_group<12>, rows_shape, window_shape<16, 4, 16>>();
  check_scales<bitmask, with<s8, u8>, per_block<4, 128>, window_shape<16, 4, 16>, window_shape<16, 4, 32>>();
}

TEST_CASE("matrix: scales along k in N:M patterns") {
  check_scales<n_m<2, 4>, with<s8, u8>, per_group<32>, rows_shape, columns_shape>();
  check_scales<n_m<1, 4>, with<s4, s8>, per_group<32>, rows_shape>();
  check_scales<n_m<2, 4>, with<s4, u8>, per_group<128>, rows_shape>();
  check_scales<tile_n_m<32, 2, 4>, with<s8, s8>, per_block<1, 32>, rows_shape>();
  check_scales<tile_wise<32, n_m<2, 4>>, with<s8, u8>, per_group<32>, columns_shape>();
}
