// SPDX-License-Identifier: MIT
// Sums of rows, and what they are for: weights with a zero point or an offset, against sums of real weights.
#include <sparq/op/row_sums.hpp>

#include <sparq/format/dense.hpp>
#include <sparq/op/conv2d.hpp>
#include <sparq/tensor/encode.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/operands.hpp"
#include "tests/support/random.hpp"

#include <cmath>
#include <cstdint>
#include <vector>

using namespace sparq;

namespace {

template <class X>
void check_sums(sparq_test::random_source& random, std::int32_t low, std::int32_t high) {
  for (std::size_t k = 0; k < 140; ++k) {
    const std::size_t m = 1 + k % 3, stride = k + k % 2;
    const std::int32_t zero_point = random.chance(0.5) ? 0 : random.between(low, high);
    std::vector<X> x(m * stride + 1);
    const bool ends_only = random.chance(0.3);
    for (auto& v : x) v = static_cast<X>(ends_only ? (random.chance(0.5) ? low : high) : random.between(low, high));
    std::vector<std::int32_t> sums(m, 77);
    row_sums(matrix_view<const X>(x.data(), m, k, stride), sums, zero_point);
    for (std::size_t i = 0; i < m; ++i) {
      std::int32_t want = 0;
      for (std::size_t q = 0; q < k; ++q) want += x[i * stride + q] - zero_point;
      REQUIRE(sums[i] == want);
    }
  }
}

template <class N>
void check_narrow_sums(sparq_test::random_source& random) {
  for (const std::size_t k : {0U, 1U, 3U, 8U, 31U, 63U, 64U, 65U, 255U, 256U, 257U, 515U}) {
    const std::size_t m = 3, stride = storage_bytes<N>(k) + k % 2;
    std::vector<std::byte> bytes(m * stride + 1);
    for (auto& b : bytes) b = static_cast<std::byte>(random.between(0, 255));
    const narrow_matrix_view<const N> x(bytes.data(), m, k, stride);
    std::vector<std::int32_t> sums(m, 77);
    row_sums(x, sums, 1);
    for (std::size_t i = 0; i < m; ++i) {
      std::int32_t want = 0;
      for (std::size_t q = 0; q < k; ++q) want += x(i, q) - 1;
      REQUIRE(sums[i] == want);
    }
  }
}

struct extents {
  std::size_t m, n, k;
};
constexpr extents extents_to_try[] = {{1, 1, 1}, {3, 17, 5}, {7, 33, 64}, {13, 40, 131}, {2, 16, 0}, {0, 4, 9}};

/// Sums of (x - x_zero)(w - w_zero) in the epilogue, for all channels and for each.
template <class X, integer_numeric W>
void check_zero_points(sparq_test::random_source& random) {
  constexpr std::int32_t least = std::is_signed_v<X> ? -128 : 0;
  for (const auto& [m, n, k] : extents_to_try) {
    INFO("m " << m << ", n " << n << ", k " << k << ", " << W::name);
    std::vector<X> x(m * k);
    std::vector<typename W::code> codes(n * k);
    for (auto& v : x) v = static_cast<X>(random.between(least, least + 255));
    sparq_test::fill_codes<W>(codes, sparq_test::random_style(random), random);
    std::vector<std::int32_t> zero_points(n), sums(m);
    for (auto& z : zero_points) z = random.between(W::min_code, W::max_code);
    const std::int32_t x_zero = random.between(least, least + 255), w_zero = random.between(W::min_code, W::max_code);
    const auto packed = pack(encode_codes<dense, W, per_tensor>(codes, {n, k}, {1.0F}));
    const matrix_view<const X> rows(x.data(), m, k);
    row_sums(rows, sums, x_zero);
    std::vector<std::int32_t> with_one(m * n), with_each(m * n);
    workspace scratch;
    gemm(rows, packed, matrix_view<std::int32_t>(with_one.data(), m, n),
         epilogue(subtract_zero_point(x_zero), subtract_weight_zero_point(sums, w_zero)), serial, scratch);
    gemm(rows, packed, matrix_view<std::int32_t>(with_each.data(), m, n),
         epilogue(subtract_weight_zero_point(sums, zero_points), subtract_zero_point(x_zero)), serial, scratch);
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t j = 0; j < n; ++j) {
        std::int32_t one = 0, each = 0;
        for (std::size_t q = 0; q < k; ++q) {
          one += (x[i * k + q] - x_zero) * (codes[j * k + q] - w_zero);
          each += (x[i * k + q] - x_zero) * (codes[j * k + q] - zero_points[j]);
        }
        REQUIRE(with_one[i * n + j] == one);
        REQUIRE(with_each[i * n + j] == each);
      }
  }
}

}  // namespace

