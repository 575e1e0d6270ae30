// SPDX-License-Identifier: MIT
// The matrix test of activations of -1 and 1: bits counted against binary, ternary and 2-bit weights, and unpacked for
// all others.
#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_n_m.hpp>
#include <sparq/format/tile_wise_n_m.hpp>
#include <sparq/op/conv2d.hpp>

#include "tests/support/bit_input.hpp"
#include "tests/support/matrix.hpp"

#include <cstring>

using namespace sparq;

namespace {

using sparq_test::bit_input;

template <class Format, class W, class Shape = bit_panel_shape>
std::string problem_of(sparq_test::gemm_extents e, sparq_test::random_source& random, workspace& scratch) {
  using stored = typename tensor<Format, W>::numeric_type;
  mask keep = holds_every_weight_v<Format> && !has_zero_v<W> ? mask({e.n, e.k}, true)
                                                             : sparq_test::random_weight_mask({e.n, e.k}, random);
  sparq_test::fit_mask<Format>::apply(keep, random);
  const auto w = sparq_test::random_tensor<Format, stored>(keep, sparq_test::random_style(random), random);
  const auto packed = pack<Shape>(w);
  const bit_input x(e.m, e.k, random);
  sparq_test::guarded_output<std::int32_t> y(e.m, e.n, random);
  const std::size_t parts = random.chance(0.5) ? 1 : 1 + random.below(12);
  gemm(x.view, packed, y.view(), epilogue<>(), sparq_test::scrambled_executor{parts, &random}, scratch);
  const auto want = reference_gemm(matrix_view<const std::int8_t>(x.codes.data(), e.m, e.k), w.view());
  std::string problem = sparq_test::first_difference(y.elements(), want, e.n, 0);
  if (!y.surroundings_intact()) problem += " memory around Y has changed";
  return problem;
}

template <class Format, class W, class Shape = bit_panel_shape>
void check_all() {
  sparq_test::random_source random;
  INFO(Format::name() << " " << W::name << ", " << random.text());
  workspace scratch;
  auto extents = sparq_test::extents_to_try(random);
  // on both sides of the groups that are counted at once, and of words
  for (const std::size_t k : {223u, 256u, 257u, 320u, 321u, 992u, 993u, 1023u, 1985u}) extents.push_back({14, 33, k});
  for (const auto e : extents) {
    INFO("m " << e.m << ", n " << e.n << ", k " << e.k);
    REQUIRE(problem_of<Format, W, Shape>(e, random, scratch) == "");
  }
}

}  // namespace

TEST_CASE("matrix: bits meet binary weights") { check_all<dense, binary>(); }
TEST_CASE("matrix: bits meet ternary weights") { check_all<dense, ternary>(); }
TEST_CASE("matrix: bits meet weights of two bits") {
  check_all<dense, s2>();
  check_all<dense, u2>();
}

TEST_CASE("matrix: bits meet weights in panels of every kind") {
  check_all<block<16, 32>, ternary>();
  check_all<block<16, 32>, binary>();
  check_all<csr, ternary>();
  check_all<tile_wise<8>, ternary>();
  check_all<tile_wise<8>, binary>();
}

TEST_CASE("matrix: bits meet weights in N:M patterns") {
  check_all<n_m<2, 4>, binary>();
  check_all<n_m<3, 10>, s2>();
  check_all<tile_n_m<32, 2, 4>, ternary>();
  check_all<tile_wise<8, n_m<2, 4>>, binary>();
}

TEST_CASE("matrix: bits are unpacked for all other weights") { check_all<dense, s8, panel_shape<16, 4>>(); }

TEST_CASE("matrix: bit planes pack to the same words on every machine") {
  const auto hash_of = [](const auto& packed) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const std::uint32_t word : packed.view().words()) hash = (hash ^ word) * 0x100000001b3;
    for (const std::int32_t sum : packed.view().weight_sums())
      hash = (hash ^ static_cast<std::uint32_t>(sum)) * 0x100000001b3;
    return hash;
  };
  std::vector<std::int8_t> codes(37 * 77);
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = i * i % 11 < 4 ? 1 : -1;
  CHECK(hash_of(pack<bit_panel_shape>(encode_codes<dense, binary, per_tensor>(codes, {37, 77}, {1.0F}))) ==
        0x673376cfc9cbc767);
  for (std::size_t i = 0; i < codes.size(); i += 3) codes[i] = 0;
  const auto w = encode_codes<dense, ternary, per_tensor>(codes, {37, 77}, {1.0F});
  const auto packed = pack<bit_panel_shape>(w);
  CHECK(hash_of(packed) == 0x20a0bcf62e07b921);
  const auto zeros = static_cast<double>(std::count(codes.begin(), codes.end(), 0));
  CHECK(packed.view().slot_efficiency() == (37 * 77 - zeros) / (48 * 96));
}

