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

template <class Format, class Combination, std::size_t Channels = 4, std::size_t Run = 1>
void check_columns() {
  using weight_type = typename Combination::weight_type;
  using shape = column_shape<Channels, default_column_shape<weight_type>::group_k, Run>;
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
  check_columns<n_m<2, 4>, with<ternary, s8>>();
  check_columns<n_m<2, 4>, with<f32, f32>>();
}

TEST_CASE("matrix: panels of one and two channels equal the reference") {
  check_columns<csr, with<s8, u8>, 1>();
  check_columns<csr, with<s4, s8>, 2>();
  check_columns<csr, with<f32, f32>, 2>();
}

TEST_CASE("matrix: runs of four k's equal the reference, whatever the format") {
  check_columns<block<1, 4>, with<s8, u8>, 4, 4>();
  check_columns<block<4, 4>, with<s4, s8>, 4, 4>();
  check_columns<csr, with<s8, s8>, 4, 4>();
  check_columns<csr, with<u8, u8>, 2, 4>();
}

namespace {

/// Every number of rows around a block, and channels and k's in several chunks.
template <class Combination, std::size_t Run>
void check_rows_around_a_block() {
  using shape = column_shape<4, default_column_shape<typename Combination::weight_type>::group_k, Run>;
  using atom = atom_for<typename Combination::x_type, typename Combination::weight_type, shape>;
  constexpr std::size_t block_rows = atom::lanes * atom::registers;
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  const auto check = [&](sparq_test::gemm_extents e) {
    INFO("m " << e.m << ", n " << e.n << ", k " << e.k);
    REQUIRE(sparq_test::multiplication_problem<csr, Combination, default_atoms, shape>(e, random, scratch) == "");
  };
  for (std::size_t m = 1; m <= 2 * block_rows + 17; ++m) check({m, 1 + random.below(20), 1 + random.below(40)});
  for (int trial = 0; trial < 3; ++trial) {
    check({1 + random.below(20), 300, 1 + random.below(200)});     // more channels than one chunk holds
    check({1 + random.below(20), 17, 4000});                       // one strip holds more codes than a chunk
    check({block_rows + 1 + random.below(block_rows), 40, 2500});  // panels cut along k, and rows behind a block
    check({5 * block_rows + 1 + random.below(16), 7, 1200});       // more blocks than are packed together
  }
}

}  // namespace

TEMPLATE_TEST_CASE("matrix: every number of rows around a block, and channels and k's in several chunks", "",
                   (with<s8, u8>), (with<s4, s8>), (with<f32, f32>)) {
  check_rows_around_a_block<TestType, 1>();
}

TEST_CASE("matrix: every number of rows around a block of runs") { check_rows_around_a_block<with<s8, s8>, 4>(); }

namespace {

/// Y = X W^T with X and Y by rows and by columns: four products, one result, nothing around Y touched.
template <class Combination, class Y, class... Stages>
void check_layouts(sparq_test::gemm_extents e, const epilogue<Stages...>& stages, sparq_test::random_source& random) {
  using weight_type = typename Combination::weight_type;
  using x_type = typename Combination::x_type;
  using x_code = typename x_type::code;
  INFO("m " << e.m << ", n " << e.n << ", k " << e.k);
  const auto w = pack(sparq_test::random_tensor<csr, weight_type>({e.n, e.k}, sparq_test::value_style::any, random));
  const auto x = sparq_test::random_x<x_type>(e, sparq_test::value_style::any, random);
  const std::size_t gap = random.below(20);
  const sparq_test::strided_input<x_code> turned(e.k, e.m, gap, [&](std::span<x_code> block) {
    sparq_test::fill_codes<x_type>(block, sparq_test::value_style::any, random);
    for (std::size_t k = 0; k < e.k; ++k)
      for (std::size_t m = 0; m < e.m; ++m) block[k * (e.m + gap) + m] = x.view()(m, k);
  });
  const k_major_view<const x_code> x_by_columns(turned.view().data, e.m, e.k, e.m + gap);

  workspace scratch;
  const auto multiply = [&](auto from, auto to) {
    gemm(from, w, to, stages, sparq_test::scrambled_executor{1 + random.below(6), &random}, scratch);
  };
  sparq_test::guarded_output<Y> want(e.m, e.n, random);
  multiply(x.view(), want.view());
  sparq_test::guarded_output<Y> mixed(e.m, e.n, random);
  multiply(x_by_columns, mixed.view());
  REQUIRE(mixed.elements() == want.elements());
  REQUIRE(mixed.surroundings_intact());
  for (const bool x_too : {false, true}) {
    sparq_test::guarded_output<Y> columns(e.n, e.m, random);  // Y turned: a column of Y is a row here
    const k_major_view<Y> y(columns.view().data, e.m, e.n, columns.view().stride);
    x_too ? multiply(x_by_columns, y) : multiply(x.view(), y);
    for (std::size_t m = 0; m < e.m; ++m)
      for (std::size_t n = 0; n < e.n; ++n) REQUIRE(y(m, n) == want.view()(m, n));
    REQUIRE(columns.surroundings_intact());
  }
  REQUIRE(x.unchanged());
  REQUIRE(turned.unchanged());
}

}  // namespace

