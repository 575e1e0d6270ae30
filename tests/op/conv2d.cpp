// SPDX-License-Identifier: MIT
// Convolution against a plain loop over taps: windows, borders, groups, formats.

#include <sparq/compress/prune.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/op/conv2d.hpp>
#include <sparq/tensor/encode_codebook.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/matrix.hpp"
#include "tests/support/narrow.hpp"
#include "tests/support/random.hpp"
#include "tests/support/random_window.hpp"

#include <cstdint>
#include <random>
#include <string>
#include <vector>

using namespace sparq;

namespace {

/// One convolution with random operands.
struct convolution {
  std::size_t images, image_height, image_width, channels, n, groups;
  window_parameters window;
  std::vector<std::uint8_t> x;
  std::vector<std::int8_t> weights;  // n x (kernel_height x kernel_width x channels / groups)
  std::uint8_t zero_point;

  std::size_t k() const { return window.kernel_height * window.kernel_width * (channels / groups); }
  image_view<const std::uint8_t> image() const { return {x.data(), images, image_height, image_width, channels}; }

  /// Sums with the padding's zero point, in the order of Y.
  std::vector<std::int32_t> expected() const {
    const std::size_t height = window.output_height(image_height), width = window.output_width(image_width);
    std::vector<std::int32_t> y;
    const auto at = [](std::size_t out, std::size_t stride, std::size_t tap, std::size_t dilation, std::size_t pad) {
      return static_cast<std::ptrdiff_t>(out * stride + tap * dilation) - static_cast<std::ptrdiff_t>(pad);
    };
    for (std::size_t i = 0; i < images; ++i)
      for (std::size_t oy = 0; oy < height; ++oy)
        for (std::size_t ox = 0; ox < width; ++ox)
          for (std::size_t o = 0; o < n; ++o) {
            std::int32_t sum = 0;
            const std::size_t first = o / (n / groups) * (channels / groups);
            const std::int8_t* w = weights.data() + o * k();
            for (std::size_t ky = 0; ky < window.kernel_height; ++ky)
              for (std::size_t kx = 0; kx < window.kernel_width; ++kx)
                for (std::size_t c = 0; c < channels / groups; ++c, ++w) {
                  const auto iy = at(oy, window.stride_y, ky, window.dilation_y, window.pad_top);
                  const auto ix = at(ox, window.stride_x, kx, window.dilation_x, window.pad_left);
                  const bool inside = iy >= 0 && ix >= 0 && iy < static_cast<std::ptrdiff_t>(image_height) &&
                                      ix < static_cast<std::ptrdiff_t>(image_width);
                  const int value = inside ? image().pixel(i, static_cast<std::size_t>(iy),
                                                           static_cast<std::size_t>(ix))[first + c]
                                           : zero_point;
                  sum += value * *w;
                }
            y.push_back(sum);
          }
    return y;
  }
};

convolution random_convolution(std::mt19937& random, std::size_t groups) {
  const auto up_to = [&](std::size_t most) { return 1 + random() % most; };
  convolution c;
  c.images = up_to(2);
  c.groups = groups;
  c.channels = groups * up_to(20);
  c.n = groups * up_to(40);
  const window_parameters& w = c.window = sparq_test::random_window(random, 3);
  c.image_height = (w.kernel_height - 1) * w.dilation_y + up_to(9);
  c.image_width = (w.kernel_width - 1) * w.dilation_x + up_to(9);
  c.x.resize(c.images * c.image_height * c.image_width * c.channels);
  for (auto& v : c.x) v = random() % 5 == 0 ? 255 : static_cast<std::uint8_t>(random());
  c.weights.resize(c.n * c.k());
  for (auto& v : c.weights) v = random() % 3 == 0 ? 0 : random() % 9 == 0 ? -128 : static_cast<std::int8_t>(random());
  c.zero_point = static_cast<std::uint8_t>(random());
  return c;
}

template <class Format, numeric N = s8>
void check_convolution(const convolution& c) {
  using tensor_type = tensor<Format, N, per_tensor>;
  using packed_type = decltype(pack(std::declval<const tensor_type&>()));
  std::vector<packed_type> packed_groups;
  std::vector<typename packed_type::view_type> groups;
  const std::size_t n = c.n / c.groups;
  for (std::size_t g = 0; g < c.groups; ++g)
    packed_groups.push_back(pack(encode_codes<Format, N, per_tensor>(
        std::span(c.weights).subspan(g * n * c.k(), n * c.k()), {n, c.k()}, {1.0F})));
  for (const auto& group : packed_groups) groups.push_back(group.view());

  const auto want = c.expected();
  std::vector<std::int32_t> got(want.size(), 0x7dcdcdcd);
  const image_view<std::int32_t> y(got.data(), c.images, c.window.output_height(c.image_height),
                                   c.window.output_width(c.image_width), c.n);
  workspace scratch;
  conv2d(c.image(), std::span<const typename packed_type::view_type>(groups), y, c.window, c.zero_point, epilogue<>(),
         serial, scratch);
  REQUIRE(got == want);
}

}  // namespace

