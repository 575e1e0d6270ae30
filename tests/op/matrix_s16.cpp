// SPDX-License-Identifier: MIT
// The matrix test of activations of 16 bits, whose sums are int64.
#include <sparq/format/block.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_n_m.hpp>
#include <sparq/format/tile_wise.hpp>

#include "tests/support/matrix.hpp"

using namespace sparq;
using sparq_test::with;

TEMPLATE_TEST_CASE("matrix: activations of 16 bits equal the reference", "", (with<s8, s16>), (with<u8, s16>),
                   (with<s4, s16>), (with<ternary, s16>)) {
  sparq_test::check_all_extents<dense, TestType>();
}

TEST_CASE("matrix: activations of 16 bits equal the reference in every kind of panel") {
  sparq_test::check_all_extents<block<16, 4>, with<s8, s16>>();
  sparq_test::check_all_extents<tile_wise<8>, with<s8, s16>>();
  sparq_test::check_all_extents<n_m<2, 4>, with<s8, s16>>();
  sparq_test::check_all_extents<tile_n_m<32, 2, 4>, with<s8, s16>>();
}

TEST_CASE("matrix: sums of 16-bit activations pass what int32 holds") {
  constexpr std::size_t m = 7, n = 19;
  for (const std::size_t k : {508u, 511u, 512u, 513u, 1024u, 70001u}) {
    const std::vector<std::int16_t> x(m * k, -32768);
    const auto w = pack(encode_codes<dense, s8, per_tensor>(std::vector<std::int8_t>(n * k, -128), {n, k}, {1.0F}));
    std::vector<std::int64_t> y(m * n);
    workspace scratch;
    gemm(matrix_view<const std::int16_t>(x.data(), m, k), w, matrix_view<std::int64_t>(y.data(), m, n), scratch);
    REQUIRE(y == std::vector<std::int64_t>(m * n, static_cast<std::int64_t>(k) << 22));
  }
}

TEST_CASE("matrix: sums of 16-bit activations leave through int64 stages") {
  const std::vector<std::int16_t> x = {-32768, -32768, 32767, 5};
  const std::vector<std::int8_t> codes = {-128, -128, 127, -3};
  const auto w = pack(encode_codes<dense, s8, per_tensor>(codes, {1, 4}, {1.0F}));
  const std::int64_t sum = (std::int64_t{1} << 23) + 32767 * 127 - 15;
  const matrix_view<const std::int16_t> view(x.data(), 1, 4);
  workspace scratch;
  const std::vector<std::int64_t> bias_values = {std::int64_t{1} << 40};
  std::int64_t wide = 0;
  gemm(view, w, matrix_view<std::int64_t>(&wide, 1, 1), epilogue(bias(std::span(bias_values)), subtract_zero_point(2)),
       serial, scratch);
  CHECK(wide == sum + bias_values[0] - 2 * (-128 - 128 + 127 - 3));
  std::int32_t narrow = 0;
  gemm(view, w, matrix_view<std::int32_t>(&narrow, 1, 1), epilogue(bias(std::span(bias_values)), saturate_to_integer()),
       serial, scratch);
  CHECK(narrow == INT32_MAX);
  float real = 0;
  gemm(view, w, matrix_view<float>(&real, 1, 1), epilogue(to_float(), scale(0.5F)), serial, scratch);
  CHECK(real == 0.5F * static_cast<float>(sum));
  std::int16_t code = 0;
  const auto parameters = tflite_16x8::from_real(0.001);
  gemm(view, w, matrix_view<std::int16_t>(&code, 1, 1), epilogue(requantize_to_codes<s16>(parameters)), serial,
       scratch);
  CHECK(code == tflite_16x8::apply(sum, parameters));
  CHECK(code > 12000);
  std::int8_t byte = 0;
  gemm(view, w, matrix_view<std::int8_t>(&byte, 1, 1), epilogue(requantize_to_codes<s8>(parameters)), serial, scratch);
  CHECK(byte == 127);
}
