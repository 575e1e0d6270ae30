// SPDX-License-Identifier: MIT
// What loops for one row of bytes share: rows that are unpacked or gathered before they are prepared. Sizes are tested
// with the sums of each, sign_table_loop and two_bit_loop.
#include <sparq/format/dense.hpp>
#include <sparq/kernel/loop/one_row_loop.hpp>
#include <sparq/op/conv2d.hpp>

#include "tests/support/matrix.hpp"
#include "tests/support/narrow.hpp"
#include "tests/support/one_row.hpp"

using namespace sparq;
using sparq_test::with;

namespace {

constexpr std::size_t least_channels = 256;  // from which on all of these loops take a row

}  // namespace

TEMPLATE_TEST_CASE("one_row_loop: rows that are unpacked", "", binary, ternary, s2) {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (int trial = 0; trial < 60; ++trial) {
    const std::size_t n = least_channels + random.below(70), k = random.below(300);
    const auto w = sparq_test::random_dense<TestType>(n, k, random);
    const sparq_test::narrow_input<u4> x(1, k, 0, sparq_test::random_style(random), random);
    std::vector<std::int32_t> y(n);
    gemm(x.view(), pack<panel_shape<16, 4>>(w), matrix_view<std::int32_t>(y.data(), 1, n), scratch);
    REQUIRE(y == reference_gemm(matrix_view<const std::uint8_t>(x.codes().data(), 1, k), w.view()));
  }
}

TEMPLATE_TEST_CASE("one_row_loop: the row of a single output pixel", "", (with<binary, u8>), (with<ternary, u8>),
                   (with<s2, s8>)) {
  using x_type = typename TestType::x_type;
  using code = typename x_type::code;
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (int trial = 0; trial < 30; ++trial) {
    window_parameters window;
    window.kernel_height = window.kernel_width = 3;
    const std::size_t n = least_channels + random.below(70), channels = 1 + random.below(30), k = 9 * channels;
    const auto w = sparq_test::random_dense<typename TestType::weight_type>(n, k, random);
    const auto x = sparq_test::random_x<x_type>({1, n, k}, sparq_test::random_style(random), random);
    std::vector<std::int32_t> y(n);
    conv2d(image_view<const code>(x.view().data, 1, 3, 3, channels), pack<panel_shape<16, 4>>(w),
           image_view<std::int32_t>(y.data(), 1, 1, 1, n), window, code{0}, epilogue<>(), serial, scratch);
    REQUIRE(y == reference_gemm(x.view(), w.view()));
  }
}

TEST_CASE("one_row_loop: dense words of whole channels, and bytes of X") {
  using machine::meets_words_v;
  using words = packed_view_of<tensor_view<dense, ternary, per_channel>, panel_shape<16, 4>>;
  STATIC_REQUIRE(meets_words_v<words, std::uint8_t>);
  STATIC_REQUIRE_FALSE(meets_words_v<words, std::int16_t>);
  STATIC_REQUIRE_FALSE(
      meets_words_v<packed_view_of<tensor_view<dense, ternary, per_group<32>>, panel_shape<16, 4>>, std::uint8_t>);
}
