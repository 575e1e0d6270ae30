// SPDX-License-Identifier: MIT
#include <sparq/compress/prune_remainder.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/op/conv2d_sum.hpp>

#include "tests/support/backwards.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/convolution.hpp"
#include "tests/support/narrow.hpp"
#include "tests/support/operands.hpp"
#include "tests/support/random_window.hpp"

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

using namespace sparq;
using sparq_test::convolution_problem;
using sparq_test::value_style;

namespace {

/// 1x1, 3x3, 3x3 with strides, 5x5, 3x3 dilated, and some at random.
window_parameters window_of(int trial, sparq_test::random_source& random) {
  switch (trial % 6) {
    case 0: return {};
    case 1: return square_window(3, 1, 1);
    case 2: return square_window(3, 2, 1);
    case 3: return square_window(5, 1, 2);
    case 4: return square_window(3, 1, 2, 2);
  }
  return sparq_test::random_window(random, 4);
}

template <class X>
convolution_problem<X> problem_of(const window_parameters& window, std::size_t channels, std::size_t n,
                                  sparq_test::random_source& random) {
  convolution_problem<X> p;
  p.images = 1 + random.below(3);
  p.groups = 1;
  p.channels = channels;
  p.n = n;
  p.window = window;
  p.height = window.span_height() + random.below(9);
  p.width = window.span_width() + random.below(9);
  p.fill(random);
  return p;
}

/// Tiles and a remainder of random codes, and the sums of both, which go beyond a byte where the masks overlap.
template <numeric W, class X>
struct tiles_and_rest {
  using sum_type = sparq_test::convolution_sum<X, W>;
  tensor<tile_wise<8>, W> tiles;
  tensor<csr, W> rest;
  std::vector<sum_type> codes;  // of both together

  tiles_and_rest(const convolution_problem<X>& p, value_style style, sparq_test::random_source& random)
      : tiles(sparq_test::random_tensor<tile_wise<8>, W>({p.n, p.k()}, style, random)),
        rest(sparq_test::random_tensor<csr, W>({p.n, p.k()}, style, random)) {
    const auto a = decode_codes(tiles), b = decode_codes(rest);
    for (std::size_t i = 0; i < a.size(); ++i)
      codes.push_back(static_cast<sum_type>(static_cast<sum_type>(a[i]) + static_cast<sum_type>(b[i])));
  }
  std::vector<sum_type> sums(const convolution_problem<X>& p) const {
    return sparq_test::plain_convolution<X, sum_type>(p, codes);
  }
};

template <class T, class X>
image_view<T> image_of(std::vector<T>& y, const convolution_problem<X>& p) {
  return {y.data(), p.images, p.out_height(), p.out_width(), p.n};
}

}  // namespace

TEST_CASE("conv2d_sum: tiles and a remainder in every window are the plain loop over both") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (int trial = 0; trial < 60; ++trial) {
    const auto p = problem_of<u8>(window_of(trial, random), 1 + random.below(20), 1 + random.below(40), random);
    INFO("trial " << trial << ", " << p.text());
    const tiles_and_rest<s8, u8> w(p, sparq_test::random_style(random), random);
    const auto a = pack(w.tiles);
    const auto b = pack(w.rest);
    const sparq_test::backwards executor{1 + random.below(4)};
    std::vector<std::int32_t> want = w.sums(p), y(want.size(), 0x7dcdcdcd);
    conv2d_sum(p.image(), a, b, image_of(y, p), p.window, p.padding, epilogue<>(), executor, scratch);
    REQUIRE(y == want);

    // what lies beyond the border is the zero point
    for (std::size_t i = 0; i < want.size(); ++i)
      for (std::size_t k = 0; k < p.k(); ++k) want[i] -= p.padding * w.codes[i % p.n * p.k() + k];
    const fp32_nearest_even::parameters scale{0.0007F};
    std::vector<std::uint8_t> bytes(want.size());
    conv2d_sum(p.image(), a, b, image_of(bytes, p), p.window, p.padding,
               epilogue(subtract_zero_point(p.padding), requantize_to_codes<u8>(scale, 3)), executor, scratch);
    for (std::size_t i = 0; i < want.size(); ++i) REQUIRE(bytes[i] == requantize_to<u8>(want[i], scale, 3, 0, 255));
  }
}