TEST_CASE("matrix: X and Y by columns equal X and Y by rows") {
  sparq_test::random_source random;
  INFO(random.text());
  std::vector<sparq_test::gemm_extents> extents = {{0, 3, 5}, {3, 0, 5}, {3, 5, 0}, {300, 9, 1100}};
  for (std::size_t m = 1; m <= 82; ++m) extents.push_back({m, 1 + random.below(40), 1 + random.below(100)});
  for (const auto e : extents) {
    std::vector<fp32_nearest_even::parameters> scales(e.n);
    for (auto& s : scales) s.scale = random.real(0.0005F, 0.002F);
    const std::span<const fp32_nearest_even::parameters> per_channel(scales);
    check_layouts<with<s8, u8>, std::uint8_t>(e, epilogue(requantize_to_codes<u8>(per_channel, 128)), random);
    check_layouts<with<s8, s8>, std::int8_t>(e, epilogue(requantize_to_codes<s8>(per_channel, -3)), random);
    check_layouts<with<s4, u8>, std::int32_t>(e, epilogue(subtract_zero_point(77)), random);
    check_layouts<with<f32, f32>, float>(e, epilogue(relu()), random);
  }
}

namespace {

/// X and Y in quads equal X and Y by rows, in weights of runs and of single k's.
template <class Shape, class Combination, class Y, class... Stages>
void check_quads(sparq_test::gemm_extents e, const epilogue<Stages...>& stages, sparq_test::random_source& random) {
  using x_type = typename Combination::x_type;
  using x_code = typename x_type::code;
  INFO("m " << e.m << ", n " << e.n << ", k " << e.k);
  const auto w = pack<Shape>(sparq_test::random_tensor<block<1, 4>, typename Combination::weight_type>(
      {e.n, e.k}, sparq_test::value_style::any, random));
  const auto x = sparq_test::random_x<x_type>(e, sparq_test::value_style::any, random);
  const std::size_t x_stride = 4 * e.m + random.below(9), y_stride = 4 * e.m + random.below(9);
  std::vector<x_code> quads((e.k + 3) / 4 * x_stride);
  sparq_test::fill_codes<x_type>(quads, sparq_test::value_style::any, random);  // also beyond the last k
  const quad_view<x_code> x_quads(quads.data(), e.m, e.k, x_stride);
  for (std::size_t m = 0; m < e.m; ++m)
    for (std::size_t k = 0; k < e.k; ++k) x_quads(m, k) = x.view()(m, k);
  std::vector<Y> want(e.m * e.n), mixed(want.size());
  std::vector<Y> y((e.n + 3) / 4 * y_stride, Y{77});
  const quad_view<Y> y_quads(y.data(), e.m, e.n, y_stride);
  const quad_view<const x_code> from(x_quads);
  workspace scratch;
  const auto multiply = [&](auto in, auto out) {
    gemm(in, w, out, stages, sparq_test::scrambled_executor{1 + random.below(6), &random}, scratch);
  };
  multiply(x.view(), matrix_view<Y>(want.data(), e.m, e.n));
  multiply(from, matrix_view<Y>(mixed.data(), e.m, e.n));
  REQUIRE(mixed == want);
  for (const bool x_too : {false, true}) {
    std::fill(y.begin(), y.end(), Y{77});
    x_too ? multiply(from, y_quads) : multiply(x.view(), y_quads);
    for (std::size_t i = 0; i < y.size(); ++i) {
      const std::size_t m = i % y_stride / 4, n = i / y_stride * 4 + i % y_stride % 4;
      REQUIRE(y[i] == (m >= e.m ? Y{77} : n < e.n ? want[m * e.n + n] : Y{}));
    }
  }
}

}  // namespace

