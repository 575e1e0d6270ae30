// SPDX-License-Identifier: MIT
#include <sparq/tensor/window_parameters.hpp>

#include "tests/support/catch.hpp"

#include <cstddef>
#include <vector>

using sparq::square_window;
using sparq::window_parameters;

TEST_CASE("window_parameters: a window has as many outputs as places where it fits") {
  for (std::size_t kernel = 1; kernel <= 4; ++kernel)
    for (std::size_t stride = 1; stride <= 3; ++stride)
      for (std::size_t dilation = 1; dilation <= 3; ++dilation)
        for (std::size_t padding = 0; padding <= 6; ++padding)
          for (std::size_t size = 1; size <= 9; ++size) {
            window_parameters window;
            window.kernel_height = window.kernel_width = kernel;
            window.stride_y = window.stride_x = stride;
            window.dilation_y = window.dilation_x = dilation;
            window.pad_top = padding / 2;
            window.pad_bottom = padding - padding / 2;
            window.pad_left = padding;
            std::size_t places = 0;
            for (std::size_t start = 0; start + (kernel - 1) * dilation < size + padding; start += stride) ++places;
            INFO(kernel << ' ' << stride << ' ' << dilation << ' ' << padding << ' ' << size);
            REQUIRE(window.check(size, size).ok() == (places > 0));
            if (places == 0) continue;
            REQUIRE(window.output_height(size) == places);
            REQUIRE(window.output_width(size) == places);
          }
}

TEST_CASE("window_parameters: the taps inside are those whose pixel exists") {
  for (std::size_t kernel = 1; kernel <= 4; ++kernel)
    for (std::size_t stride = 1; stride <= 3; ++stride)
      for (std::size_t dilation = 1; dilation <= 3; ++dilation)
        for (std::size_t padding = 0; padding <= 5; ++padding)
          for (std::size_t size = 1; size <= 6; ++size) {
            window_parameters window;
            window.kernel_height = kernel;
            window.stride_y = stride;
            window.dilation_y = dilation;
            window.pad_top = window.pad_bottom = padding;
            if (!window.check(size, 1).ok()) continue;
            for (std::size_t y = 0; y < window.output_height(size); ++y) {
              INFO(kernel << ' ' << stride << ' ' << dilation << ' ' << padding << ' ' << size << ", output " << y);
              const sparq::tap_range taps = window.taps_inside_y(y, size);
              std::vector<std::ptrdiff_t> want, got;
              for (std::size_t tap = 0; tap < kernel; ++tap) {
                const auto pixel =
                    static_cast<std::ptrdiff_t>(y * stride + tap * dilation) - static_cast<std::ptrdiff_t>(padding);
                if (pixel >= 0 && pixel < static_cast<std::ptrdiff_t>(size)) want.push_back(pixel);
              }
              for (std::size_t tap = taps.first; tap < taps.end; ++tap)
                got.push_back(static_cast<std::ptrdiff_t>(taps.pixel + (tap - taps.first) * dilation));
              REQUIRE(got == want);
              REQUIRE(taps.count() == want.size());
            }
          }
}

TEST_CASE("window_parameters: rows and columns of a window are independent") {
  const window_parameters window{.kernel_height = 3, .kernel_width = 2, .stride_y = 2, .dilation_x = 4, .pad_left = 1};
  CHECK(window.taps() == 6);
  CHECK(window.span_height() == 3);
  CHECK(window.span_width() == 5);
  CHECK(window.output_height(7) == 3);
  CHECK(window.output_width(7) == 4);
  CHECK(window.taps_inside_x(0, 7).first == 1);
  CHECK(window.taps_inside_x(0, 7).pixel == 3);
  CHECK(window.taps_inside_x(1, 7).first == 0);
  CHECK(window.taps_inside_y(2, 7).pixel == 4);
}

TEST_CASE("window_parameters: a square window is the same in both directions and on all sides") {
  CHECK(square_window(1) == window_parameters{});
  CHECK(square_window(3, 2, 4, 5) == window_parameters{.kernel_height = 3,
                                                       .kernel_width = 3,
                                                       .stride_y = 2,
                                                       .stride_x = 2,
                                                       .dilation_y = 5,
                                                       .dilation_x = 5,
                                                       .pad_top = 4,
                                                       .pad_left = 4,
                                                       .pad_bottom = 4,
                                                       .pad_right = 4});
}

TEST_CASE("window_parameters: a pointwise window reads the pixel at its own place, whatever its dilation") {
  CHECK(window_parameters{}.is_pointwise());
  CHECK(window_parameters{.dilation_x = 2}.is_pointwise());
  CHECK_FALSE(window_parameters{.kernel_width = 2}.is_pointwise());
  CHECK_FALSE(window_parameters{.stride_y = 2}.is_pointwise());
  CHECK_FALSE(window_parameters{.pad_bottom = 1}.is_pointwise());
}

TEST_CASE("window_parameters: a window that makes no sense is refused with the number that is wrong") {
  const auto sentence = [](const window_parameters& window) { return window.check(5, 6).message(); };
  CHECK(sentence({}) == "");
  CHECK(sentence({.kernel_height = 0}) == "window: kernel_height 0 is not in [1, 2^31 - 1]");
  CHECK(sentence({.kernel_width = 0}) == "window: kernel_width 0 is not in [1, 2^31 - 1]");
  CHECK(sentence({.stride_y = 0}) == "window: stride_y 0 is not in [1, 2^31 - 1]");
  CHECK(sentence({.stride_x = 0}) == "window: stride_x 0 is not in [1, 2^31 - 1]");
  CHECK(sentence({.dilation_y = 0}) == "window: dilation_y 0 is not in [1, 2^31 - 1]");
  CHECK(sentence({.dilation_x = 0}) == "window: dilation_x 0 is not in [1, 2^31 - 1]");
  CHECK(sentence({.pad_right = static_cast<std::size_t>(-1)}) ==
        "window: pad_right 18446744073709551615 is not in [0, 2^31 - 1]");
  constexpr std::size_t most = 0x7FFFFFFF;
  CHECK(sentence({.kernel_height = most, .kernel_width = 3, .pad_top = most}) ==
        "window: a kernel of 2147483647 x 3 taps has more than 2^32 - 1");
  CHECK(sentence({.kernel_height = 4, .dilation_y = 2, .pad_top = 1}) ==
        "window: the kernel spans 7 rows of pixels, the padded image has 6 (1 + 5 + 0)");
  CHECK(sentence({.kernel_width = 9, .pad_right = 2}) ==
        "window: the kernel spans 9 columns of pixels, the padded image has 8 (0 + 6 + 2)");
}
