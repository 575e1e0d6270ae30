// SPDX-License-Identifier: MIT
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/kernel/reference.hpp>
#include <sparq/op/gemm_dynamic.hpp>

#include "tests/support/backwards.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/guarded.hpp"
#include "tests/support/operands.hpp"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

using namespace sparq;
using sparq_test::random_source;

namespace {

/// The quantization of X by quantize_rows, whose own test knows the rules.
template <class Code>
struct quantized_x {
  std::vector<Code> codes;
  std::vector<float> scales;
  std::vector<std::int32_t> zero_points;

  explicit quantized_x(matrix_view<const float> x)
      : codes(x.rows * x.columns), scales(x.rows), zero_points(std::is_signed_v<Code> ? 0 : x.rows) {
    quantize_rows(x, quantized_rows<Code>{{codes.data(), x.rows, x.columns}, scales, zero_points}, serial);
    zero_points.resize(x.rows);
  }
};

template <class Code, format F, numeric N, quantization_granularity G, class Packed>
void check_product(const tensor<F, N, G>& w, const Packed& packed, std::size_t m, random_source& random) {
  const auto [n, k] = w.shape();
  const std::size_t stride = k + random.below(4);
  INFO("m " << m << ", n " << n << ", k " << k);
  std::vector<float> x(m * stride + 1);
  for (std::size_t row = 0; row < m; ++row) {
    const float size = random.pick({0.0F, 0.001F, 1.0F, 5000.0F});
    for (std::size_t i = 0; i < k; ++i) x[row * stride + i] = random.real(-0.3F, 1) * size;
  }
  const matrix_view<const float> x_view(x.data(), m, k, stride);
  std::vector<float> offsets(n);
  for (float& offset : offsets) offset = random.real(-1, 1);

  const sparq_test::backwards executor{1 + random.below(4)};
  aligned_buffer memory(explain_gemm_dynamic<Code>(m, packed, executor.parts).workspace_bytes);
  workspace scratch(memory.bytes());  // not a byte more
  sparq_test::guarded_output<float> y(m, n, random);
  gemm_dynamic<Code>(x_view, packed, y.view(), epilogue(bias(offsets)), executor, scratch);
  CHECK(y.surroundings_intact());

  const quantized_x<Code> q(x_view);
  const matrix_view<const Code> codes(q.codes.data(), m, k);
  const std::vector<float> real = decode(w);
  const auto weight_codes = decode_codes(w);
  for (std::size_t row = 0; row < m; ++row) {
    const double step = double{q.scales[row]} * (std::is_signed_v<Code> ? 0.5 : 1.0);
    for (std::size_t c = 0; c < n; ++c) {
      INFO("row " << row << ", channel " << c);
      double exact = 0, quantized = 0, weight_sum = 0, magnitude = 0;
      std::int32_t sum = 0;
      for (std::size_t i = 0; i < k; ++i) {
        const double weight = double{real[c * k + i]};
        const std::int32_t code = codes(row, i) - q.zero_points[row];
        sum += code * weight_codes[c * k + i];
        exact += double{x_view(row, i)} * weight;
        quantized += double{q.scales[row]} * code * weight;
        magnitude += double{q.scales[row]} * (std::abs(int{codes(row, i)}) + q.zero_points[row]) * std::abs(weight);
        weight_sum += std::abs(weight);
      }
      const float result = y.view()(row, c);
      if constexpr (!scales_along_k_v<G>) {
        const float scaled = static_cast<float>(sum) * w.scales()[G::scale_index(c, 0, k)];
        const float product = scaled * q.scales[row];
        REQUIRE(result == static_cast<float>(double{product} + double{offsets[c]}));  // one rounding, never fused
      }
      const double rounding = (magnitude + 1) * static_cast<double>(k + 4) * 0x1p-23;
      REQUIRE(std::abs(double{result} - double{offsets[c]} - quantized) <= rounding);
      REQUIRE(std::abs(double{result} - double{offsets[c]} - exact) <= step * weight_sum * 1.001 + rounding);
    }
  }
}

template <class Code, format F, numeric N, quantization_granularity G, class... Shape>
void check_weights(random_source& random) {
  for (int trial = 0; trial < 25; ++trial) {
    const weight_shape shape =
        trial == 0 ? weight_shape{0, 104} : weight_shape{random.below(70), random.below(trial % 3 == 0 ? 8 : 150)};
    mask keep = sparq_test::random_weight_mask(shape, random);
    sparq_test::fit_mask<F>::apply(keep, random);
    std::vector<float> weights(shape.size());
    for (float& weight : weights) weight = random.real(-2, 2);
    const auto w = encode<F, N, G>(weights, shape, keep);
    check_product<Code>(w, pack<Shape...>(w), random.below(20), random);
  }
}

}  // namespace