TEST_CASE("row_sums: bytes of every length, less a zero point") {
  sparq_test::random_source random;
  INFO(random.text());
  check_sums<std::uint8_t>(random, 0, 255);
  check_sums<std::int8_t>(random, -128, 127);
  const std::vector<std::uint8_t> many(1 << 20, 255);
  std::vector<std::int32_t> sum(1);
  row_sums(matrix_view<const std::uint8_t>(many.data(), 1, many.size()), sum);
  CHECK(sum[0] == 255 << 20);
}

TEST_CASE("row_sums: narrow integers") {
  sparq_test::random_source random;
  INFO(random.text());
  check_narrow_sums<u4>(random);
  check_narrow_sums<s2_high_first>(random);
  check_narrow_sums<binary>(random);
}

TEST_CASE("row_sums: floats add in an order that no CPU changes") {
  sparq_test::random_source random;
  INFO(random.text());
  for (std::size_t k = 0; k < 70; ++k) {
    std::vector<float> x(2 * k);
    for (auto& v : x) v = random.real(-1.0F, 1.0F);
    std::vector<float> sums(2, 77.0F);
    row_sums(matrix_view<const float>(x.data(), 2, k), sums);
    for (std::size_t i = 0; i < 2; ++i) {
      float lanes[16] = {};
      for (std::size_t q = 0; q < k; ++q) lanes[q % 16] += x[i * k + q];
      for (std::size_t half = 8; half > 0; half /= 2)
        for (std::size_t l = 0; l < half; ++l) lanes[l] += lanes[l + half];
      REQUIRE(sums[i] == lanes[0]);
    }
  }
}

TEST_CASE("row_sums: what does not match is refused") {
  std::vector<std::int32_t> sums(3, 5);
  std::vector<float> floats(2);
  const std::vector<std::uint8_t> x(12);
  const std::vector<std::byte> bytes(12);
  CHECK(try_row_sums(matrix_view<const std::uint8_t>(x.data(), 4, 3), sums).message() ==
        "row_sums: room for 3 sums, X has 4 rows");
  CHECK(try_row_sums(matrix_view<const std::uint8_t>(x.data(), 3, 4, 3), sums).message() ==
        "row_sums: X has a stride of 3; at least 4 are needed");
  CHECK(try_row_sums(narrow_matrix_view<const u4>(bytes.data(), 3, 5, 2), sums).message() ==
        "row_sums: X has a stride of 2; at least 3 are needed");
  CHECK(try_row_sums(matrix_view<const float>(floats.data(), 2, 1), floats, 1).message() ==
        "row_sums: floats have no zero point");
  CHECK(sums == std::vector<std::int32_t>(3, 5));
  CHECK_THROWS(row_sums(matrix_view<const std::uint8_t>(x.data(), 4, 3), sums));
}

TEST_CASE("row_sums: both zero points leave the product of real numbers") {
  sparq_test::random_source random;
  INFO(random.text());
  check_zero_points<std::uint8_t, u8>(random);
  check_zero_points<std::int8_t, u4>(random);
  check_zero_points<std::uint8_t, u2>(random);
}

