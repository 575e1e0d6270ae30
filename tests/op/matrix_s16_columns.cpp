// SPDX-License-Identifier: MIT
// The matrix test of activations of 16 bits in the columns loop, whose sums are int64.
#include <sparq/format/bitmask.hpp>
#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/n_m.hpp>

#include "tests/support/matrix.hpp"

using namespace sparq;
using sparq_test::with;

namespace {

template <class Format, class W, class Shape = default_column_shape<W>>
void check_s16_columns() {
  sparq_test::check_all_extents<Format, with<W, s16>, default_atoms, Shape>();
}

}  // namespace

TEMPLATE_TEST_CASE("matrix: scattered weights meet activations of 16 bits", "", s8, u8, s4, ternary,
                   (codebook<4, s8, per_channel>)) {
  check_s16_columns<csr, TestType>();
}

TEST_CASE("matrix: every format meets activations of 16 bits in the columns loop") {
  check_s16_columns<bitmask, s8>();
  check_s16_columns<block<1, 4>, s8>();
  check_s16_columns<block<1, 4>, s4, column_shape<4, 4, 4>>();
  check_s16_columns<n_m<2, 4>, s2>();
  check_s16_columns<dense, binary>();
}

TEST_CASE("matrix: every number of rows of 16 bits around a block, and k's in several sections") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  const auto check = [&](sparq_test::gemm_extents e) {
    INFO("m " << e.m << ", n " << e.n << ", k " << e.k);
    REQUIRE(sparq_test::multiplication_problem<csr, with<s8, s16>, default_atoms, default_column_shape<s8>>(
                e, random, scratch) == "");
  };
  for (std::size_t m = 1; m <= 35; ++m) check({m, 1 + random.below(20), 1 + random.below(40)});
  for (int trial = 0; trial < 3; ++trial) {
    check({1 + random.below(20), 300, 1 + random.below(200)});
    check({1 + random.below(20), 17, 4000});
  }
}

TEST_CASE("matrix: scattered weights of the largest sums pass what int32 holds") {
  constexpr std::size_t n = 19;
  for (const std::size_t m : {1u, 2u, 7u, 16u, 33u})
    for (const std::size_t k : {508u, 509u, 512u, 1025u, 20001u})
      for (const int value : {-32768, 32767}) {
        INFO("m " << m << ", k " << k << ", x " << value);
        const std::vector<std::int16_t> x(m * k, static_cast<std::int16_t>(value));
        const auto w = pack(encode_codes<csr, s8, per_tensor>(std::vector<std::int8_t>(n * k, -128), {n, k}, {1.0F}));
        std::vector<std::int64_t> y(m * n);
        workspace scratch;
        gemm(matrix_view<const std::int16_t>(x.data(), m, k), w, matrix_view<std::int64_t>(y.data(), m, n), scratch);
        REQUIRE(y == std::vector<std::int64_t>(m * n, static_cast<std::int64_t>(k) * -128 * value));
      }
}

TEST_CASE("matrix: activations of 16 bits by columns and in quads, sums that become codes") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  const auto parameters = tflite_16x8::from_real(0.0004);
  for (int trial = 0; trial < 20; ++trial) {
    const std::size_t m = 1 + random.below(50), n = 1 + random.below(30), k = 1 + random.below(90);
    INFO("m " << m << ", n " << n << ", k " << k);
    const auto w = sparq_test::random_tensor<block<1, 4>, s8>({n, k}, sparq_test::value_style::any, random);
    const auto packed = pack(w);
    std::vector<std::int16_t> x(m * k), by_columns(m * k), in_quads((k + 3) / 4 * 4 * m);
    sparq_test::fill_codes<s16>(x, sparq_test::value_style::any, random);
    const matrix_view<const std::int16_t> rows(x.data(), m, k);
    const k_major_view<std::int16_t> columns(by_columns.data(), m, k);
    const quad_view<std::int16_t> quads(in_quads.data(), m, k);
    for (std::size_t r = 0; r < m; ++r)
      for (std::size_t i = 0; i < k; ++i) columns(r, i) = quads(r, i) = rows(r, i);
    const std::vector<std::int64_t> want = reference_gemm(rows, w.view());
    std::vector<std::int64_t> sums(m * n);
    const auto stages = epilogue(requantize_to_codes<s16>(parameters));
    const auto check = [&](auto from) {
      gemm(from, packed, k_major_view<std::int64_t>(sums.data(), m, n), scratch);
      std::vector<std::int16_t> codes(m * n), turned(m * n);
      gemm(from, packed, matrix_view<std::int16_t>(codes.data(), m, n), stages, serial, scratch);
      gemm(from, packed, k_major_view<std::int16_t>(turned.data(), m, n), stages, serial, scratch);
      for (std::size_t r = 0; r < m; ++r)
        for (std::size_t c = 0; c < n; ++c) {
          REQUIRE(sums[c * m + r] == want[r * n + c]);
          REQUIRE(codes[r * n + c] == tflite_16x8::apply(want[r * n + c], parameters));
          REQUIRE(turned[c * m + r] == codes[r * n + c]);
        }
    };
    check(rows);
    check(k_major_view<const std::int16_t>(columns));
    check(quad_view<const std::int16_t>(quads));
  }
}

TEST_CASE("matrix: activations of 16 bits and scales along k in the columns loop") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (int trial = 0; trial < 20; ++trial) {
    const std::size_t m = 1 + random.below(40), n = 1 + random.below(30), k = 1 + random.below(2000);
    INFO("m " << m << ", n " << n << ", k " << k);
    constexpr std::size_t group = 1024;
    std::vector<std::int8_t> codes(n * k);
    sparq_test::fill_codes<s8>(
        codes, random.chance(0.5) ? sparq_test::value_style::extremes : sparq_test::value_style::any, random);
    std::vector<float> scales(n * ceil_div(k, group));
    for (float& s : scales) s = random.real(0.5F, 2.0F);
    const auto w = encode_codes<dense, s8, per_group<group>>(codes, {n, k}, scales);
    std::vector<std::int16_t> x(m * k);
    sparq_test::fill_codes<s16>(x, sparq_test::value_style::extremes, random);
    std::vector<float> y(m * n);
    gemm(matrix_view<const std::int16_t>(x.data(), m, k), pack<column_shape<4, 4>>(w),
         matrix_view<float>(y.data(), m, n), scratch);
    for (std::size_t r = 0; r < m; ++r)
      for (std::size_t c = 0; c < n; ++c) {
        double want = 0;
        double size = 1;
        for (std::size_t i = 0; i < k; ++i) {
          const double product = double{scales[c * ceil_div(k, group) + i / group]} * x[r * k + i] * codes[c * k + i];
          want += product;
          size += product < 0 ? -product : product;
        }
        REQUIRE(std::abs(y[r * n + c] - want) <= size * 1e-6);
      }
  }
}
