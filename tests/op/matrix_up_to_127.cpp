// SPDX-License-Identifier: MIT
// The matrix test of activations of 7 bits, and convolutions of them.
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/op/conv2d.hpp>
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
  sparq_test::check_all_extents<csr, with<s8, u8_up_to_127>, default_atoms, window_shape<16, 4, 32>>();
}

TEST_CASE("matrix: the largest products of activations up to 127") {
  const std::size_t m = 13, n = 33, k = 259;
  const std::vector<std::uint8_t> x(m * k, 127);
  workspace scratch;
  for (const int code : {-128, 127}) {
    const std::vector<std::int8_t> codes(n * k, static_cast<std::int8_t>(code));
    const auto w = pack(encode_codes<dense, s8>(codes, {n, k}, std::vector<float>(n, 1)));
    std::vector<std::int32_t> y(m * n);
    gemm(up_to_127(matrix_view<const std::uint8_t>(x.data(), m, k)), w, matrix_view<std::int32_t>(y.data(), m, n), scratch);
    CHECK(y == std::vector<std::int32_t>(m * n, static_cast<std::int32_t>(k) * 127 * code));
  }
}

TEST_CASE("conv2d: activations up to 127 give what u8 gives") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (int time = 0; time < 30; ++time) {
    const std::size_t height = 1 + random.below(7), width = 1 + random.below(7), channels = 1 + random.below(40), n = 1 + random.below(40);
    const window_parameters window{.kernel_height = 1 + random.below(3), .kernel_width = 1 + random.below(3), .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1};
    if (!window.check(height, width).ok()) continue;
    std::vector<std::uint8_t> x(2 * height * width * channels);
    for (auto& v : x) v = static_cast<std::uint8_t>(random.below(128));
    const image_view<const std::uint8_t> image(x.data(), 2, height, width, channels);
    const auto w = pack(sparq_test::random_tensor<dense, s8>({n, window.kernel_height * window.kernel_width * channels}, sparq_test::value_style::any, random));
    const std::size_t out_height = window.output_height(height), out_width = window.output_width(width);
    std::vector<std::int32_t> y(2 * out_height * out_width * n), y8(y.size());
    const auto padding = static_cast<std::uint8_t>(random.below(128));
    conv2d(up_to_127(image), w, image_view<std::int32_t>(y.data(), 2, out_height, out_width, n), window, padding, epilogue<>(), serial, scratch);
    conv2d(image, w, image_view<std::int32_t>(y8.data(), 2, out_height, out_width, n), window, padding, epilogue<>(), serial, scratch);
    CHECK(y == y8);
    CHECK_FALSE(try_conv2d(up_to_127(image), w, image_view<std::int32_t>(y.data(), 2, out_height, out_width, n), window, std::uint8_t{128}, epilogue<>(), serial, scratch).ok());
  }
}
