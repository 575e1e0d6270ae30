// SPDX-License-Identifier: MIT
#include <sparq/compress/prune_remainder.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/kernel/reference.hpp>
#include <sparq/op/gemm_sum.hpp>

#include "tests/support/backwards.hpp"
#include "tests/support/catch.hpp"
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
      std::vector<std::int32_t> want = reference_gemm(x_view, tiles.view()), more = reference_gemm(x_view, scattered.view());
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
  gemm_sum(x_view, pack(tiles), pack(scattered), matrix_view<std::int64_t>(y.data(), m, n), epilogue<>(), serial, scratch);
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
  CHECK(try_gemm_sum(matrix_view<const float>(x.data(), 1, 2), a, wide, matrix_view<float>(y.data(), 1, 2), epilogue<>{},
                     serial, scratch)
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

    const sum_explanation e = explain_gemm_sum<std::uint8_t>(m, a, b, executor.parts);
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
