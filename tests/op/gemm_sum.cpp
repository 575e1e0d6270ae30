// SPDX-License-Identifier: MIT
#include <sparq/compress/prune_remainder.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/kernel/reference.hpp>
#include <sparq/op/gemm_sum.hpp>

#include "tests/support/backwards.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/narrow.hpp"
#include "tests/support/operands.hpp"

#include <algorithm>
#include <vector>

using namespace sparq;
using sparq_test::value_style;

TEST_CASE("gemm_sum: a remainder is added before sums become codes") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (const double remainder : {0.0, 0.01, 0.05})
    for (int trial = 0; trial < 20; ++trial) {
      const std::size_t m = 1 + random.below(40), n = 1 + random.below(60), k = 1 + random.below(90);
      const auto tiles = sparq_test::random_tensor<tile_wise<8>, s8>({n, k}, value_style::any, random);
      mask rest({n, k}, false);
      for (std::size_t i = 0; i < n * k; ++i) rest.data()[i] = random.chance(remainder);
      const auto scattered = sparq_test::random_tensor<csr, s8>(rest, value_style::any, random);
      std::vector<std::uint8_t> x(m * k);
      sparq_test::fill_codes<u8>(x, value_style::any, random);
      const matrix_view<const std::uint8_t> x_view(x.data(), m, k);

      constexpr std::int32_t zero_point = 9;
      std::vector<std::int32_t> want = reference_gemm(x_view, tiles.view()),
                                more = reference_gemm(x_view, scattered.view());
      const auto a = decode_codes(tiles), b = decode_codes(scattered);
      for (std::size_t i = 0; i < want.size(); ++i) {
        want[i] += more[i];
        for (std::size_t at = 0; at < k; ++at) want[i] -= zero_point * (a[i % n * k + at] + b[i % n * k + at]);
      }
      const fp32_nearest_even::parameters scale{0.0007F};
      std::vector<std::uint8_t> y(m * n);
      gemm_sum(x_view, pack(tiles), pack(scattered), matrix_view<std::uint8_t>(y.data(), m, n),
               epilogue(subtract_zero_point(zero_point), requantize_to_codes<u8>(scale, 3)), serial, scratch);
      INFO("m " << m << ", n " << n << ", k " << k << ", remainder " << remainder);
      for (std::size_t i = 0; i < want.size(); ++i) REQUIRE(y[i] == requantize_to<u8>(want[i], scale, 3, 0, 255));
    }
}

namespace {

/// Tiles and remainder of one matrix against the dense matrix of everything that both keep.
template <std::size_t G, class Numeric>
void check_tiles_and_remainder(weight_shape shape, std::size_t m, double sparsity, double remainder,
                               sparq_test::random_source& random, workspace& scratch) {
  INFO("m " << m << ", W " << to_string(shape) << ", sparsity " << sparsity << ", remainder " << remainder);
  std::vector<float> weights(shape.size());
  std::vector<float> of_channel(shape.n), of_k(shape.k);  // importance has structure
  for (float& v : of_channel) v = random.real(0.2F, 2);
  for (float& v : of_k) v = random.real(0.2F, 2);
  for (std::size_t i = 0; i < weights.size(); ++i)
    weights[i] = random.real(-1, 1) * of_channel[i / shape.k] * of_k[i % shape.k];
  remainder_pruning pruning = prune_with_remainder<tile_wise<G>>(weights, shape, sparsity, remainder);
  mask both = pruning.structured;
  for (std::size_t i = 0; i < shape.size(); ++i) both.data()[i] |= pruning.remainder.data()[i];

  const auto tiles = encode<tile_wise<G>, Numeric>(weights, shape, pruning.structured);
  const auto rest = encode<csr, Numeric>(weights, shape, pruning.remainder);
  const auto masked = encode<dense, Numeric>(weights, shape, both);
  REQUIRE(std::ranges::equal(tiles.scales(), rest.scales()));
  std::vector<std::uint8_t> x(m * shape.k);
  sparq_test::fill_codes<u8>(x, value_style::any, random);
  const matrix_view<const std::uint8_t> x_view(x.data(), m, shape.k);
  constexpr std::int32_t zero_point = 128;
  const auto codes = decode_codes(masked);
  std::vector<std::int32_t> sums = reference_gemm(x_view, masked.view());
  for (std::size_t i = 0; i < sums.size(); ++i)
    for (std::size_t k = 0; k < shape.k; ++k) sums[i] -= zero_point * codes[i % shape.n * shape.k + k];

  std::vector<fp32_nearest_even::parameters> scales(shape.n);
  for (std::size_t n = 0; n < shape.n; ++n) scales[n].scale = 0.05F * masked.scales()[n];
  std::vector<std::uint8_t> y(m * shape.n, 0xCD);
  gemm_sum(x_view, pack(tiles), pack(rest), matrix_view<std::uint8_t>(y.data(), m, shape.n),
           epilogue(subtract_zero_point(zero_point),
                    requantize_to_codes<u8>(std::span<const fp32_nearest_even::parameters>(scales), 3)),
           serial, scratch);
  for (std::size_t i = 0; i < sums.size(); ++i)
    REQUIRE(y[i] == requantize_to<u8>(sums[i], scales[i % shape.n], 3, 0, 255));
}

}  // namespace