TEST_CASE("conv2d_sum: planes of X and Y, both tensors in the columns loop") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (int trial = 0; trial < 30; ++trial) {
    const auto p = problem_of<u8>(window_of(trial, random), 1 + random.below(20), 1 + random.below(40), random);
    INFO("trial " << trial << ", " << p.text());
    const tiles_and_rest<s8, u8> w(p, sparq_test::random_style(random), random);
    const auto a = pack<column_shape<4, 4>>(w.tiles), b = pack<column_shape<4, 4>>(w.rest);
    const std::vector<std::int32_t> want = w.sums(p);
    const sparq_test::backwards executor{1 + random.below(4)};
    std::vector<std::int32_t> y(want.size(), 0x7dcdcdcd), by_plane(want.size());
    const plane_view<std::int32_t> y_planes(by_plane.data(), p.images, p.out_height(), p.out_width(), p.n);
    const auto same = [&] {
      for (std::size_t i = 0; i < want.size(); ++i)
        if (y_planes.as_matrix()(i / p.n, i % p.n) != want[i]) return false;
      return true;
    };
    conv2d_sum(p.planes(), a, b, image_of(y, p), p.window, p.padding, epilogue<>(), executor, scratch);
    REQUIRE(y == want);
    conv2d_sum(p.planes(), a, b, y_planes, p.window, p.padding, epilogue<>(), executor, scratch);
    REQUIRE(same());
    by_plane.assign(by_plane.size(), 0x7dcdcdcd);
    conv2d_sum(p.image(), a, b, y_planes, p.window, p.padding, epilogue<>(), executor, scratch);
    REQUIRE(same());
  }
}

TEST_CASE("conv2d_sum: blocks end inside images, stages count all pixels, and the scratch that is named suffices") {
  sparq_test::random_source random;
  INFO(random.text());
  for (int trial = 0; trial < 6; ++trial) {
    auto p = problem_of<u8>(window_of(trial, random), 1 + random.below(3), 1030 + random.below(40), random);
    p.images = 3;
    p.height = p.window.span_height() + 13;
    p.width = p.window.span_width() + 11;
    p.fill(random);
    INFO(p.text());
    const tiles_and_rest<s8, u8> w(p, value_style::any, random);
    std::vector<std::int8_t> residual(p.pixels() * p.n);
    sparq_test::fill_codes<s8>(residual, value_style::any, random);
    std::vector<std::int32_t> offsets(p.n), want = w.sums(p);
    for (auto& offset : offsets) offset = random.between(-10000, 10000);
    for (std::size_t i = 0; i < want.size(); ++i) want[i] += offsets[i % p.n] + residual[i];
    const epilogue stages(bias<std::int32_t>(offsets),
                          add_scaled(matrix_view<const std::int8_t>(residual.data(), p.pixels(), p.n), 1, 1, 0));

    const auto check = [&](const auto& x, const auto& a, const auto& b, const auto& y, const auto& y_at,
                           std::vector<std::int32_t>& sums) {
      const sparq_test::backwards executor{1 + random.below(3)};
      const sum_explanation how = explain_conv2d_sum(x, a, b, y, p.window, executor.parts);
      aligned_buffer memory(how.workspace_bytes);
      workspace small(memory.bytes().first(how.workspace_bytes - 1)), exact(memory.bytes());
      sums.assign(sums.size(), 0x7dcdcdcd);
      REQUIRE_FALSE(try_conv2d_sum(x, a, b, y, p.window, p.padding, stages, executor, small).ok());
      REQUIRE(std::ranges::count(sums, 0x7dcdcdcd) == static_cast<std::ptrdiff_t>(sums.size()));
      REQUIRE(try_conv2d_sum(x, a, b, y, p.window, p.padding, stages, executor, exact).ok());
      std::size_t wrong = 0;
      for (std::size_t i = 0; i < want.size(); ++i) wrong += y_at(i / p.n, i % p.n) != want[i];
      REQUIRE(wrong == 0);
      // no more sums wait than those of 64 pixels for each part
      CHECK(how.workspace_bytes < how.first.workspace_bytes + how.second.workspace_bytes +
                                      (executor.parts * 64 * p.n + 64) * sizeof(std::int32_t));
    };
    std::vector<std::int32_t> y(want.size());
    const auto image = image_of(y, p);
    const plane_view<std::int32_t> planes(y.data(), p.images, p.out_height(), p.out_width(), p.n);
    check(p.image(), pack(w.tiles), pack(w.rest), image, image.as_matrix(), y);
    const auto a = pack<column_shape<4, 4>>(w.tiles), b = pack<column_shape<4, 4>>(w.rest);
    check(p.planes(), a, b, planes, planes.as_matrix(), y);
    check(p.image(), a, b, planes, planes.as_matrix(), y);
  }
}

