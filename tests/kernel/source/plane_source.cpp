// SPDX-License-Identifier: MIT
// Packed blocks of patches, and single rows, against a plain loop over taps; nothing outside the planes is read.
#include <sparq/kernel/source/plane_source.hpp>
#include <sparq/simd/columns/scalar_columns.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"
#include "tests/support/random_window.hpp"

#include <memory>
#include <vector>

using namespace sparq;

namespace {

template <class X>
void check_planes(sparq_test::random_source& random) {
  window_parameters w;
  if (random.chance(0.8)) w = sparq_test::random_window(random, 4);
  const std::size_t images = 1 + random.below(3), channels = 1 + random.below(20);
  const std::size_t height = w.span_height() + random.below(8), width = w.span_width() + random.below(40);
  // exactly the planes' memory, so that checked builds see what lies outside
  const std::unique_ptr<X[]> memory(new X[images * channels * height * width]);
  for (std::size_t i = 0; i < images * channels * height * width; ++i) memory[i] = static_cast<X>(random.below(250));
  const bool by_channel = random.chance(0.5);
  const plane_view<const X> x(memory.get(), images, height, width, channels,
                              by_channel ? height * width : channels * height * width,
                              by_channel ? images * height * width : height * width);
  const machine::plane_patches<X> source(x, w, X{77});
  const std::size_t out_height = w.output_height(height), out_width = w.output_width(width), k = w.taps() * channels;
  REQUIRE(source.k() == k);
  INFO(images << " images of " << height << " x " << width << " x " << channels << ", kernel " << w.kernel_height
              << " x " << w.kernel_width << ", strides " << w.stride_y << ' ' << w.stride_x << ", dilations "
              << w.dilation_y << ' ' << w.dilation_x << ", padding " << w.pad_top << ' ' << w.pad_left);
  const auto element = [&](std::size_t m, std::size_t at) {
    const std::size_t tap = at / channels;
    const std::size_t iy = m / out_width % out_height * w.stride_y + tap / w.kernel_width * w.dilation_y - w.pad_top;
    const std::size_t ix = m % out_width * w.stride_x + tap % w.kernel_width * w.dilation_x - w.pad_left;
    return iy < height && ix < width ? x(m / (out_width * out_height), iy, ix, at % channels) : X{77};
  };

  using atom = machine::scalar_columns<X, X, X, 4>;
  const std::size_t pixels = images * out_height * out_width;
  const std::size_t first = random.below(pixels), rows = 1 + random.below(pixels - first);
  std::vector<X> packed(ceil_div(rows, atom::lanes) * k * atom::lanes);
  source.template pack<atom>(first, rows, k, packed.data());
  std::vector<X> row(k);
  for (std::size_t r = 0; r < rows; ++r) {
    if (r < 3) source.row(first + r, row.data());
    for (std::size_t at = 0; at < k; ++at) {
      REQUIRE(packed[(r / atom::lanes * k + at) * atom::lanes + r % atom::lanes] == element(first + r, at));
      if (r < 3) REQUIRE(row[at] == element(first + r, at));
    }
  }
}

}  // namespace

TEST_CASE("plane_source: blocks and rows of every window equal the plain loop") {
  sparq_test::random_source random;
  INFO(random.text());
  for (int trial = 0; trial < 300; ++trial) {
    check_planes<std::uint8_t>(random);
    check_planes<float>(random);
  }
}