TEST_CASE("gemm_sum: tiles and the weights given back equal the masked dense product, as codes") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (const double remainder : {0.0, 0.01, 0.05}) {
    for (int trial = 0; trial < 10; ++trial) {
      const weight_shape shape{1 + random.below(70), 1 + random.below(130)};
      const double sparsity = trial % 3 == 0 ? 0.9 : 0.75;
      check_tiles_and_remainder<16, s8>(shape, 1 + random.below(40), sparsity, remainder, random, scratch);
      check_tiles_and_remainder<8, s4>(shape, 1 + random.below(40), sparsity, remainder, random, scratch);
    }
    check_tiles_and_remainder<128, s8>({300, 257}, 33, 0.75, remainder, random, scratch);
  }
}

TEST_CASE("gemm_sum: sums of 16 bits have 64 bits") {
  sparq_test::random_source random;
  INFO(random.text());
  const std::size_t m = 1 + random.below(20), n = 1 + random.below(60), k = 1 + random.below(900);
  const auto tiles = sparq_test::random_tensor<tile_wise<8>, s8>({n, k}, value_style::any, random);
  const auto scattered = sparq_test::random_tensor<csr, s8>({n, k}, value_style::any, random);
  std::vector<std::int16_t> x(m * k);
  for (auto& value : x) value = static_cast<std::int16_t>(random.between(-32768, 32767));
  const matrix_view<const std::int16_t> x_view(x.data(), m, k);
  std::vector<std::int64_t> want = reference_gemm(x_view, tiles.view()), y(m * n);
  const auto more = reference_gemm(x_view, scattered.view());
  for (std::size_t i = 0; i < want.size(); ++i) want[i] += more[i];
  workspace scratch;
  gemm_sum(x_view, pack(tiles), pack(scattered), matrix_view<std::int64_t>(y.data(), m, n), epilogue<>(), serial,
           scratch);
  CHECK(y == want);
}

TEST_CASE("gemm_sum: floats add up, and bad operands leave Y alone") {
  const std::vector<float> first = {1, 0, 0, 2}, second = {0, 3, 4, 0}, x = {10, 1};
  std::vector<float> y(2, -1);
  workspace scratch;
  const auto a = pack(encode<csr, f32>(first, {2, 2}));
  const auto b = pack(encode<tile_wise<4>, f32>(second, {2, 2}));
  gemm_sum(matrix_view<const float>(x.data(), 1, 2), a, b, matrix_view<float>(y.data(), 1, 2), epilogue<>{}, serial,
           scratch);
  CHECK(y == std::vector<float>{13, 42});
  const auto wide = pack(encode<csr, f32>(std::vector<float>(6, 1), {2, 3}));
  CHECK(try_gemm_sum(matrix_view<const float>(x.data(), 1, 2), a, wide, matrix_view<float>(y.data(), 1, 2),
                     epilogue<>{}, serial, scratch)
            .message() == "gemm: X is 1 x 2, W is 2 x 3; X needs 3 columns");
  workspace none(std::span<std::byte>{});
  CHECK_FALSE(try_gemm_sum(matrix_view<const float>(x.data(), 1, 2), a, b, matrix_view<float>(y.data(), 1, 2),
                           epilogue<>{}, serial, none)
                  .ok());
  CHECK(y == std::vector<float>{13, 42});
}