TEST_CASE("conv2d: every window equals the plain loop, in every kind of k_map") {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  for (int trial = 0; trial < 120; ++trial) {
    const convolution c = random_convolution(random, trial % 4 == 3 ? 1 + random() % 4 : 1);
    INFO("trial " << trial);
    check_convolution<dense>(c);
    check_convolution<csr>(c);
    check_convolution<tile_wise<8>>(c);
  }
}

TEST_CASE("conv2d: codebook weights equal the plain loop with their entries") {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  using numeric_type = codebook<4, s8, per_channel>;
  const auto run = [&]<class Format>(std::type_identity<Format>) {
    for (int trial = 0; trial < 40; ++trial) {
      convolution c = random_convolution(random, 1);
      const weight_shape shape{c.n, c.k()};
      std::vector<std::int8_t> tables(table_entries<numeric_type>(c.n, c.k()));
      for (std::size_t i = 0; i < tables.size(); ++i) tables[i] = i % 16 == 11 ? 0 : static_cast<std::int8_t>(random());
      std::vector<std::uint8_t> codes(shape.size());
      mask keep(shape, true);
      for (std::size_t i = 0; i < codes.size(); ++i) {
        codes[i] = random() % 16;
        keep.data()[i] = random() % 3 != 0;
        c.weights[i] = keep.data()[i] != 0 ? tables[i / shape.k * 16 + codes[i]] : std::int8_t{0};
      }
      const std::vector<float> scales(c.n, 1.0F);
      const auto w = pack(encode_codes<Format, numeric_type>(codes, shape, keep, tables, scales));
      std::vector<std::int32_t> got(c.expected().size());
      const image_view<std::int32_t> y(got.data(), c.images, c.window.output_height(c.image_height),
                                       c.window.output_width(c.image_width), c.n);
      workspace scratch;
      conv2d(c.image(), w, y, c.window, c.zero_point, epilogue<>(), serial, scratch);
      REQUIRE(got == c.expected());
    }
  };
  run(std::type_identity<dense>{});
  run(std::type_identity<csr>{});
  run(std::type_identity<tile_wise<8>>{});
}

TEST_CASE("conv2d: without an epilogue, what lies beyond the border is 0, with groups too") {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  for (const std::size_t groups : {1u, 3u}) {
    convolution c = random_convolution(random, groups);
    c.window = square_window(3, 2, 2, 1);
    c.image_height = c.image_width = 4;
    c.x.resize(c.images * 16 * c.channels, 200);
    c.weights.assign(c.n * c.k(), -3);
    c.zero_point = 0;
    const std::size_t n = c.n / groups;
    const auto w = pack(encode_codes<dense, s8, per_tensor>(std::span(c.weights).first(n * c.k()), {n, c.k()}, {1.0F}));
    const std::vector<decltype(w.view())> same(groups, w.view());
    std::vector<std::int32_t> got(c.expected().size());
    const image_view<std::int32_t> y(got.data(), c.images, 3, 3, c.n);
    workspace scratch;
    conv2d(c.image(), std::span(same), y, c.window, scratch);
    CHECK(got == c.expected());
    if (groups == 1) {
      got.assign(got.size(), 1);
      REQUIRE(try_conv2d(c.image(), w, y, c.window, scratch).ok());
      CHECK(got == c.expected());
    }
  }
}

