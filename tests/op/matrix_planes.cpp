// SPDX-License-Identifier: MIT
// Convolutions over planes against a plain loop over taps: formats, numeric types, layouts of X and Y.
#include <sparq/format/bitmask.hpp>
#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_n_m.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/format/tile_wise_n_m.hpp>
#include <sparq/op/conv2d.hpp>
#include <sparq/tensor/encode.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/convolution.hpp"

#include <span>
#include <string>
#include <vector>

using namespace sparq;
using sparq_test::value_style;

namespace {

/// All four layouts of X and Y, as sums, and as codes where they are integers.
template <class Format, class X, class W, class Shape = default_column_shape<W>>
void check_planes(const sparq_test::convolution_problem<X>& p, sparq_test::random_source& random, workspace& scratch) {
  INFO(Format::name() << ", " << X::name << " x " << W::name << ", " << p.text());
  using sum_type = sparq_test::convolution_sum<X, W>;
  const sparq_test::convolution_weights<Format, W, Shape> w(p, random);
  const std::span all(w.views);
  const std::vector<sum_type> want = sparq_test::plain_convolution<X, sum_type>(p, w.codes);

  const auto run = [&]<class Y>(const std::vector<Y>& wanted, const auto& stages) {
    for (const bool planes_in : {false, true})
      for (const bool planes_out : {false, true}) {
        // all images of a channel together, or all channels of an image
        const std::size_t plane = p.out_height() * p.out_width();
        const bool by_channel = random.chance(0.3);
        std::vector<Y> y(wanted.size(), Y{99});
        const image_view<Y> image(y.data(), p.images, p.out_height(), p.out_width(), p.n);
        const plane_view<Y> planes(y.data(), p.images, p.out_height(), p.out_width(), p.n,
                                   by_channel ? plane : p.n * plane, by_channel ? p.images * plane : plane);
        const auto convolve = [&](auto from, auto to) {
          conv2d(from, all, to, p.window, p.padding, stages, serial, scratch);
        };
        if (planes_in)
          planes_out ? convolve(p.planes(), planes) : convolve(p.planes(), image);
        else
          planes_out ? convolve(p.image(), planes) : convolve(p.image(), image);
        INFO("planes in " << planes_in << ", out " << planes_out);
        for (std::size_t m = 0; m < p.pixels(); ++m)
          for (std::size_t c = 0; c < p.n; ++c)
            REQUIRE((planes_out ? planes.as_matrix()(m, c) : image.as_matrix()(m, c)) == wanted[m * p.n + c]);
      }
  };
  run(want, epilogue<>());
  if constexpr (std::is_same_v<sum_type, std::int32_t>) {
    const fp32_nearest_even::parameters scale{0.01F};
    std::vector<std::uint8_t> codes;
    for (const std::int32_t sum : want)
      codes.push_back(static_cast<std::uint8_t>(requantize_to<u8>(sum, scale, 100, 0, 255)));
    run(codes, epilogue(requantize_to_codes<u8>(scale, 100)));
  }
}

}  // namespace

TEST_CASE("matrix: convolutions over planes equal the plain loop, in every format") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (int trial = 0; trial < 30; ++trial) {
    const auto bytes = sparq_test::random_convolution<u8>(random);
    check_planes<csr, u8, s8>(bytes, random, scratch);
    switch (trial % 7) {
      case 0: check_planes<dense, u8, s8>(bytes, random, scratch); break;
      case 1: check_planes<block<1, 4>, u8, s8, column_shape_for_t<block<1, 4>, s8>>(bytes, random, scratch); break;
      case 2: check_planes<n_m<2, 4>, u8, s8>(bytes, random, scratch); break;
      case 3: check_planes<tile_wise<8>, u8, s8>(bytes, random, scratch); break;
      case 4: check_planes<tile_n_m<8, 2, 4>, u8, s8>(bytes, random, scratch); break;
      case 5: check_planes<tile_wise<8, n_m<2, 4>>, u8, s8>(bytes, random, scratch); break;
      default: check_planes<bitmask, u8, s8>(bytes, random, scratch);
    }
  }
}

TEST_CASE("matrix: convolutions over planes equal the plain loop, in every numeric type") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (int trial = 0; trial < 15; ++trial) {
    check_planes<csr, s8, s8>(sparq_test::random_convolution<s8>(random), random, scratch);
    check_planes<csr, u8, s4>(sparq_test::random_convolution<u8>(random), random, scratch);
    check_planes<csr, s16, s8>(sparq_test::random_convolution<s16>(random), random, scratch);
    check_planes<csr, f32, f32>(sparq_test::random_convolution<f32>(random), random, scratch);
    check_planes<csr, bf16, bf16>(sparq_test::random_convolution<bf16>(random), random, scratch);
  }
}