TEST_CASE("row_sums: weights scale * code + offset, with X in floats and in codes") {
  sparq_test::random_source random;
  INFO(random.text());
  constexpr std::size_t m = 9, n = 21, k = 75;
  std::vector<std::uint8_t> codes(n * k), x(m * k);
  std::vector<float> scales(n), offsets(n), code_numbers, real_x(m * k), y(m * n), float_sums(m);
  std::vector<std::int32_t> sums(m);
  for (auto& v : codes) v = static_cast<std::uint8_t>(random.between(0, 15));
  for (auto& v : x) v = static_cast<std::uint8_t>(random.between(0, 255));
  for (auto& v : real_x) v = random.real(-1.0F, 1.0F);
  for (auto& v : scales) v = random.real(0.01F, 0.1F);
  for (auto& v : offsets) v = random.real(-0.7F, 0.2F);
  code_numbers.assign(codes.begin(), codes.end());
  workspace scratch;
  const auto check = [&](const auto& x_of, float x_scale) {
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t j = 0; j < n; ++j) {
        double want = 0, magnitude = 0;
        for (std::size_t q = 0; q < k; ++q) {
          const double product = x_of(i * k + q) * (double{scales[j]} * codes[j * k + q] + double{offsets[j]});
          want += product * x_scale;
          magnitude += std::fabs(product * x_scale);
        }
        REQUIRE(std::fabs(y[i * n + j] - want) <= 1e-5 * magnitude);
      }
  };

  const matrix_view<const float> floats(real_x.data(), m, k);
  row_sums(floats, float_sums);
  gemm(floats, pack(encode<dense, f32>(code_numbers, {n, k})), matrix_view<float>(y.data(), m, n),
       epilogue(scale_per_channel(scales), add_weight_offset(float_sums, offsets)), serial, scratch);
  check([&](std::size_t i) { return double{real_x[i]}; }, 1.0F);

  const matrix_view<const std::uint8_t> bytes(x.data(), m, k);
  row_sums(bytes, sums, 100);
  gemm(bytes, pack(encode_codes<dense, u4, per_channel>(codes, {n, k}, scales)), matrix_view<float>(y.data(), m, n),
       epilogue(subtract_zero_point(100), scale_per_channel(scales), add_weight_offset(sums, offsets), scale(0.02F)),
       serial, scratch);
  check([&](std::size_t i) { return static_cast<double>(x[i]) - 100; }, 0.02F);
}

TEST_CASE("row_sums: zero points of groups of weights are a product of the groups' sums") {
  sparq_test::random_source random;
  INFO(random.text());
  constexpr std::size_t m = 9, n = 21, k = 75, group = 32, groups = 3;
  const std::int32_t x_zero = random.between(0, 255);
  std::vector<std::uint8_t> x(m * k), codes(n * k);
  std::vector<float> scales(n * groups), minus_offsets(n * groups), sums(m * groups), y(m * n);
  std::vector<std::int32_t> zero_points(n * groups);
  for (auto& v : x) v = static_cast<std::uint8_t>(random.between(0, 255));
  for (auto& v : codes) v = static_cast<std::uint8_t>(random.between(0, 15));
  for (std::size_t i = 0; i < scales.size(); ++i) {
    scales[i] = 0.5F * static_cast<float>(1 + random.below(4));  // sums stay exact in binary32
    zero_points[i] = random.between(0, 16);                      // GPTQ's reach 16
    minus_offsets[i] = -scales[i] * static_cast<float>(zero_points[i]);
  }
  workspace scratch;
  const matrix_view<const std::uint8_t> rows(x.data(), m, k);
  const matrix_view<float> out(y.data(), m, n), group_sums_of_x(sums.data(), m, groups);
  gemm(rows, pack(encode_codes<dense, u4, per_group<group>>(codes, {n, k}, scales)), out,
       epilogue(subtract_zero_point(x_zero)), serial, scratch);
  group_sums(rows, group, group_sums_of_x, x_zero);
  gemm(matrix_view<const float>(group_sums_of_x), pack(encode<dense, f32>(minus_offsets, {n, groups})), out,
       epilogue(add(out)), serial, scratch);
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      double want = 0;
      for (std::size_t q = 0; q < k; ++q) {
        const std::size_t g = j * groups + q / group;
        want += double{scales[g]} * (x[i * k + q] - x_zero) * (codes[j * k + q] - zero_points[g]);
      }
      REQUIRE(double{y[i * n + j]} == want);
    }

  const std::vector<std::byte> bytes(10, std::byte{0x21});
  std::vector<float> narrow_sums(8);
  group_sums(narrow_matrix_view<const u4>(bytes.data(), 2, 9, 5), 3, matrix_view<float>(narrow_sums.data(), 2, 3, 4),
             1);
  CHECK(narrow_sums == std::vector<float>{1, 2, 1, 0, 1, 2, 1, 0});
  CHECK(try_group_sums(rows, 0, group_sums_of_x).message() == "group_sums: a group holds at least one k");
  CHECK(try_group_sums(rows, 16, group_sums_of_x).message() ==
        "group_sums: room for 9 x 3 sums, X has 9 rows of 5 groups");
  CHECK(try_group_sums(rows, group, matrix_view<float>(sums.data(), m, groups, 2)).message() ==
        "group_sums: the matrix of sums has a stride of 2; at least 3 are needed");
  CHECK(
      try_group_sums(matrix_view<const float>(y.data(), m, 4), 2, matrix_view<float>(sums.data(), m, 2), 1).message() ==
      "group_sums: floats have no zero point");
  group_sums(matrix_view<const float>(minus_offsets.data(), 1, 7), 4, matrix_view<float>(sums.data(), 1, 2));
  CHECK(sums[1] == minus_offsets[4] + minus_offsets[5] + minus_offsets[6]);
  CHECK_THROWS(group_sums(rows, 0, group_sums_of_x));
}