TEST_CASE("conv2d: a 1x1 kernel reads X where it lies") {
  std::mt19937 random(7);
  convolution c = random_convolution(random, 1);
  c.window = window_parameters();
  c.window.kernel_height = c.window.kernel_width = 1;
  c.weights.resize(c.n * c.channels);
  check_convolution<dense>(c);
}

namespace {

/// X of N and Y of `Out` against the same convolution in bytes; groups need not fill bytes of Y.
template <numeric N, numeric Out>
void check_narrow(convolution c, std::mt19937& random) {
  for (auto& code : c.x)
    code = static_cast<std::uint8_t>(static_cast<std::uint32_t>(N::min_code) + code % (1u << N::bits)) & N::max_code;
  c.zero_point &= N::max_code;
  const std::vector<std::byte> x = sparq_test::narrow_bytes<N>(c.x, c.channels);

  using packed_type = decltype(pack(std::declval<const tensor<tile_wise<3>, s8, per_tensor>&>()));
  std::vector<packed_type> packed_groups;
  std::vector<typename packed_type::view_type> groups;
  const std::size_t n = c.n / c.groups;
  for (std::size_t g = 0; g < c.groups; ++g)
    packed_groups.push_back(pack(encode_codes<tile_wise<3>, s8, per_tensor>(
        std::span(c.weights).subspan(g * n * c.k(), n * c.k()), {n, c.k()}, {1.0F})));
  for (const auto& group : packed_groups) groups.push_back(group.view());

  const auto sums = c.expected();
  const floor_shift::parameters p{3, -70, 9};
  sparq_test::narrow_output<Out> y(sums.size() / c.n, c.n, 0);
  workspace scratch;
  sparq_test::random_source order(static_cast<std::uint32_t>(random()));
  conv2d(narrow_image_view<const N>(x.data(), c.images, c.image_height, c.image_width, c.channels),
         std::span<const typename packed_type::view_type>(groups),
         narrow_image_view<Out>(y.view().data, c.images, c.window.output_height(c.image_height),
                                c.window.output_width(c.image_width), c.n),
         c.window, c.zero_point, epilogue(requantize_to_codes<Out>(p)),
         sparq_test::scrambled_executor{1 + random() % 5, &order}, scratch);
  std::vector<typename Out::code> want;
  for (const std::int32_t sum : sums) want.push_back(requantize_to<Out>(sum, p, 0, Out::min_code, Out::max_code));
  REQUIRE(y.codes() == want);
  REQUIRE(y.surroundings_intact());
}

}  // namespace

TEST_CASE("conv2d: narrow images equal the plain loop, in groups of any width") {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  for (int trial = 0; trial < 60; ++trial) {
    INFO("trial " << trial);
    const convolution c = random_convolution(random, trial % 2 == 1 ? 1 + random() % 4 : 1);
    check_narrow<u4, s4>(c, random);
    check_narrow<u2, u2>(c, random);
    check_narrow<u1, u1>(c, random);
    check_narrow<u4_high_first, s2_high_first>(c, random);
  }
}

namespace {

/// The same with random codes of N, some of them pruned where N can be.
template <class Format, numeric N>
void check_with_codes_of(convolution c, sparq_test::random_source& random) {
  for (auto& code : c.weights)
    code = has_zero_v<N> && random.chance(0.3) ? std::int8_t{0}
                                               : sparq_test::random_code<N>(sparq_test::value_style::any, random);
  check_convolution<Format, N>(c);
}

}  // namespace

TEST_CASE("conv2d: weights of every width equal the plain loop") {
  sparq_test::random_source random;
  INFO(random.text());
  std::mt19937 extents(static_cast<unsigned>(random.below(1000000)));
  for (int trial = 0; trial < 30; ++trial) {
    INFO("trial " << trial);
    const convolution c = random_convolution(extents, trial % 4 == 3 ? 1 + random.below(4) : 1);
    check_with_codes_of<dense, binary>(c, random);
    check_with_codes_of<tile_wise<8>, binary>(c, random);
    check_with_codes_of<dense, s3>(c, random);
    check_with_codes_of<csr, s5>(c, random);
    check_with_codes_of<tile_wise<8>, pow2<4>>(c, random);
    check_with_codes_of<dense, ternary_dense5>(c, random);
  }
}

