// SPDX-License-Identifier: MIT
// Products of weights as they are found, not as they are drawn: channels of very different weight, nothing at all, one
// of everything, and ten million.
#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/tile_wise.hpp>

#include "tests/support/matrix.hpp"

#include <cmath>
#include <string>
#include <vector>

using namespace sparq;
using sparq_test::value_style;

namespace {

struct structure {
  std::string name;
  weight_shape shape;
  mask keep;
};

/// A mask from the density of each channel.
template <class Density>
structure by_channel(const char* name, weight_shape shape, sparq_test::random_source& random, Density&& density) {
  structure s{name, shape, mask(shape, false)};
  for (std::size_t n = 0; n < shape.n; ++n) {
    const double of_channel = density(n);
    for (std::size_t k = 0; k < shape.k; ++k) s.keep.set(n, k, random.chance((std::min)(of_channel, 1.0)));
  }
  return s;
}

std::vector<structure> structures(sparq_test::random_source& random) {
  const std::size_t n = 20 + random.below(60), k = 100 + random.below(400);
  const weight_shape shape{n, k};
  const std::size_t full = random.below(n);
  std::vector<structure> all;
  all.push_back(by_channel("power law", shape, random, [](std::size_t i) { return 1.0 / static_cast<double>(i + 1); }));
  all.push_back(
      by_channel("every other channel empty", shape, random, [](std::size_t i) { return i % 2 == 0 ? 0.0 : 0.3; }));
  all.push_back(
      by_channel("tiles of 8 empty", shape, random, [](std::size_t i) { return i / 8 % 2 == 0 ? 0.0 : 0.4; }));
  all.push_back(by_channel("first and last tile empty", shape, random,
                           [&](std::size_t i) { return i < 8 || i + 8 >= n ? 0.0 : 0.2; }));
  all.push_back(by_channel("all zero", shape, random, [](std::size_t) { return 0.0; }));
  all.push_back(
      by_channel("one channel has all k's", shape, random, [&](std::size_t i) { return i == full ? 1.0 : 0.01; }));
  all.push_back(
      by_channel("only one channel has any", shape, random, [&](std::size_t i) { return i == full ? 1.0 : 0.0; }));
  all.push_back(by_channel("channels of a panel differ by 100", shape, random,
                           [](std::size_t i) { return i % 4 == 0 ? 1.0 : 0.01; }));
  all.push_back(by_channel("panels differ by 100", shape, random,
                           [](std::size_t i) { return i / 4 % 2 == 0 ? 1.0 : 0.01; }));
  all.push_back(by_channel("one channel", {1, k}, random, [](std::size_t) { return 0.3; }));
  all.push_back(by_channel("k = 1", {n, 1}, random, [](std::size_t) { return 0.5; }));
  all.push_back(by_channel("one weight", {1, 1}, random, [](std::size_t) { return 1.0; }));
  structure last{"the last weight", shape, mask(shape, false)};
  last.keep.set(n - 1, k - 1, true);
  all.push_back(std::move(last));
  structure one_k{"one k of all channels", shape, mask(shape, false)};
  for (std::size_t i = 0; i < n; ++i) one_k.keep.set(i, k / 2, true);
  all.push_back(std::move(one_k));
  return all;
}

template <class Format, class W, class X>
void check_extremes(const structure& s, std::size_t m, sparq_test::random_source& random, workspace& scratch) {
  INFO(Format::name() << ", " << W::name << ", " << s.name << ", " << to_string(s.shape) << ", m " << m);
  using y_element = std::conditional_t<W::is_integer, std::int32_t, float>;
  const auto w = sparq_test::random_tensor<Format, W>(s.keep, value_style::exact, random);
  const auto x = sparq_test::random_x<X>({m, s.shape.n, s.shape.k}, value_style::exact, random);
  const auto want = reference_gemm(x.view(), w.view());
  const auto multiply = [&](const auto& packed) {
    sparq_test::guarded_output<y_element> y(m, s.shape.n, random);
    gemm(x.view(), packed, y.view(), epilogue<>(), sparq_test::scrambled_executor{1 + random.below(5), &random},
         scratch);
    REQUIRE(sparq_test::first_difference(y.elements(), want, s.shape.n, 0) == "");
    REQUIRE(y.surroundings_intact());
  };
  multiply(pack<default_panel_shape<W>>(w));
  multiply(pack<column_shape_for_t<Format, W>>(w));
  if constexpr (std::is_same_v<Format, csr>) {
    multiply(pack<default_bitmask_shape<W>>(w));
    multiply(pack<window_shape<16, default_panel_shape<W>::group_k, W::is_integer ? 32 : 8>>(w));
  }
}

}  // namespace