TEST_CASE("gemm_sum: the workspace that explain_gemm_sum names suffices, and a byte less is refused") {
  sparq_test::random_source random;
  INFO(random.text());
  for (int trial = 0; trial < 40; ++trial) {
    const std::size_t m = random.below(400), n = 1 + random.below(1500), k = 1 + random.below(30);
    const sparq_test::backwards executor{1 + random.below(5)};
    INFO("m " << m << ", n " << n << ", k " << k << ", parts " << executor.parts);
    const auto a = pack(sparq_test::random_tensor<dense, s8>({n, k}, value_style::any, random));
    const auto b = pack(sparq_test::random_tensor<csr, s8>({n, k}, value_style::any, random));
    std::vector<std::uint8_t> x(m * k);
    sparq_test::fill_codes<u8>(x, value_style::any, random);
    std::vector<std::int32_t> y(m * n, -7), want(m * n);
    const auto product = [&](std::vector<std::int32_t>& sums, const auto& parts, workspace& scratch) {
      return try_gemm_sum(matrix_view<const std::uint8_t>(x.data(), m, k), a, b,
                          matrix_view<std::int32_t>(sums.data(), m, n), epilogue<>{}, parts, scratch);
    };
    workspace growing;
    product(want, serial, growing).value();

    const sum_explanation e = explain_gemm_sum<std::uint8_t, std::int32_t>(m, a, b, executor.parts);
    CHECK(e.first.loop == "rows");
    CHECK(e.second.loop.starts_with("columns"));
    std::vector<std::byte> memory(e.workspace_bytes + alignment);
    std::byte* const begin = memory.data() + (alignment - reinterpret_cast<std::uintptr_t>(memory.data()) % alignment);
    if (e.workspace_bytes != 0) {
      workspace small(std::span<std::byte>(begin, e.workspace_bytes - 1));
      CHECK_FALSE(product(y, executor, small).ok());
      CHECK(y == std::vector<std::int32_t>(m * n, -7));
    }
    workspace exact(std::span<std::byte>(begin, e.workspace_bytes));
    product(y, executor, exact).value();
    CHECK(y == want);
  }
}

TEST_CASE("gemm_sum: with scales along k the zero point of X is taken back in both products") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  const std::size_t m = 7, n = 33, k = 101;
  std::vector<float> weights(n * k), rest(n * k);
  for (std::size_t i = 0; i < weights.size(); ++i) (random.chance(0.1) ? rest : weights)[i] = random.real(-1, 1);
  const auto a = pack(encode<dense, s8, per_group<32>>(weights, {n, k}));
  const auto b = pack(encode<csr, s8, per_group<32>>(rest, {n, k}));
  std::vector<std::uint8_t> x(m * k);
  sparq_test::fill_codes<u8>(x, value_style::any, random);
  const matrix_view<const std::uint8_t> x_view(x.data(), m, k);
  const auto sums_of = [&](const auto& w) {
    std::vector<float> sums(m * n);
    gemm(x_view, w, matrix_view<float>(sums.data(), m, n), epilogue(subtract_zero_point(200)), serial, scratch);
    return sums;
  };
  const std::vector<float> first = sums_of(a), second = sums_of(b);
  std::vector<float> y(m * n);
  gemm_sum(x_view, a, b, matrix_view<float>(y.data(), m, n), epilogue(subtract_zero_point(200)), serial, scratch);
  for (std::size_t i = 0; i < y.size(); ++i) REQUIRE(y[i] == second[i] + first[i]);
}

namespace {

/// gemm_sum on views of X and Y against the sum of the reference's products; in more blocks of rows than one.
template <class XView, class A, class B, class YView>
void check_sum_of(XView x, const A& a, const B& b, YView y, const std::vector<std::int32_t>& want) {
  workspace scratch;
  const sparq_test::backwards executor{3};
  const epilogue<> sums;
  gemm_sum(x, a, b, y, sums, executor, scratch);
  for (std::size_t i = 0; i < y.rows; ++i)
    for (std::size_t j = 0; j < y.columns; ++j) REQUIRE(y(i, j) == want[i * y.columns + j]);

  std::vector<std::byte> memory(explain_gemm_sum(x, a, b, y, executor.parts).workspace_bytes + alignment);
  std::byte* const begin = memory.data() + (alignment - reinterpret_cast<std::uintptr_t>(memory.data()) % alignment);
  workspace exact(std::span<std::byte>(begin, memory.size() - alignment));
  CHECK(try_gemm_sum(x, a, b, y, sums, executor, exact).ok());
}

/// W and its remainder, and what both give with X.
template <class Numeric, class X>
struct two_tensors {
  tensor<tile_wise<8>, Numeric> tiles;
  tensor<csr, Numeric> rest;
  std::vector<std::int32_t> want;