TEST_CASE("conv2d: padded taps cancel when the padding is the zero point of X") {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  convolution c = random_convolution(random, 1);
  const auto w = pack(encode_codes<dense, s8, per_tensor>(c.weights, {c.n, c.k()}, {1.0F}));
  const std::size_t height = c.window.output_height(c.image_height), width = c.window.output_width(c.image_width);
  std::vector<std::int32_t> got(c.images * height * width * c.n);
  workspace scratch;
  conv2d(c.image(), w, image_view<std::int32_t>(got.data(), c.images, height, width, c.n), c.window, c.zero_point,
         epilogue(subtract_zero_point(c.zero_point)), serial, scratch);
  std::vector<std::int32_t> want = c.expected();
  for (std::size_t i = 0; i < want.size(); ++i) {
    std::int32_t sum = 0;
    for (std::size_t k = 0; k < c.k(); ++k) sum += c.weights[i % c.n * c.k() + k];
    want[i] -= c.zero_point * sum;
  }
  REQUIRE(got == want);
}

TEST_CASE("conv2d: explain says how many bytes of scratch suffice, and one less does not") {
  sparq_test::random_source random;
  INFO(random.text());
  std::vector<std::int8_t> weights(20 * 9 * 5);
  for (auto& v : weights) v = static_cast<std::int8_t>(random.between(-128, 127));
  const auto w = pack(encode_codes<dense, s8, per_tensor>(weights, {20, 9 * 5}, {1.0F}));
  std::vector<std::byte> x(6 * 7 * 3);
  for (auto& v : x) v = static_cast<std::byte>(random.below(256));
  std::vector<std::int32_t> y(6 * 7 * 20);
  window_parameters window;
  window.kernel_height = window.kernel_width = 3;
  window.pad_top = window.pad_left = window.pad_bottom = window.pad_right = 1;
  const narrow_image_view<const u4> image(x.data(), 1, 6, 7, 5);
  const image_view<std::int32_t> out(y.data(), 1, 6, 7, 20);
  const auto how = explain_conv2d(image, w, out, window);
  CHECK(how.x_access.find("unpacked from patches") != std::string::npos);
  aligned_buffer bytes(how.workspace_bytes);
  const auto run = [&](std::size_t count) {
    workspace fixed(std::span<std::byte>(bytes.data(), count));
    return try_conv2d(image, w, out, window, std::uint8_t{0}, epilogue<>(), serial, fixed).ok();
  };
  REQUIRE(run(how.workspace_bytes));
  const std::vector<std::int32_t> want = y;
  REQUIRE(how.least_workspace_bytes < how.workspace_bytes);
  for (std::size_t count = how.least_workspace_bytes; count < how.workspace_bytes; count += 1 + random.below(500)) {
    INFO(count << " bytes of " << how.workspace_bytes);
    y.assign(y.size(), 77);
    REQUIRE(run(count));
    REQUIRE(y == want);
  }
  CHECK_FALSE(run(how.least_workspace_bytes - 1));
}

TEST_CASE("conv2d: a few columns of scratch suffice for layers of a network") {
  for (const std::size_t taps : {1U, 3U, 5U})
    for (const std::size_t channels : {16U, 64U, 128U}) {
      CAPTURE(taps, channels);
      const std::size_t column = taps * taps * channels;
      window_parameters window;
      window.kernel_height = window.kernel_width = taps;
      window.pad_top = window.pad_left = window.pad_bottom = window.pad_right = taps / 2;
      const auto w =
          pack(encode_codes<dense, s8, per_tensor>(std::vector<std::int8_t>(32 * column, 1), {32, column}, {1.0F}));
      const image_view<const std::uint8_t> x(nullptr, 1, 28, 28, channels);
      const auto how = explain_conv2d(x, w, image_view<std::int32_t>(nullptr, 1, 28, 28, 32), window);
      // a row as the atom reads it, of 16 bits at most, and one that is gathered;
      // registers reach 64 k's further in both
      CHECK(how.least_workspace_bytes <= 3 * (column + 128));
    }
}