TEST_CASE("row_sums: sums of a convolution's patches are a convolution with one channel of ones") {
  sparq_test::random_source random;
  INFO(random.text());
  constexpr std::size_t height = 5, width = 6, channels = 3, n = 4, k = 9 * channels, pixels = height * width;
  window_parameters window;
  window.kernel_height = window.kernel_width = 3;
  window.pad_top = window.pad_left = window.pad_bottom = window.pad_right = 1;
  std::vector<std::uint8_t> x(pixels * channels), codes(n * k);
  for (auto& v : x) v = static_cast<std::uint8_t>(random.between(0, 255));
  for (auto& v : codes) v = static_cast<std::uint8_t>(random.between(0, 255));
  std::vector<std::int32_t> sums(pixels), y(pixels * n);
  workspace scratch;
  const image_view<const std::uint8_t> image(x.data(), 1, height, width, channels);
  const auto ones = pack(encode_codes<dense, u8, per_tensor>(std::vector<std::uint8_t>(k, 1), {1, k}, {1.0F}));
  conv2d(image, ones, image_view<std::int32_t>(sums.data(), 1, height, width, 1), window, 9,
         epilogue(subtract_zero_point(9)), serial, scratch);
  const auto w = pack(encode_codes<dense, u8, per_tensor>(codes, {n, k}, {1.0F}));
  const image_view<std::int32_t> out(y.data(), 1, height, width, n);
  const epilogue stages(subtract_zero_point(9), subtract_weight_zero_point(sums, 130));
  conv2d(image, w, out, window, 9, stages, serial, scratch);
  for (std::size_t p = 0; p < pixels; ++p)
    for (std::size_t j = 0; j < n; ++j) {
      std::int32_t want = 0;
      for (std::size_t t = 0; t < 9; ++t) {
        const std::size_t row = p / width + t / 3, column = p % width + t % 3;
        if (row < 1 || row > height || column < 1 || column > width) continue;  // padding is a real 0
        for (std::size_t c = 0; c < channels; ++c)
          want += (x[((row - 1) * width + column - 1) * channels + c] - 9) * (codes[j * k + t * channels + c] - 130);
      }
      REQUIRE(y[p * n + j] == want);
    }

  const std::vector<std::uint8_t> two_groups_of_x(pixels * 2 * channels);
  std::vector<std::int32_t> two_groups_of_y(pixels * 2 * n);
  const std::vector groups{w.view(), w.view()};
  CHECK(try_conv2d(image_view<const std::uint8_t>(two_groups_of_x.data(), 1, height, width, 2 * channels),
                   std::span<const std::remove_cvref_t<decltype(groups[0])>>(groups),
                   image_view<std::int32_t>(two_groups_of_y.data(), 1, height, width, 2 * n), window, 9, stages, serial,
                   scratch)
            .message() == "conv2d: row sums are of one group, there are 2");
}