  two_tensors(weight_shape shape, matrix_view<const X> x, sparq_test::random_source& random)
      : tiles(sparq_test::random_tensor<tile_wise<8>, Numeric>(shape, value_style::any, random)),
        rest(sparq_test::random_tensor<csr, Numeric>(shape, value_style::any, random)),
        want(reference_gemm(x, tiles.view())) {
    const std::vector<std::int32_t> more = reference_gemm(x, rest.view());
    for (std::size_t i = 0; i < want.size(); ++i) want[i] += more[i];
  }
};

}  // namespace

TEST_CASE("gemm_sum: X and Y by columns and in quads, both tensors in the columns loop") {
  sparq_test::random_source random;
  INFO(random.text());
  for (const std::size_t m : {1U, 37U, 400U}) {
    const std::size_t n = 1 + random.below(600), k = 1 + random.below(40), gap = random.below(3);
    INFO("m " << m << ", n " << n << ", k " << k);
    std::vector<std::uint8_t> x(m * k), turned(k * (m + gap)), quads((k + 3) / 4 * (4 * m + gap));
    sparq_test::fill_codes<u8>(x, value_style::any, random);
    const matrix_view<const std::uint8_t> by_rows(x.data(), m, k);
    const k_major_view<std::uint8_t> by_columns(turned.data(), m, k, m + gap);
    const quad_view<std::uint8_t> in_quads(quads.data(), m, k, 4 * m + gap);
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t j = 0; j < k; ++j) by_columns(i, j) = in_quads(i, j) = by_rows(i, j);
    const two_tensors<s8, std::uint8_t> w({n, k}, by_rows, random);
    const auto a = pack<column_shape<4, 4>>(w.tiles), b = pack<column_shape<4, 4>>(w.rest);
    std::vector<std::int32_t> y(m * n + 3 * n), y_quads(quad_view<std::int32_t>::elements(m, n));
    check_sum_of(by_rows, a, b, matrix_view<std::int32_t>(y.data(), m, n), w.want);
    check_sum_of(by_rows, a, b, k_major_view<std::int32_t>(y.data(), m, n, m + gap), w.want);
    check_sum_of(k_major_view<const std::uint8_t>(by_columns), a, b, matrix_view<std::int32_t>(y.data(), m, n), w.want);
    check_sum_of(quad_view<const std::uint8_t>(in_quads), a, b, quad_view<std::int32_t>(y_quads.data(), m, n), w.want);
  }
}

TEST_CASE("gemm_sum: narrow X and Y, and bits that are counted") {
  sparq_test::random_source random;
  INFO(random.text());
  for (const std::size_t m : {1U, 37U, 400U}) {
    const std::size_t n = 1 + random.below(600), k = 1 + random.below(100);
    INFO("m " << m << ", n " << n << ", k " << k);
    const sparq_test::narrow_input<u4> x(m, k, random.below(3), value_style::any, random);
    const sparq_test::narrow_input<binary> signs(m, k, random.below(3), value_style::any, random);
    std::vector<std::int32_t> y(m * n);
    const matrix_view<std::int32_t> y_view(y.data(), m, n);
    const two_tensors<s4, std::uint8_t> w({n, k}, matrix_view<const std::uint8_t>(x.codes().data(), m, k), random);
    check_sum_of(x.view(), pack(w.tiles), pack(w.rest), y_view, w.want);
    std::vector<std::int32_t> clamped = w.want;
    for (auto& sum : clamped) sum = std::clamp(sum, -8, 7);
    std::vector<std::byte> y_bytes(m * storage_bytes<s4>(n));
    check_sum_of(x.view(), pack(w.tiles), pack(w.rest), narrow_matrix_view<s4>(y_bytes.data(), m, n), clamped);

    const matrix_view<const std::int8_t> as_bytes(signs.codes().data(), m, k);
    const two_tensors<ternary, std::int8_t> t({n, k}, as_bytes, random);
    check_sum_of(signs.view(), pack<bit_panel_shape>(t.tiles), pack<bit_panel_shape>(t.rest), y_view, t.want);
    check_sum_of(signs.view(), pack<bit_panel_shape>(t.tiles), pack(t.rest), y_view, t.want);
  }
}
