// SPDX-License-Identifier: MIT
// The matrix test of the columns loop: any format can be packed for it.
#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_wise.hpp>

#include "tests/support/matrix.hpp"

using namespace sparq;
using sparq_test::with;

namespace {

template <class Format, class Combination, std::size_t Channels = 4>
void check_columns() {
  using weight_type = typename Combination::weight_type;
  using shape = column_shape<Channels, default_column_shape<weight_type>::group_k>;
  sparq_test::check_all_extents<Format, Combination, default_atoms, shape>();
}

}  // namespace

TEMPLATE_TEST_CASE("matrix: scattered weights equal the reference", "", (with<s8, u8>), (with<s8, s8>), (with<u8, u8>),
                   (with<u8, s8>), (with<s4, u8>), (with<s4, s8>), (with<f32, f32>), (with<bf16, f32>),
                   (with<bf16, bf16>)) {
  check_columns<csr, TestType>();
}

TEST_CASE("matrix: every format equals the reference in the columns loop") {
  check_columns<block<1, 4>, with<s8, u8>>();
  check_columns<n_m<2, 4>, with<s8, u8>>();
  check_columns<tile_wise<8>, with<s4, u8>>();
  check_columns<n_m<2, 4>, with<f32, f32>>();
}

TEST_CASE("matrix: panels of one and two channels equal the reference") {
  check_columns<csr, with<s8, u8>, 1>();
  check_columns<csr, with<s8, s8>, 2>();
  check_columns<csr, with<f32, f32>, 2>();
}

TEST_CASE("matrix: X and Y by columns equal X and Y by rows") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (int trial = 0; trial < 200; ++trial) {
    const std::size_t m = 1 + random.below(70), n = 1 + random.below(40), k = 1 + random.below(100);
    const auto w = pack(sparq_test::random_tensor<csr, s8>({n, k}, sparq_test::value_style::any, random));
    std::vector<std::uint8_t> by_rows(m * k);
    sparq_test::fill_codes<u8>(by_rows, sparq_test::value_style::any, random);
    const std::size_t x_stride = m + random.below(9), y_stride = m + random.below(9);
    std::vector<std::uint8_t> by_columns(k * x_stride, 99), y_columns(n * y_stride, 77), y_rows(m * n);
    for (std::size_t i = 0; i < by_rows.size(); ++i) by_columns[i % k * x_stride + i / k] = by_rows[i];
    std::vector<fp32_nearest_even::parameters> scales(n, fp32_nearest_even::parameters{0.001F});
    const epilogue stages(requantize_to_codes<u8>(std::span<const fp32_nearest_even::parameters>(scales), 128));
    gemm(matrix_view<const std::uint8_t>(by_rows.data(), m, k), w, matrix_view<std::uint8_t>(y_rows.data(), m, n), stages,
         serial, scratch);
    const k_major_view<const std::uint8_t> x(by_columns.data(), m, k, x_stride);
    gemm(x, w, k_major_view<std::uint8_t>(y_columns.data(), m, n, y_stride), stages, serial, scratch);
    INFO("m " << m << ", n " << n << ", k " << k);
    for (std::size_t j = 0; j < n; ++j)
      for (std::size_t i = 0; i < y_stride; ++i)
        REQUIRE(y_columns[j * y_stride + i] == (i < m ? y_rows[i * n + j] : 77));
    std::vector<std::uint8_t> y_mixed(m * n);
    gemm(x, w, matrix_view<std::uint8_t>(y_mixed.data(), m, n), stages, serial, scratch);
    REQUIRE(y_mixed == y_rows);
  }
}

TEST_CASE("matrix: scattered weights pack to the same bytes on every machine") {
  CHECK(sparq_test::packed_fingerprint<csr, s8>() == 0x7985597d82b3b4bb);
  CHECK(sparq_test::packed_fingerprint<csr, s4>() == 0x579834684edd422a);
  CHECK(sparq_test::packed_fingerprint<csr, f32>() == 0x94a3a2393361fd6a);
}

TEST_CASE("matrix: damaged blocks of scattered weights are refused or stay in bounds") {
  sparq_test::check_damaged_blocks<csr, with<s8, u8>>();
}
