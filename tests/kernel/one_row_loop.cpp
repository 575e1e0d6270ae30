// SPDX-License-Identifier: MIT
// What loops for one row of bytes share: rows that are unpacked or gathered before they are prepared. Sizes are tested with the
// sums of each, sign_table_loop and two_bit_loop.
#include <sparq/format/dense.hpp>
#include <sparq/kernel/one_row_loop.hpp>
#include <sparq/op/conv2d.hpp>

#include "tests/support/matrix.hpp"
#include "tests/support/narrow.hpp"
#include "tests/support/sign_rows.hpp"

using namespace sparq;

TEST_CASE("one_row_loop: rows that are unpacked") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (int trial = 0; trial < 60; ++trial) {
    const std::size_t n = 64 + random.below(70), k = random.below(300);
    const auto w = sparq_test::random_signs<ternary>(n, k, random);
    const sparq_test::narrow_input<u4> x(1, k, 0, sparq_test::random_style(random), random);
    std::vector<std::int32_t> y(n);
    gemm(x.view(), pack<panel_shape<16, 4>>(w), matrix_view<std::int32_t>(y.data(), 1, n), scratch);
    REQUIRE(y == reference_gemm(matrix_view<const std::uint8_t>(x.codes().data(), 1, k), w.view()));
  }
}

TEST_CASE("one_row_loop: the row of a single output pixel") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (int trial = 0; trial < 30; ++trial) {
    window_parameters window;
    window.kernel_height = window.kernel_width = 3;
    const std::size_t n = 64 + random.below(70), channels = 1 + random.below(30), k = 9 * channels;
    const auto w = sparq_test::random_signs<s2>(n, k, random);
    const auto x = sparq_test::random_x<s8>({1, n, k}, sparq_test::random_style(random), random);
    std::vector<std::int32_t> y(n);
    conv2d(image_view<const std::int8_t>(x.view().data, 1, 3, 3, channels), pack<panel_shape<16, 4>>(w),
           image_view<std::int32_t>(y.data(), 1, 1, 1, n), window, std::int8_t{0}, epilogue<>(), serial, scratch);
    REQUIRE(y == reference_gemm(x.view(), w.view()));
  }
}

TEST_CASE("one_row_loop: dense words of whole channels, and bytes of X") {
  using machine::meets_words_v;
  using words = packed_view_of<tensor_view<dense, ternary, per_channel>, panel_shape<16, 4>>;
  STATIC_REQUIRE(meets_words_v<words, std::uint8_t>);
  STATIC_REQUIRE_FALSE(meets_words_v<words, std::int16_t>);
  STATIC_REQUIRE_FALSE(meets_words_v<packed_view_of<tensor_view<dense, ternary, per_group<32>>, panel_shape<16, 4>>, std::uint8_t>);
}