TEST_CASE("gemm_dynamic: formats and granularities, sums of codes exactly, real sums within the steps of X") {
  random_source random;
  INFO(random.text());
  check_weights<std::int8_t, dense, s8, per_tensor>(random);
  check_weights<std::int8_t, dense, s4, per_group<32>>(random);
  check_weights<std::int8_t, n_m<2, 4>, s8, per_channel>(random);
  check_weights<std::int8_t, tile_wise<32>, ternary, per_channel>(random);
  check_weights<std::int8_t, csr, s8, per_channel, column_shape<4, 4>>(random);
  check_weights<std::uint8_t, dense, s8, per_channel>(random);
  check_weights<std::uint8_t, csr, s8, per_tensor, column_shape<4, 4>>(random);
  check_weights<std::uint8_t, dense, s4, per_group<32>>(random);
  check_weights<std::uint8_t, tile_wise<32>, s8, per_group<32>>(random);
  check_weights<std::uint8_t, csr, s8, per_group<32>, column_shape<4, 4>>(random);
}

TEST_CASE("gemm_dynamic: stages receive real numbers, and Y may hold codes") {
  const std::vector<float> x = {2, -1, 0.5F, 0, 4, 4}, weights = {1, 1, 1, -1, 0, 0.5F};
  const auto packed = pack(encode<dense, s8>(weights, {2, 3}));
  std::vector<std::int8_t> y(4);
  workspace scratch;
  gemm_dynamic({x.data(), 2, 3}, packed, matrix_view(y.data(), 2, 2), epilogue(relu(), scale(10), round_to_integer()),
               serial, scratch);
  CHECK(y == std::vector<std::int8_t>{15, 0, 80, 20});
}

TEST_CASE("gemm_dynamic: a rule decides about ties") {
  const std::vector<float> x = {127, 0.5F, -2.5F};
  const auto packed = pack(encode_codes<dense, s8, per_tensor>(std::vector<std::int8_t>{0, 10, 1}, {1, 3}, {1.0F}));
  std::vector<float> y(1);
  workspace scratch;
  gemm_dynamic({x.data(), 1, 3}, packed, matrix_view(y.data(), 1, 1), epilogue<>{}, serial, scratch);
  CHECK(y[0] == -2);
  gemm_dynamic<std::int8_t, tflite_dynamic>({x.data(), 1, 3}, packed, matrix_view(y.data(), 1, 1), epilogue<>{}, serial,
                                            scratch);
  CHECK(y[0] == 10 - 3);
}

TEST_CASE("gemm_dynamic: bad operands leave Y alone") {
  std::vector<float> x = {1, 2, 3, 4, 5, std::numeric_limits<float>::infinity()}, y(4, -7);
  const auto packed = pack(encode<dense, s8>(std::vector<float>(6, 1), {2, 3}));
  workspace scratch;
  const auto message = [&](std::size_t m, std::size_t k, workspace& memory) {
    return try_gemm_dynamic({x.data(), m, k}, packed, matrix_view(y.data(), 2, 2), epilogue<>{}, serial, memory)
        .message();
  };
  CHECK(message(2, 3, scratch) == "quantize_rows: X [m=1][k=2] is inf");
  CHECK(message(2, 2, scratch) == "gemm: X is 2 x 2, W is 2 x 3; X needs 3 columns");
  CHECK(message(1, 3, scratch) == "gemm: Y is 2 x 2, it needs to be 1 x 2");
  const std::size_t needed = explain_gemm_dynamic(2, packed).workspace_bytes;
  aligned_buffer memory(needed);
  workspace small(std::span<std::byte>(memory.data(), needed - 1));
  CHECK(message(2, 3, small) == "workspace: " + std::to_string(needed) + " bytes are needed, the caller's block has " +
                                    std::to_string(needed - 1));
  CHECK_FALSE(try_gemm_dynamic({x.data(), 2, 3}, packed, matrix_view(y.data(), 2, 2), epilogue(scale_per_row(x)),
                               serial, scratch)
                  .ok());
  CHECK_THROWS(gemm_dynamic({x.data(), 2, 3}, packed, matrix_view(y.data(), 2, 2), epilogue<>{}, serial, scratch));
  CHECK(y == std::vector<float>(4, -7));
}

TEST_CASE("gemm_dynamic: what runs is told, scratch included") {
  const auto packed = pack(encode<dense, s8>(std::vector<float>(640, 1), {10, 64}));
  const explanation whole = explain_gemm_dynamic<std::uint8_t>(3, packed);
  CHECK(whole.workspace_bytes == explain_gemm<std::uint8_t, std::int32_t>(3, packed).workspace_bytes + 192 + 64 + 64);
  CHECK(whole.x_access.starts_with("quantized row by row, then "));
}
