// SPDX-License-Identifier: MIT
// The matrix test of activations of 7 bits, convolutions of them, and weights of 7 bits in the columns loop.
#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/op/conv2d.hpp>
#include <sparq/op/gemm_sum.hpp>
#include <sparq/plan/planned.hpp>
#include <sparq/tensor/encode.hpp>

#include "tests/support/matrix.hpp"

using namespace sparq;
using sparq_test::with;

TEST_CASE("matrix: activations up to 127 equal the reference") {
  sparq_test::check_all_extents<dense, with<s8, u8_up_to_127>>();
  sparq_test::check_all_extents<dense, with<s4, u8_up_to_127>>();
  sparq_test::check_all_extents<tile_wise<8>, with<s8, u8_up_to_127>>();
  sparq_test::check_all_extents<n_m<2, 4>, with<s8, u8_up_to_127>>();
  sparq_test::check_all_extents<csr, with<s8, u8_up_to_127>, default_atoms, column_shape<4, 4>>();
  sparq_test::check_all_extents<block<1, 4>, with<s8, u8_up_to_127>, default_atoms, column_shape<4, 4, 4>>();
  sparq_test::check_all_extents<csr, with<s8, u8_up_to_127>, default_atoms, window_shape<16, 4, 32>>();
}

TEST_CASE("matrix: weights up to 64 in the columns loop equal the reference") {
  sparq_test::check_all_extents<csr, with<s7, s8>, default_atoms, column_shape<4, 4>>();
  sparq_test::check_all_extents<block<1, 4>, with<s7, s8>, default_atoms, column_shape<4, 4, 4>>();
}

TEST_CASE("matrix: the largest products of activations up to 127") {
  const std::size_t m = 13, n = 33, k = 259;
  const std::vector<std::uint8_t> x(m * k, 127);
  workspace scratch;
  for (const int code : {-128, 127}) {
    const std::vector<std::int8_t> codes(n * k, static_cast<std::int8_t>(code));
    const auto w = pack(encode_codes<dense, s8>(codes, {n, k}, std::vector<float>(n, 1)));
    std::vector<std::int32_t> y(m * n);
    gemm(up_to_127(matrix_view<const std::uint8_t>(x.data(), m, k)), w, matrix_view<std::int32_t>(y.data(), m, n),
         scratch);
    CHECK(y == std::vector<std::int32_t>(m * n, static_cast<std::int32_t>(k) * 127 * code));
  }
}

TEST_CASE("gemm: activations up to 127 with scales along k give what u8 gives") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (int time = 0; time < 30; ++time) {
    const std::size_t m = random.below(20), n = 1 + random.below(40), k = 1 + random.below(150);
    std::vector<std::uint8_t> x(m * k);
    for (auto& v : x) v = static_cast<std::uint8_t>(random.below(128));
    std::vector<float> weights(n * k);
    for (auto& v : weights) v = random.real(-1.0F, 1.0F);
    const auto w = pack(encode<dense, s8, per_group<32>>(weights, {n, k}));
    std::vector<float> y(m * n), y8(m * n);
    const matrix_view<const std::uint8_t> view(x.data(), m, k);
    gemm(up_to_127(view), w, matrix_view<float>(y.data(), m, n), scratch);
    gemm(view, w, matrix_view<float>(y8.data(), m, n), scratch);
    CHECK(y == y8);
  }
}

TEST_CASE("gemm: activations up to 127 meet plans and sums of two tensors") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (const double density : {0.05, 0.3, 1.0}) {
    const std::size_t m = 1 + random.below(80), n = 1 + random.below(40), k = 1 + random.below(150);
    std::vector<std::uint8_t> x(m * k);
    for (auto& v : x) v = static_cast<std::uint8_t>(random.below(128));
    std::vector<std::int8_t> codes(n * k);
    for (auto& code : codes)
      code = random.chance(density) ? static_cast<std::int8_t>(random.between(-128, 127)) : std::int8_t{0};
    const auto w = encode_codes<csr, s8>(codes, {n, k}, std::vector<float>(n, 1));
    std::vector<std::int32_t> y(m * n), sum(m * n);
    const auto x7 = up_to_127(matrix_view<const std::uint8_t>(x.data(), m, k));
    gemm(x7, pack_for(w, m), matrix_view<std::int32_t>(y.data(), m, n), epilogue<>(), serial, scratch);
    CHECK(sparq_test::first_difference(y, reference_gemm(matrix_view<const std::uint8_t>(x.data(), m, k), w.view()), n,
                                       0) == "");
    const auto packed = pack(w);
    gemm_sum(x7, packed, packed, matrix_view<std::int32_t>(sum.data(), m, n), epilogue<>(), serial, scratch);
    for (auto& v : y) v *= 2;
    CHECK(sum == y);
  }
}

TEST_CASE("conv2d: activations up to 127 give what u8 gives") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (int time = 0; time < 30; ++time) {
    const std::size_t height = 1 + random.below(7), width = 1 + random.below(7), channels = 1 + random.below(40),
                      n = 1 + random.below(40);
    const window_parameters window{.kernel_height = 1 + random.below(3),
                                   .kernel_width = 1 + random.below(3),
                                   .pad_top = 1,
                                   .pad_left = 1,
                                   .pad_bottom = 1,
                                   .pad_right = 1};
    if (!window.check(height, width).ok()) continue;
    std::vector<std::uint8_t> x(2 * height * width * channels);
    for (auto& v : x) v = static_cast<std::uint8_t>(random.below(128));
    const image_view<const std::uint8_t> image(x.data(), 2, height, width, channels);
    const auto w = pack(sparq_test::random_tensor<dense, s8>({n, window.kernel_height * window.kernel_width * channels},
                                                             sparq_test::value_style::any, random));
    const std::size_t out_height = window.output_height(height), out_width = window.output_width(width);
    std::vector<std::int32_t> y(2 * out_height * out_width * n), y8(y.size());
    const auto padding = static_cast<std::uint8_t>(random.below(128));
    conv2d(up_to_127(image), w, image_view<std::int32_t>(y.data(), 2, out_height, out_width, n), window, padding,
           epilogue<>(), serial, scratch);
    conv2d(image, w, image_view<std::int32_t>(y8.data(), 2, out_height, out_width, n), window, padding, epilogue<>(),
           serial, scratch);
    CHECK(y == y8);
    CHECK_FALSE(try_conv2d(up_to_127(image), w, image_view<std::int32_t>(y.data(), 2, out_height, out_width, n), window,
                           std::uint8_t{128}, epilogue<>(), serial, scratch)
                    .ok());
  }
}