TEST_CASE("matrix: usual convolutions over planes, wide enough for every kind of block") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (const std::size_t kernel : {1U, 3U, 5U})
    for (const std::size_t stride : {1U, 2U})
      for (const std::size_t size : {7U, 14U, 33U, 70U}) {
        sparq_test::convolution_problem<u8> p;
        p.images = size < 10 ? 3 : 1;
        p.groups = 1;
        p.height = size < 70 ? size : kernel + 2;
        p.width = size;
        p.channels = 17;
        p.n = 9;
        p.window.kernel_height = p.window.kernel_width = kernel;
        p.window.stride_y = p.window.stride_x = stride;
        p.window.pad_top = p.window.pad_left = p.window.pad_bottom = p.window.pad_right = kernel / 2;
        p.fill(random);
        check_planes<csr, u8, s8>(p, random, scratch);
      }
}

TEST_CASE("matrix: a chain of two convolutions stays in planes") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  sparq_test::convolution_problem<u8> first;
  first.images = 2;
  first.groups = 1;
  first.height = first.width = 13;
  first.channels = 5;
  first.n = 11;
  first.window.kernel_height = first.window.kernel_width = 3;
  first.window.pad_top = first.window.pad_left = first.window.pad_bottom = first.window.pad_right = 1;
  first.fill(random);
  const fp32_nearest_even::parameters scale{0.003F};
  const auto stages = epilogue(requantize_to_codes<u8>(scale, 100));
  const auto w1 = pack<column_shape<4, 4>>(sparq_test::random_tensor<csr, s8>({11, 45}, value_style::any, random));
  const auto w2 = pack<column_shape<4, 4>>(sparq_test::random_tensor<csr, s8>({6, 11}, value_style::any, random));
  std::vector<std::uint8_t> y1(2 * 13 * 13 * 11), y2(2 * 13 * 13 * 6), z1(y1.size()), z2(y2.size());
  const plane_view<std::uint8_t> middle(y1.data(), 2, 13, 13, 11), end(y2.data(), 2, 13, 13, 6);
  conv2d(first.planes(), w1, middle, first.window, first.padding, stages, serial, scratch);
  conv2d(middle, w2, end, window_parameters{}, std::uint8_t{}, stages, serial, scratch);
  const image_view<std::uint8_t> image_middle(z1.data(), 2, 13, 13, 11), image_end(z2.data(), 2, 13, 13, 6);
  conv2d(first.image(), w1, image_middle, first.window, first.padding, stages, serial, scratch);
  conv2d(image_middle, w2, image_end, window_parameters{}, std::uint8_t{}, stages, serial, scratch);
  for (std::size_t m = 0; m < end.pixels(); ++m)
    for (std::size_t c = 0; c < 6; ++c) REQUIRE(end.as_matrix()(m, c) == image_end.as_matrix()(m, c));
}

TEST_CASE("matrix: planes that overlap are refused, and Y stays as it is") {
  const std::vector<std::uint8_t> x(64);
  std::vector<std::int32_t> y(64, 7);
  const auto w = pack<column_shape<4, 4>>(encode_codes<csr, s8>(std::vector<std::int8_t>(4, 1), {2, 2}, {1.0F, 1.0F}));
  workspace scratch;
  const plane_view<std::int32_t> out(y.data(), 1, 4, 4, 2);
  const auto message = [&](plane_view<const std::uint8_t> from, plane_view<std::int32_t> to) {
    return try_conv2d(from, w, to, window_parameters{}, std::uint8_t{}, epilogue<>(), serial, scratch).message();
  };
  CHECK(message({x.data(), 1, 4, 4, 2, 32, 15}, out) ==
        "conv2d: planes of X overlap or lie in each other: 16 pixels, channels 15 and images 32 elements apart");
  const auto overlaps = [](const std::string& text) { return text.find(" overlap ") != std::string::npos; };
  CHECK(overlaps(message({x.data(), 1, 4, 4, 2}, {y.data(), 1, 4, 4, 2, 32, 8})));
  CHECK(overlaps(message({x.data(), 2, 4, 4, 2, 8, 16}, {y.data(), 2, 4, 4, 2})));
  CHECK(overlaps(message({x.data(), 2, 4, 4, 2}, {y.data(), 2, 4, 4, 2, 16, 16})));  // image 1 begins in channel 1
  CHECK(overlaps(message({x.data(), 2, 4, 4, 2}, {y.data(), 2, 4, 4, 2, 24, 16})));
  CHECK(message({x.data(), 1, 4, 4, 2}, {y.data(), 1, 4, 3, 2}) ==
        "conv2d: Y is 1 x 4 x 3 x 2, it needs to be 1 x 4 x 4 x 2");
  CHECK(y == std::vector<std::int32_t>(64, 7));
  CHECK(message({x.data(), 2, 4, 2, 2}, {y.data(), 2, 4, 2, 2, 8, 16}).empty());  // images of a channel together
  CHECK(message({x.data(), 2, 4, 2, 2}, {y.data(), 2, 4, 2, 2, 16, 8}).empty());
}
