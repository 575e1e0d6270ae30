// SPDX-License-Identifier: MIT
// The matrix test of scales along k: formats x numeric types x granularities, in both loops, against sums in double.
#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_n_m.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/format/tile_wise_n_m.hpp>

#include <sparq/op/conv2d.hpp>

#include "tests/support/convolution.hpp"
#include "tests/support/scales.hpp"

#include <vector>

using namespace sparq;
using sparq_test::with;

namespace {

using rows_shape = default_panel_shape<s8>;
using columns_shape = default_column_shape<s8>;

}  // namespace

TEST_CASE("matrix: scales along k in the format that keeps everything") {
  sparq_test::check_scales<dense, with<s4, u8>, per_group<32>, rows_shape, columns_shape>();
  sparq_test::check_scales<dense, with<s8, s8>, per_group<128>, rows_shape>();
  sparq_test::check_scales<dense, with<s2, s8>, per_group<16>, rows_shape>();
  sparq_test::check_scales<dense, with<u4, u8>, per_group<20>, rows_shape>();
  sparq_test::check_scales<dense, with<ternary, u8>, per_group<128>, rows_shape>();
  sparq_test::check_scales<dense, with<binary, s8>, per_group<64>, rows_shape>();
}

TEST_CASE("matrix: scales along k in lists and runs") {
  sparq_test::check_scales<tile_wise<8>, with<s8, u8>, per_group<32>, rows_shape, columns_shape>();
  sparq_test::check_scales<tile_wise<32>, with<s4, s8>, per_block<4, 64>, rows_shape>();
  sparq_test::check_scales<block<16, 4>, with<s4, u8>, per_group<12>, rows_shape>();
  sparq_test::check_scales<csr, with<s8, s8>, per_group<64>, rows_shape, columns_shape>();
}

TEST_CASE("matrix: scales along k in N:M patterns") {
  sparq_test::check_scales<n_m<2, 4>, with<s8, u8>, per_group<32>, rows_shape, columns_shape>();
  sparq_test::check_scales<n_m<1, 4>, with<s4, s8>, per_group<32>, rows_shape>();
  sparq_test::check_scales<n_m<2, 4>, with<s4, u8>, per_group<128>, rows_shape>();
  sparq_test::check_scales<tile_n_m<32, 2, 4>, with<s8, s8>, per_block<1, 32>, rows_shape>();
  sparq_test::check_scales<tile_n_m<32, 1, 4>, with<s2, u8>, per_group<32>,
                           rows_shape>();  // words end in groups without weights
  sparq_test::check_scales<tile_wise<32, n_m<2, 4>>, with<s8, u8>, per_group<32>, columns_shape>();
}

namespace {

/// Convolutions give the bits of the product of what their windows cover, whose zero point lies beyond the border, too.
template <class Format, class X, class W, class Granularity, class Shape>
void check_scaled_convolutions(sparq_test::random_source& random) {
  INFO(Format::name() << ", " << X::name << " x " << W::name << ", " << Granularity::name);
  workspace scratch;
  for (int trial = 0; trial < 15;) {
    const auto p = sparq_test::random_convolution<X>(random);
    if (p.groups != 1) continue;
    ++trial;
    INFO(p.text());
    const auto w = pack<Shape>(sparq_test::with_scales<Granularity>(
        sparq_test::random_tensor<Format, W>({p.n, p.k()}, sparq_test::random_style(random), random), random));
    std::vector<typename X::code> rows;
    for (std::size_t m = 0; m < p.pixels(); ++m)
      for (std::size_t k = 0; k < p.k(); ++k) rows.push_back(p.covered(m, k));
    std::vector<float> product(p.pixels() * p.n), y(product.size());
    const epilogue stages(subtract_zero_point(p.padding));
    gemm(matrix_view<const typename X::code>(rows.data(), p.pixels(), p.k()), w,
         matrix_view<float>(product.data(), p.pixels(), p.n), stages, serial, scratch);
    conv2d(p.image(), w, image_view<float>(y.data(), p.images, p.out_height(), p.out_width(), p.n), p.window, p.padding,
           stages, sparq_test::scrambled_executor{1 + random.below(5), &random}, scratch);
    REQUIRE(y == product);
  }
}

}  // namespace

TEST_CASE("matrix: convolutions scale along k") {
  sparq_test::random_source random;
  INFO(random.text());
  check_scaled_convolutions<dense, u8, s4, per_group<32>, rows_shape>(random);
  check_scaled_convolutions<n_m<2, 4>, s8, s8, per_group<64>, rows_shape>(random);
  check_scaled_convolutions<tile_wise<8>, u8, s8, per_block<4, 64>, rows_shape>(random);
  check_scaled_convolutions<csr, u8, s8, per_group<32>, columns_shape>(random);
}