TEST_CASE("matrix: weights of every real kind") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (int trial = 0; trial < 3; ++trial)
    for (const structure& s : structures(random)) {
      const std::size_t m = random.chance(0.3) ? 1 + random.below(2) : 3 + random.below(70);
      check_extremes<csr, s8, u8>(s, m, random, scratch);
      check_extremes<tile_wise<8>, s8, u8>(s, m, random, scratch);
      check_extremes<block<1, 4>, s8, u8>(s, m, random, scratch);
      check_extremes<csr, f32, f32>(s, m, random, scratch);
      check_extremes<csr, s4, s8>(s, m, random, scratch);
      check_extremes<csr, bf16, bf16>(s, m, random, scratch);
      check_extremes<tile_wise<8>, f32, f32>(s, m, random, scratch);
    }
}

TEST_CASE("matrix: channels that hold nothing give epilogue(0)") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  const weight_shape shape{19, 40};
  std::vector<std::int32_t> biases(shape.n);
  for (auto& b : biases) b = random.between(-500, 500);
  const fp32_nearest_even::parameters scale{0.1F};
  const auto stages = epilogue(bias(biases), requantize_to_codes<u8>(scale, 100));
  std::vector<std::uint8_t> x(5 * shape.k, 200), y(5 * shape.n);
  const auto check_empty = [&](const auto& w) {
    std::fill(y.begin(), y.end(), std::uint8_t{0xCD});
    gemm(matrix_view<const std::uint8_t>(x.data(), 5, shape.k), w, matrix_view<std::uint8_t>(y.data(), 5, shape.n),
         stages, serial, scratch);
    for (std::size_t i = 0; i < y.size(); ++i)
      REQUIRE(y[i] == requantize_to<u8>(biases[i % shape.n], scale, 100, 0, 255));
  };
  const mask none(shape, false);
  const std::vector<float> weights(shape.size(), 1.0F);
  check_empty(pack(encode<csr, s8>(weights, shape, none)));
  check_empty(pack(encode<tile_wise<8>, s8>(weights, shape, none)));
  check_empty(pack(encode<block<1, 4>, s8>(weights, shape, none)));
  check_empty(pack(encode<block<16, 4>, s8>(weights, shape, none)));
}

TEST_CASE("matrix: a sum that fits may leave int32 on its way") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  const std::size_t k = 150000;  // 75000 products of 255 and 127 are more than 2^31
  const weight_shape shape{3, k};
  std::vector<std::int8_t> codes(shape.size(), 0);
  for (std::size_t i = 0; i < k; ++i) {
    codes[i] = static_cast<std::int8_t>(i < k / 2 ? 127 : -127);
    codes[k + i] = static_cast<std::int8_t>(-codes[i]);
  }
  codes[5] = 120;  // 7 less
  const std::vector<float> scales(shape.n, 1.0F);
  for (const std::size_t m : {std::size_t{1}, std::size_t{2}, std::size_t{5}}) {
    const std::vector<std::uint8_t> x(m * k, 255);
    const auto check_sums = [&](const auto& packed) {
      std::vector<std::int32_t> y(m * shape.n);
      gemm(matrix_view<const std::uint8_t>(x.data(), m, k), packed,
           matrix_view<std::int32_t>(y.data(), m, shape.n), epilogue<>(), serial, scratch);
      for (std::size_t i = 0; i < m; ++i) {
        REQUIRE(y[i * shape.n] == -7 * 255);
        REQUIRE(y[i * shape.n + 1] == 0);
        REQUIRE(y[i * shape.n + 2] == 0);
      }
    };
    check_sums(pack(encode_codes<dense, s8>(codes, shape, scales)));
    const auto w = encode_codes<csr, s8>(codes, shape, scales);
    check_sums(pack<default_panel_shape<s8>>(w));
    check_sums(pack<column_shape_for_t<csr, s8>>(w));
    check_sums(pack<default_bitmask_shape<s8>>(w));
    check_sums(pack<window_shape<16, default_panel_shape<s8>::group_k, 32>>(w));
  }
}

TEST_CASE("matrix: ten million weights") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  const weight_shape shape{4000, 5000};
  std::vector<std::int8_t> codes(shape.size());
  std::uint32_t state = static_cast<std::uint32_t>(random.below(1U << 30)) | 1U;
  std::size_t kept = 0;
  for (auto& code : codes) {
    state = state * 1664525U + 1013904223U;
    code = (state >> 30) < 2 ? static_cast<std::int8_t>(0) : static_cast<std::int8_t>((state >> 16) | 1U);
    kept += code != 0;
  }
  REQUIRE(kept > 9'900'000);
  const auto w = pack(encode_codes<csr, s8>(codes, shape, std::vector<float>(shape.n, 1.0F)));
  const auto x = sparq_test::random_x<u8>({3, shape.n, shape.k}, value_style::any, random);
  std::vector<std::int32_t> y(3 * shape.n);
  gemm(x.view(), w, matrix_view<std::int32_t>(y.data(), 3, shape.n), scratch);
  for (std::size_t m = 0; m < 3; ++m)
    for (std::size_t n = 0; n < shape.n; ++n) {
      std::int32_t sum = 0;
      for (std::size_t k = 0; k < shape.k; ++k) sum += x.view()(m, k) * codes[n * shape.k + k];
      REQUIRE(y[m * shape.n + n] == sum);
    }
}