TEST_CASE("conv2d_sum: tiles and the weights given back equal the convolution with the masked dense weights") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (int trial = 0; trial < 12; ++trial) {
    const auto p = problem_of<s8>(window_of(trial, random), 1 + random.below(20), 1 + random.below(70), random);
    INFO(p.text());
    const weight_shape shape{p.n, p.k()};
    std::vector<float> weights(shape.size());
    for (float& v : weights) v = random.real(-1, 1);
    remainder_pruning pruning = prune_with_remainder<tile_wise<16>>(weights, shape, 0.75, 0.02);
    mask both = pruning.structured;
    for (std::size_t i = 0; i < shape.size(); ++i) both.data()[i] |= pruning.remainder.data()[i];
    const auto tiles = encode<tile_wise<16>, s8>(weights, shape, pruning.structured);
    const auto rest = encode<csr, s8>(weights, shape, pruning.remainder);
    const auto masked = encode<dense, s8>(weights, shape, both);

    std::vector<fp32_nearest_even::parameters> scales(p.n);
    for (std::size_t n = 0; n < p.n; ++n) scales[n].scale = 0.05F * masked.scales()[n];
    const epilogue stages(subtract_zero_point(p.padding),
                          requantize_to_codes<u8>(std::span<const fp32_nearest_even::parameters>(scales), 3));
    std::vector<std::uint8_t> want(p.pixels() * p.n), y(want.size());
    conv2d(p.image(), pack(masked), image_of(want, p), p.window, p.padding, stages, serial, scratch);
    conv2d_sum(p.image(), pack(tiles), pack(rest), image_of(y, p), p.window, p.padding, stages, serial, scratch);
    REQUIRE(y == want);
  }
}

TEST_CASE("conv2d_sum: floats, and 16 bits with sums of 64") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (int trial = 0; trial < 12; ++trial) {
    const window_parameters window = window_of(trial, random);
    const std::size_t channels = 1 + random.below(20), n = 1 + random.below(40);
    const auto floats = problem_of<f32>(window, channels, n, random);
    INFO(floats.text());
    const tiles_and_rest<f32, f32> f(floats, value_style::exact, random);
    std::vector<float> y(floats.pixels() * n);
    conv2d_sum(floats.image(), pack(f.tiles), pack(f.rest), image_of(y, floats), window, floats.padding, epilogue<>(),
               serial, scratch);
    REQUIRE(y == f.sums(floats));

    const auto words = problem_of<s16>(window, channels, n, random);
    const tiles_and_rest<s8, s16> s(words, value_style::any, random);
    std::vector<std::int64_t> sums(words.pixels() * n);
    conv2d_sum(words.image(), pack(s.tiles), pack(s.rest), image_of(sums, words), window, words.padding, epilogue<>(),
               serial, scratch);
    REQUIRE(sums == s.sums(words));
  }
}

TEST_CASE("conv2d_sum: narrow images, and bits that are counted") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (int trial = 0; trial < 12; ++trial) {
    const window_parameters window = window_of(trial, random);
    const std::size_t channels = 1 + random.below(20), n = 1 + random.below(40);
    const auto p = problem_of<u4>(window, channels, n, random);
    INFO(p.text());
    const auto nibbles = sparq_test::narrow_bytes<u4>(p.by_pixel, channels);
    const tiles_and_rest<s4, u4> w(p, value_style::any, random);
    std::vector<std::byte> y(p.pixels() * storage_bytes<s4>(n));
    conv2d_sum(narrow_image_view<const u4>(nibbles.data(), p.images, p.height, p.width, channels), pack(w.tiles),
               pack(w.rest), narrow_image_view<s4>(y.data(), p.images, p.out_height(), p.out_width(), n), window,
               p.padding, epilogue<>(), sparq_test::backwards{2}, scratch);
    const std::vector<std::int32_t> want = w.sums(p);
    const narrow_matrix_view<s4> y_view(y.data(), p.pixels(), n);
    for (std::size_t i = 0; i < want.size(); ++i) REQUIRE(y_view(i / n, i % n) == std::clamp(want[i], -8, 7));

    const auto signs = problem_of<binary>(window, channels, n, random);
    const auto bits = sparq_test::narrow_bytes<binary>(signs.by_pixel, channels);
    const tiles_and_rest<ternary, binary> t(signs, value_style::any, random);
    const narrow_image_view<const binary> x(bits.data(), signs.images, signs.height, signs.width, channels);
    const auto a = pack<bit_panel_shape>(t.tiles);
    const auto b = pack<bit_panel_shape>(t.rest);
    std::vector<std::int32_t> sums(signs.pixels() * n, 77);
    conv2d_sum(x, a, b, image_of(sums, signs), window, signs.padding, epilogue<>(), serial, scratch);
    REQUIRE(sums == t.sums(signs));
    sums.assign(sums.size(), 77);
    conv2d_sum(x, pack(t.tiles), b, image_of(sums, signs), window, signs.padding, epilogue<>(), serial, scratch);
    REQUIRE(sums == t.sums(signs));
    sums.assign(sums.size(), 77);
    const status refused = try_conv2d_sum(x, pack(t.tiles), b, image_of(sums, signs), window, std::int8_t{0},
                                          epilogue<>(), serial, scratch);  // the second tensor's bits have no 0
    CHECK(refused.message().find("padding 0 is no code of binary") != std::string::npos);
    CHECK(std::ranges::count(sums, 77) == static_cast<std::ptrdiff_t>(sums.size()));
  }
}

