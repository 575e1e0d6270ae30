// SPDX-License-Identifier: MIT
#pragma once
// Every type of weights in one format, multiplied by every type of X that it meets, in both loops and by a convolution,
// against plain sums. Whether a combination compiles and is right is asked here; sizes and codes that break a kernel
// are tried in tests/op, on every instruction set.

#include <sparq/numeric/floating.hpp>
#include <sparq/numeric/power.hpp>
#include <sparq/op/conv2d.hpp>
#include <sparq/op/gemm.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/convolution.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace combinations {

/// Integers of any style; floats whose sums do not round.
template <sparq::numeric N>
sparq_test::value_style style_of(sparq_test::random_source& random) {
  return N::is_integer ? sparq_test::random_style(random) : sparq_test::value_style::exact;
}

/// A convolution by random weights, and products of what its window covers; X is of one type.
/// - `weights`: numbers of `shape`, whose k are 6 taps
template <sparq::numeric X, sparq::numeric W, bool Convolves, class Code, class... Packed>
void check_x(const std::vector<Code>& weights, sparq::weight_shape shape, sparq_test::random_source& random,
             const Packed&... packed) {
  using code = typename X::code;
  using sum = sparq_test::convolution_sum<X, W>;
  sparq_test::convolution_problem<X> p;
  p.images = p.groups = 1;
  p.height = 6;
  p.width = 5;
  p.channels = shape.k / 6;
  p.n = shape.n;
  p.window = {.kernel_height = 3, .kernel_width = 2, .stride_y = 2, .pad_top = 1, .pad_left = 1, .pad_bottom = 2};
  p.fill(random);
  if (X::is_integer) sparq_test::fill_codes<X>(p.by_pixel, style_of<X>(random), random);
  const auto want = sparq_test::plain_convolution<X, sum>(p, weights);
  std::vector<code> rows;
  for (std::size_t m = 0; m < p.pixels(); ++m)
    for (std::size_t k = 0; k < p.k(); ++k) rows.push_back(p.covered(m, k));

  sparq::workspace scratch;
  const auto check = [&](const auto& w) {
    std::vector<sum> y(p.pixels() * p.n);
    for (const std::size_t m : {std::size_t{1}, std::size_t{3}, p.pixels()}) {
      INFO(X::name << ", m " << m << ", n " << p.n << ", k " << p.k());
      sparq::gemm(sparq::matrix_view<const code>(rows.data(), m, p.k()), w, sparq::matrix_view<sum>(y.data(), m, p.n),
                  scratch);
      REQUIRE(std::equal(y.begin(), y.begin() + static_cast<std::ptrdiff_t>(m * p.n), want.begin()));
    }
    if constexpr (Convolves) {
      INFO(X::name << ", " << p.text());
      sparq::conv2d(p.image(), w, sparq::image_view<sum>(y.data(), 1, p.out_height(), p.out_width(), p.n), p.window,
                    p.padding, sparq::epilogue<>(), sparq::serial, scratch);
      REQUIRE(y == want);
    }
  };
  (check(packed), ...);
}

/// Types of X run the same convolution but for the atom, so one of them convolves.
template <sparq::format Format, sparq::numeric W, sparq::numeric FirstX, sparq::numeric... X>
void check_weights() {
  using columns = sparq::default_column_shape<W>;
  sparq_test::random_source random;
  INFO(Format::name() << " of " << W::name << ", " << random.text());
  for (const sparq::weight_shape shape : {sparq::weight_shape{37, 78}, {16, 24}, {65, 198}, {5, 6}}) {
    const auto draw = [&] { return sparq_test::random_tensor<Format, W>(shape, style_of<W>(random), random); };
    auto w = draw();
    while (!sparq::try_pack<columns>(w).ok()) w = draw();  // a table without 0, which the columns loop fills up with
    const auto numbers = sparq::decode_codes(w);
    const auto by_rows = sparq::pack<sparq::default_panel_shape<W>>(w);
    const auto by_columns = sparq::pack<columns>(w);
    check_x<FirstX, W, true>(numbers, shape, random, by_rows.view(), by_columns.view());
    (check_x<X, W, false>(numbers, shape, random, by_rows.view(), by_columns.view()), ...);
  }
}

template <sparq::format Format, sparq::numeric... W>
void check_integers() {
  (check_weights<Format, W, sparq::u8, sparq::s8, sparq::s16>(), ...);
}
template <sparq::format Format, sparq::numeric... W>
void check_floats() {
  (check_weights<Format, W, sparq::f32, sparq::f16, sparq::bf16>(), ...);
}

template <sparq::format Format>
void check_all() {
  using namespace sparq;
  check_integers<Format, s8, s7, s6, s5, s4, s3, s2, u8, u7, u6, u5, u4, u3, u2, pow2<4>, pow2<3>, ternary,
                 ternary_dense5, binary, s4_high_first, s2_high_first>();
  check_integers<Format, codebook<1>, codebook<3, s8, per_channel>, codebook<4, s8, per_channel>, codebook<8>>();
  check_floats<Format, f32, f16, bf16, codebook<4, f32, per_channel>>();
}

}  // namespace combinations
