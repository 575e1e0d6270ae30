// SPDX-License-Identifier: MIT
// Rows of patches, from pixels in bytes and in 4 bits, against a plain loop over taps.
#include <sparq/kernel/source/patch_source.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"
#include "tests/support/random_window.hpp"

#include <cstdint>
#include <vector>

using namespace sparq;

namespace {

/// - `at(image, y, x, channel)`: an element of x
template <class X, class Image, class At>
void check_patches(sparq_test::random_source& random, const Image& x, const window_parameters& w, At&& at) {
  const std::size_t first_channel = random.below(x.channels), channels = 1 + random.below(x.channels - first_channel);
  const std::size_t height = w.output_height(x.image_height), width = w.output_width(x.image_width);
  const std::size_t k = w.taps() * channels, rows = x.images * height * width;
  const machine::patch_rows<X, Image> source{x, w, first_channel, channels, height, width, X{77}};
  INFO(random.text() << ", " << x.images << " images of " << x.image_height << " x " << x.image_width << " x "
                     << x.channels << ", kernel " << w.kernel_height << " x " << w.kernel_width << ", strides "
                     << w.stride_y << ' ' << w.stride_x << ", dilations " << w.dilation_y << ' ' << w.dilation_x
                     << ", padding " << w.pad_top << ' ' << w.pad_left << ", channels from " << first_channel
                     << " on: " << channels);
  const std::size_t first = random.below(rows);
  auto cursor = source.start(first);
  std::vector<X> buffer(k + 64);
  for (std::size_t m = first; m < rows; ++m) {
    const X* row = cursor.next(buffer.data());
    for (std::size_t i = 0; i < k; ++i) {
      const std::size_t tap = i / channels;
      const std::size_t iy = m / width % height * w.stride_y + tap / w.kernel_width * w.dilation_y - w.pad_top;
      const std::size_t ix = m % width * w.stride_x + tap % w.kernel_width * w.dilation_x - w.pad_left;
      const bool inside = iy < x.image_height && ix < x.image_width;
      REQUIRE(row[i] == (inside ? at(m / (width * height), iy, ix, first_channel + i % channels) : X{77}));
    }
  }
}

}  // namespace

TEST_CASE("patch_source: k's of a row run through the taps, padding outside the image") {
  sparq_test::random_source random;
  for (int i = 0; i < 60; ++i) {
    window_parameters w = sparq_test::random_window(random, 4);
    if (random.chance(0.2)) w = {.stride_y = w.stride_y, .stride_x = w.stride_x};  // pixels are read where they lie
    const std::size_t images = 1 + random.below(2), channels = 1 + random.below(9);
    const std::size_t height = w.span_height() + random.below(5), width = w.span_width() + random.below(5);
    std::vector<std::uint8_t> bytes(images * height * width * channels);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random.below(16));
    const image_view<const std::uint8_t> x(bytes.data(), images, height, width, channels);
    const auto at = [&](std::size_t image, std::size_t y, std::size_t x_of_pixel, std::size_t c) {
      return x.pixel(image, y, x_of_pixel)[c];
    };
    check_patches<std::uint8_t>(random, x, w, at);

    const std::size_t pixel_bytes = (channels + 1) / 2;
    std::vector<std::byte> narrow(images * height * width * pixel_bytes + 64);
    for (std::size_t p = 0; p < images * height * width; ++p)
      for (std::size_t c = 0; c < channels; ++c)
        narrow[p * pixel_bytes + c / 2] |= std::byte{bytes[p * channels + c]} << static_cast<int>(c % 2 * 4);
    const narrow_pixels<std::uint8_t> pixels{
        {images, height, width, channels}, narrow.data(), pixel_bytes, 2, &unpack_narrow<u4>};
    check_patches<std::uint8_t>(random, pixels, w, at);
  }
}

TEST_CASE("patch_source: the window of one pixel is read where it lies") {
  const std::uint8_t bytes[2 * 3 * 4] = {};
  const image_view<const std::uint8_t> x(bytes, 1, 2, 3, 4);
  const machine::patch_rows<std::uint8_t, image_view<const std::uint8_t>> source{x, {.stride_x = 2}, 1, 3, 2, 2, 0};
  auto cursor = source.start(0);
  CHECK(cursor.next(nullptr) == bytes + 1);
  CHECK(cursor.next(nullptr) == bytes + 2 * 4 + 1);
  CHECK(cursor.next(nullptr) == bytes + 3 * 4 + 1);
}