TEST_CASE("conv2d: lists ask for no more scratch than a small layer fills") {
  constexpr std::size_t n = 8, channels = 4, column = 9 * channels, rows = 64;  // of a block, at most
  const auto w = pack(encode_codes<csr, s8, per_tensor>(std::vector<std::int8_t>(n * column, 1), {n, column}, {1.0F}));
  const image_view<const std::uint8_t> x(nullptr, 1, 7, 7, channels);
  const auto how = explain_conv2d(x, w, image_view<std::int32_t>(nullptr, 1, 7, 7, n), square_window(3, 1, 1));
  const std::size_t x_bytes = rows * (column + 64) * 3;  // widened to 16 bits, and as they are gathered
  const std::size_t sum_bytes = rows * 2 * 16 * sizeof(std::int32_t);
  CHECK(how.least_workspace_bytes <= x_bytes + sum_bytes + n * column * 2 + 256);
}

TEST_CASE("conv2d: scratch that the second group lacks is refused before the first one writes") {
  std::vector<std::int8_t> weights(8 * 9 * 4, 0);
  const auto none = pack(encode_codes<tile_wise<8>, s8, per_tensor>(weights, {8, 9 * 4}, {1.0F}));
  weights.assign(weights.size(), 1);
  const auto full = pack(encode_codes<tile_wise<8>, s8, per_tensor>(weights, {8, 9 * 4}, {1.0F}));
  using view_type = decltype(full)::view_type;
  const view_type groups[] = {none.view(), full.view()};
  const std::vector<std::uint8_t> x(6 * 7 * 8, 1);
  std::vector<std::int32_t> y(6 * 7 * 16, 77);
  window_parameters window;
  window.kernel_height = window.kernel_width = 3;
  window.pad_top = window.pad_left = window.pad_bottom = window.pad_right = 1;
  const image_view<const std::uint8_t> image(x.data(), 1, 6, 7, 8);
  const image_view<std::int32_t> out(y.data(), 1, 6, 7, 16);
  const std::size_t needed =
      explain_conv2d(image, std::span<const view_type>(groups), out, window).least_workspace_bytes;
  aligned_buffer bytes(needed);
  workspace small(bytes.bytes().first(needed - 1));
  CHECK_FALSE(
      try_conv2d(image, std::span<const view_type>(groups), out, window, std::uint8_t{0}, epilogue<>(), serial, small)
          .ok());
  CHECK(y == std::vector<std::int32_t>(y.size(), 77));
  workspace enough(bytes.bytes());
  CHECK(
      try_conv2d(image, std::span<const view_type>(groups), out, window, std::uint8_t{0}, epilogue<>(), serial, enough)
          .ok());
  CHECK(y[0] == 0);
  CHECK(y[8 + 16 * 8] == 9 * 4);
}

TEST_CASE("conv2d: refuses what does not fit, with the offending extents") {
  const std::vector<std::int8_t> weights(4 * 9, 1);
  const auto w = pack(encode_codes<dense, s8, per_tensor>(weights, {4, 9}, {1.0F}));
  const std::vector<std::uint8_t> x(5 * 5 * 2);
  std::vector<std::int32_t> y(3 * 3 * 4, 77);
  workspace scratch;
  window_parameters window;
  window.kernel_height = window.kernel_width = 3;
  const image_view<std::int32_t> out(y.data(), 1, 3, 3, 4);
  const status two_channels = try_conv2d(image_view<const std::uint8_t>(x.data(), 1, 5, 5, 2), w, out, window,
                                         std::uint8_t{0}, epilogue<>(), serial, scratch);
  REQUIRE(two_channels.message().find("4 x 9") != std::string::npos);
  REQUIRE(two_channels.message().find("18") != std::string::npos);
  const status small = try_conv2d(image_view<const std::uint8_t>(x.data(), 1, 2, 5, 1), w, out, window, std::uint8_t{0},
                                  epilogue<>(), serial, scratch);
  REQUIRE(small.message() ==
          "conv2d: window: the kernel spans 3 rows of pixels, the padded image has 2 (0 + 2 + 0)");
  const status wrong_output = try_conv2d(image_view<const std::uint8_t>(x.data(), 1, 5, 5, 1), w,
                                         image_view<std::int32_t>(y.data(), 1, 3, 4, 3), window, std::uint8_t{0},
                                         epilogue<>(), serial, scratch);
  REQUIRE(wrong_output.message().find("1 x 3 x 3 x 4") != std::string::npos);
  REQUIRE(y == std::vector<std::int32_t>(3 * 3 * 4, 77));
}