TEST_CASE("matrix: bits of a sum of 64 k's, by hand") {
  std::vector<std::byte> x(8, std::byte{0x0f});  // four of eight are -1
  const std::vector<std::int8_t> ones(64, 1);
  const auto w = pack<bit_panel_shape>(encode_codes<dense, binary, per_tensor>(ones, {1, 64}, {1.0F}));
  std::int32_t y = 7;
  workspace scratch;
  x[0] = std::byte{0xff};
  gemm(narrow_matrix_view<const binary>(x.data(), 1, 64), w, matrix_view<std::int32_t>(&y, 1, 1), scratch);
  CHECK(y == -8);
  CHECK(explain_gemm(narrow_matrix_view<const binary>(x.data(), 1, 64), w, matrix_view<std::int32_t>(&y, 1, 1))
            .atom.find("popcnt32_b1b1_") == 0);
}

TEST_CASE("matrix: convolutions of bits equal those of the codes") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (int trial = 0; trial < 60; ++trial) {
    const auto up_to = [&](std::size_t most) { return 1 + random.below(most); };
    window_parameters w;
    if (random.chance(0.8)) {
      w.kernel_height = up_to(3);
      w.kernel_width = up_to(3);
      w.stride_y = up_to(2);
      w.stride_x = up_to(2);
      w.dilation_x = up_to(2);
      w.pad_top = w.pad_left = random.below(2);
      w.pad_bottom = random.below(3);
    }
    const std::size_t groups = random.chance(0.7) ? 1 : 2, channels = random.chance(0.5) ? 32 * up_to(2) : up_to(40);
    const std::size_t height = w.span_height() + random.below(5), width = w.span_width() + random.below(5),
                      n = up_to(20);
    const std::size_t k = w.taps() * channels;
    const bit_input pixels(2 * height * width, groups * channels, random);
    // pixels without gaps, as images are
    std::vector<std::byte> image(2 * height * width * storage_bytes<binary>(groups * channels));
    for (std::size_t i = 0; i < pixels.view.rows; ++i)
      std::memcpy(image.data() + i * pixels.view.row_bytes(), pixels.view.row(i), pixels.view.row_bytes());
    std::vector<std::int8_t> codes(n * k);
    for (auto& code : codes) code = random.chance(0.5) ? 1 : -1;
    const auto weights = encode_codes<dense, binary, per_tensor>(codes, {n, k}, {1.0F});
    const auto bits = pack<bit_panel_shape>(weights);
    const auto bytes = pack(weights);
    const std::int8_t padding = random.chance(0.5) ? 1 : -1;
    const std::size_t out_height = w.output_height(height), out_width = w.output_width(width);
    std::vector<std::int32_t> got(2 * out_height * out_width * groups * n, 99), want(got.size(), 77);
    const std::vector bit_groups(groups, bits.view());
    const std::vector byte_groups(groups, bytes.view());
    const narrow_image_view<const binary> x(image.data(), 2, height, width, groups * channels);
    const image_view<std::int32_t> y(got.data(), 2, out_height, out_width, groups * n);
    const explanation how = explain_conv2d(x, std::span(std::as_const(bit_groups)), y, w);
    CHECK(how.atom.find("popcnt") == 0);
    aligned_buffer memory(how.workspace_bytes);
    workspace exact(memory.bytes());
    conv2d(x, std::span(std::as_const(bit_groups)), y, w, padding, epilogue<>(), serial, exact);
    conv2d(image_view<const std::int8_t>(pixels.codes.data(), 2, height, width, groups * channels),
           std::span(std::as_const(byte_groups)),
           image_view<std::int32_t>(want.data(), 2, out_height, out_width, groups * n), w, padding, epilogue<>(),
           serial, scratch);
    INFO("trial " << trial << ", channels " << channels << ", groups " << groups);
    REQUIRE(got == want);
    const status refused =
        try_conv2d(narrow_image_view<const binary>(image.data(), 2, height, width, groups * channels),
                   std::span(std::as_const(bit_groups)),
                   image_view<std::int32_t>(got.data(), 2, out_height, out_width, groups * n), w, std::int8_t{0},
                   epilogue<>(), serial, scratch);
    REQUIRE(refused.message() ==
            "conv2d: padding 0 is no code of binary; pad with 1 or -1, or pack the weights in panel_shape<16, 4>");
  }
}

TEST_CASE("matrix: signs of sums are bits of the next layer") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  const std::size_t m = 5, n = 45, k = 70;
  const bit_input x(m, k, random);
  const auto w = sparq_test::random_tensor<dense, binary>(mask({n, k}, true), sparq_test::value_style::any, random);
  std::vector<std::byte> y(m * storage_bytes<binary>(n), std::byte{0xff});
  gemm(x.view, pack<bit_panel_shape>(w), narrow_matrix_view<binary>(y.data(), m, n), scratch);
  const auto sums = reference_gemm(matrix_view<const std::int8_t>(x.codes.data(), m, k), w.view());
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < n; ++j)
      REQUIRE(load_code<binary>(y.data() + i * storage_bytes<binary>(n), j) == (sums[i * n + j] < 0 ? -1 : 1));
}
