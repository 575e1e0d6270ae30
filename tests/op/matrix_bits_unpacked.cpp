// SPDX-License-Identifier: MIT
// The matrix test of activations of -1 and 1 where no bits are counted: narrow weights in formats that choose k's one
// by one, in gemm and conv2d. X is unpacked to bytes there.
#include <sparq/format/bitmask.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_n_m.hpp>
#include <sparq/format/tile_wise_n_m.hpp>
#include <sparq/op/conv2d.hpp>

#include "tests/support/bit_input.hpp"
#include "tests/support/matrix.hpp"

using namespace sparq;
using sparq_test::bit_input;

namespace {

template <class Format, class W>
auto random_bit_weights(weight_shape shape, sparq_test::random_source& random) {
  return sparq_test::random_tensor<Format, typename tensor<Format, W>::numeric_type>(
      shape, sparq_test::random_style(random), random);
}

template <class Shape, class Tensor>
void check_gemm(const Tensor& w, std::size_t m, sparq_test::random_source& random, workspace& scratch) {
  const auto [n, k] = w.shape();
  const bit_input x(m, k, random);
  sparq_test::guarded_output<std::int32_t> y(m, n, random);
  const std::size_t parts = random.chance(0.5) ? 1 : 1 + random.below(12);
  gemm(x.view, pack<Shape>(w), y.view(), epilogue<>(), sparq_test::scrambled_executor{parts, &random}, scratch);
  const auto want = reference_gemm(matrix_view<const std::int8_t>(x.codes.data(), m, k), w.view());
  REQUIRE(sparq_test::first_difference(y.elements(), want, n, 0) == "");
  REQUIRE(y.surroundings_intact());
}

/// The pixels that every output of a convolution meets, a row each; `padding` beyond the image.
std::vector<std::int8_t> patches_of(const narrow_image_view<const binary>& x, const window_parameters& w,
                                    std::int8_t padding) {
  std::vector<std::int8_t> result;
  const auto at = [](std::size_t out, std::size_t stride, std::size_t tap, std::size_t dilation, std::size_t pad) {
    return out * stride + tap * dilation - pad;  // wraps to a huge number left of the image
  };
  for (std::size_t out_y = 0; out_y < w.output_height(x.image_height); ++out_y)
    for (std::size_t out_x = 0; out_x < w.output_width(x.image_width); ++out_x)
      for (std::size_t ky = 0; ky < w.kernel_height; ++ky)
        for (std::size_t kx = 0; kx < w.kernel_width; ++kx)
          for (std::size_t c = 0; c < x.channels; ++c) {
            const std::size_t in_y = at(out_y, w.stride_y, ky, w.dilation_y, w.pad_top);
            const std::size_t in_x = at(out_x, w.stride_x, kx, w.dilation_x, w.pad_left);
            const bool inside = in_y < x.image_height && in_x < x.image_width;
            result.push_back(inside ? static_cast<std::int8_t>(load_code<binary>(x.pixel(0, in_y, in_x), c)) : padding);
          }
  return result;
}

template <class Format, class W, class Shape>
void check_conv2d(sparq_test::random_source& random, workspace& scratch) {
  window_parameters window;
  if (random.chance(0.8)) {
    window.kernel_height = 1 + random.below(3);
    window.kernel_width = 1 + random.below(3);
    window.stride_y = 1 + random.below(2);
    window.stride_x = 1 + random.below(2);
    window.dilation_x = 1 + random.below(2);
    window.pad_top = random.below(3);
    window.pad_left = random.below(3);
    window.pad_right = random.below(3);
  }
  const std::size_t channels = 1 + random.below(40), n = 1 + random.below(40), k = window.taps() * channels;
  const std::size_t height = window.span_height() + random.below(5), width = window.span_width() + random.below(5);
  std::vector<std::byte> pixels(height * width * storage_bytes<binary>(channels));
  for (auto& byte : pixels) byte = static_cast<std::byte>(random.below(256));
  const narrow_image_view<const binary> x(pixels.data(), 1, height, width, channels);
  const auto w = random_bit_weights<Format, W>({n, k}, random);
  const auto padding = static_cast<std::int8_t>(random.between(-1, 1));  // 0 too, as there is a byte for it
  const std::size_t out_height = window.output_height(height), out_width = window.output_width(width);
  std::vector<std::int32_t> got(out_height * out_width * n, 99);
  INFO("image " << height << " x " << width << " x " << channels << ", n " << n << ", padding " << int{padding});
  conv2d(x, pack<Shape>(w), image_view<std::int32_t>(got.data(), 1, out_height, out_width, n), window, padding,
         epilogue<>(), serial, scratch);
  const auto patches = patches_of(x, window, padding);
  REQUIRE(got == reference_gemm(matrix_view<const std::int8_t>(patches.data(), out_height * out_width, k), w.view()));
}

template <class Format, class W, class Shape = default_shape<Format, typename tensor<Format, W>::numeric_type>>
void check_weights() {
  sparq_test::random_source random;
  INFO(Format::name() << " " << W::name << ", " << random.text());
  workspace scratch;
  for (const std::size_t m : {0u, 1u, 2u, 5u, 13u, 33u})
    for (const std::size_t n : {0u, 1u, 3u, 15u, 16u, 17u, 33u, 70u})
      for (const std::size_t k : {random.below(10), random.below(140)}) {
        INFO("m " << m << ", n " << n << ", k " << k);
        check_gemm<Shape>(random_bit_weights<Format, W>({n, k}, random), m, random, scratch);
      }
  for (int trial = 0; trial < 20; ++trial) check_conv2d<Format, W, Shape>(random, scratch);
}

template <class Format>
void check_format() {
  check_weights<Format, s2>();
  check_weights<Format, ternary>();
  check_weights<Format, binary>();
}

}  // namespace

TEST_CASE("matrix: bits are unpacked for N:M patterns") {
  check_format<n_m<2, 4>>();
  check_weights<tile_n_m<32, 2, 4>, ternary>();
  check_weights<tile_wise<8, n_m<2, 4>>, binary>();
}
TEST_CASE("matrix: bits are unpacked for scattered weights") {
  check_format<csr>();
  check_weights<bitmask, s2>();
}
TEST_CASE("matrix: bits are unpacked for scattered weights in runs and bitmasks") {
  check_weights<csr, ternary, panel_shape<16, 4>>();
  check_weights<csr, s2, bitmask_shape<16, 4>>();
}
