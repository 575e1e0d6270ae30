// SPDX-License-Identifier: MIT
#include <sparq/kernel/source/bit_rows.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"
#include "tests/support/random_window.hpp"

#include <vector>

using namespace sparq;

TEST_CASE("bit_rows: a view's rows and columns are found where they lie") {
  std::vector<std::byte> data(3 * 5);
  const narrow_matrix_view<binary> x(data.data(), 3, 30, 5);
  x.set(2, 17, -1);
  const auto rows = bit_rows_of(x, 16, 14);
  auto cursor = rows.start(1);
  CHECK(*cursor.next(nullptr) == eight_bits{0});
  CHECK(*cursor.next(nullptr) == eight_bits{2});
}

TEST_CASE("bit_rows: patches hold the codes of their taps, and the padding outside") {
  sparq_test::random_source random;
  INFO(random.text());
  for (int trial = 0; trial < 100; ++trial) {
    const window_parameters w = sparq_test::random_window(random, 3);
    const std::size_t channels = random.chance(0.3) ? 8 * (1 + random.below(9)) : 1 + random.below(70),
                      first = random.chance(0.5) ? 0 : random.below(9);
    const std::size_t height = w.span_height() + random.below(5), width = w.span_width() + random.below(5);
    const std::size_t all = first + channels + (random.chance(0.5) ? 0 : random.below(9));
    std::vector<std::byte> data(2 * height * width * storage_bytes<binary>(all));
    for (auto& byte : data) byte = static_cast<std::byte>(random.below(256));
    const narrow_image_view<const binary> x(data.data(), 2, height, width, all);
    const bool padding = random.chance(0.5);
    const bit_patches source{x, w, first, channels, w.output_height(height), w.output_width(width), padding};
    const std::size_t rows = 2 * source.output_height * source.output_width, start = random.below(rows);
    auto cursor = source.start(start);
    std::vector<eight_bits> buffer(w.taps() * channels / 8 + 1 + bit_slack);
    for (std::size_t m = start; m < rows; ++m) {
      const auto* got = reinterpret_cast<const std::byte*>(cursor.next(buffer.data()));
      std::size_t at = 0;
      for (std::size_t ky = 0; ky < w.kernel_height; ++ky)
        for (std::size_t kx = 0; kx < w.kernel_width; ++kx)
          for (std::size_t c = 0; c < channels; ++c, ++at) {
            const std::size_t out_x = m % source.output_width, out_y = m / source.output_width % source.output_height;
            const std::size_t in_y = out_y * w.stride_y + ky * w.dilation_y - w.pad_top;
            const std::size_t in_x = out_x * w.stride_x + kx * w.dilation_x - w.pad_left;
            const int want =
                in_y < height && in_x < width
                    ? load_code<binary>(x.pixel(m / source.output_width / source.output_height, in_y, in_x), first + c)
                : padding ? -1
                          : 1;
            REQUIRE(load_code<binary>(got, at) == want);
          }
      for (; at % 8 != 0; ++at) REQUIRE(load_code<binary>(got, at) == 1);
    }
  }
}