TEST_CASE("conv2d_sum: with scales along k the zero point of X is taken back in both products") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  const auto p = problem_of<u8>(square_window(3, 1, 1), 5, 33, random);
  std::vector<float> weights(p.n * p.k()), rest(p.n * p.k());
  for (std::size_t i = 0; i < weights.size(); ++i) (random.chance(0.1) ? rest : weights)[i] = random.real(-1, 1);
  const auto a = pack(encode<dense, s8, per_group<32>>(weights, {p.n, p.k()}));
  const auto b = pack(encode<csr, s8, per_group<32>>(rest, {p.n, p.k()}));
  const epilogue stages(subtract_zero_point(p.padding));
  const auto sums_of = [&](const auto& w) {
    std::vector<float> sums(p.pixels() * p.n);
    conv2d(p.image(), w, image_of(sums, p), p.window, p.padding, stages, serial, scratch);
    return sums;
  };
  const std::vector<float> first = sums_of(a), second = sums_of(b);
  std::vector<float> y(first.size());
  conv2d_sum(p.image(), a, b, image_of(y, p), p.window, p.padding, stages, serial, scratch);
  for (std::size_t i = 0; i < y.size(); ++i) REQUIRE(y[i] == second[i] + first[i]);
}

TEST_CASE("conv2d_sum: bad operands leave Y alone, and no images are no work") {
  const std::vector<std::uint8_t> x(2 * 4 * 4 * 3, 1);
  std::vector<std::int32_t> y(2 * 4 * 4 * 5, 77);
  const auto weights = [](std::size_t n, std::size_t k) {
    return pack(encode_codes<csr, s8, per_tensor>(std::vector<std::int8_t>(n * k, 1), {n, k}, {1.0F}));
  };
  const auto w = weights(5, 27), of_more_channels = weights(6, 27), of_one_tap = weights(5, 3);
  const image_view<const std::uint8_t> x_view(x.data(), 2, 4, 4, 3);
  const image_view<std::int32_t> y_view(y.data(), 2, 4, 4, 5);
  const window_parameters window = square_window(3, 1, 1);
  workspace scratch;
  const auto message = [&](const auto& a, const auto& b, const window_parameters& slid, const auto& stages) {
    const status s = try_conv2d_sum(x_view, a, b, y_view, slid, std::uint8_t{0}, stages, serial, scratch);
    REQUIRE_FALSE(s.ok());
    return s.message();
  };
  const epilogue<> sums;
  const std::string of_n = "conv2d: Y is 2 x 4 x 4 x 5, it needs to be 2 x 4 x 4 x 6";
  CHECK(message(w, of_more_channels, window, sums) == of_n);
  CHECK(message(of_more_channels, w, window, sums) == of_n);
  CHECK(message(w, of_one_tap, window, sums).find("channels of a group = 27") != std::string::npos);
  CHECK(message(of_one_tap, w, window, sums).find("channels of a group = 27") != std::string::npos);
  CHECK(message(w, w, square_window(7, 1, 1), sums).starts_with("conv2d: window: the kernel spans 7 rows"));
  CHECK(message(w, w, square_window(3), sums).starts_with("conv2d: Y is 2 x 4 x 4 x 5"));
  const std::vector<std::int32_t> few(4);
  CHECK_FALSE(message(w, w, window, epilogue(bias<std::int32_t>(few))).empty());
  const status none = try_conv2d_sum(image_view<const std::uint8_t>(nullptr, 0, 4, 4, 3), w, w,
                                     image_view<std::int32_t>(nullptr, 0, 4, 4, 5), window, std::uint8_t{0}, sums,
                                     serial, scratch);
  CHECK(none.ok());
  CHECK(std::ranges::count(y, 77) == static_cast<std::ptrdiff_t>(y.size()));
}