TEST_CASE("matrix: X and Y in quads equal X and Y by rows") {
  sparq_test::random_source random;
  INFO(random.text());
  std::vector<sparq_test::gemm_extents> extents = {{0, 3, 5}, {3, 0, 5}, {3, 5, 0}, {300, 9, 1100}, {70, 20, 3000}};
  for (std::size_t m = 1; m <= 82; ++m) extents.push_back({m, 1 + random.below(40), 1 + random.below(100)});
  for (const auto e : extents) {
    const fp32_nearest_even::parameters scale{0.001F};
    check_quads<column_shape<4, 4, 4>, with<s8, u8>, std::uint8_t>(e, epilogue(requantize_to_codes<u8>(scale, 128)),
                                                                   random);
    check_quads<column_shape<4, 4>, with<s8, s8>, std::int8_t>(e, epilogue(requantize_to_codes<s8>(scale, -3)), random);
    check_quads<column_shape<4, 4, 4>, with<s8, s8>, std::int32_t>(e, epilogue(subtract_zero_point(77)), random);
    check_quads<column_shape<4, 1>, with<f32, f32>, float>(e, epilogue(relu()), random);
  }
}

TEST_CASE("matrix: two layers stay in quads") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (int trial = 0; trial < 20; ++trial) {
    const std::size_t m = 1 + random.below(100), k = 1 + random.below(90), n = 1 + random.below(60),
                      last = 1 + random.below(40);
    const auto first = sparq_test::random_tensor<block<1, 4>, s8>({n, k}, sparq_test::value_style::any, random);
    const auto second = sparq_test::random_tensor<block<2, 4>, s8>({last, n}, sparq_test::value_style::any, random);
    std::vector<std::uint8_t> x(quad_view<std::uint8_t>::elements(m, k)),
        middle(quad_view<std::uint8_t>::elements(m, n), 0xCD);
    std::vector<std::uint8_t> y(quad_view<std::uint8_t>::elements(m, last), 0xCD), rows(m * k);
    sparq_test::fill_codes<u8>(x, sparq_test::value_style::any, random);
    const quad_view<const std::uint8_t> x_quads(x.data(), m, k);
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = x_quads(i / k, i % k);
    const fp32_nearest_even::parameters scale{0.0008F};
    const auto stages = epilogue(requantize_to_codes<u8>(scale, 90));
    const quad_view<std::uint8_t> between(middle.data(), m, n), end(y.data(), m, last);
    gemm(x_quads, pack(first), between, stages, serial, scratch);  // packs to runs by itself
    gemm(quad_view<const std::uint8_t>(between), pack(second), end, stages, serial, scratch);

    std::vector<std::uint8_t> hidden;
    for (const std::int32_t sum : reference_gemm(matrix_view<const std::uint8_t>(rows.data(), m, k), first.view()))
      hidden.push_back(static_cast<std::uint8_t>(requantize_to<u8>(sum, scale, 90, 0, 255)));
    const auto want = reference_gemm(matrix_view<const std::uint8_t>(hidden.data(), m, n), second.view());
    for (std::size_t i = 0; i < want.size(); ++i)
      REQUIRE(end(i / last, i % last) == requantize_to<u8>(want[i], scale, 90, 0, 255));
  }
}

TEST_CASE("matrix: scattered weights pack to the same bytes on every machine") {
  CHECK(sparq_test::packed_fingerprint<csr, s8>() == 0x142ccb14b47b0af0);
  CHECK(sparq_test::packed_fingerprint<csr, s4>() == 0xe8675346ecb69607);
  CHECK(sparq_test::packed_fingerprint<csr, f32>() == 0x079f72d852034ed3);
  CHECK(sparq_test::packed_fingerprint<block<1, 4>, s8>() == 0x78e075fbf252061c);
}

TEST_CASE("matrix: damaged blocks of scattered weights are refused or stay in bounds") {
  sparq_test::check_damaged_blocks<csr, with<s8, u8>>();
  sparq_test::check_damaged_blocks<block<1, 4>, with<s8, u8>>();
}
