// SPDX-License-Identifier: MIT
// The matrix test of bits counted against weights whose scales run along k: powers of two leave the reference's sums
// exact, any other scales give what the kernels for bytes give, bit for bit.
#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/op/conv2d.hpp>

#include "tests/support/bit_input.hpp"
#include "tests/support/matrix.hpp"

#include <cmath>
#include <cstring>

using namespace sparq;
using sparq_test::bit_input;

namespace {

/// A tensor with scales of one granularity: powers of two, or any.
template <quantization_granularity G, format F, numeric N>
tensor<F, N, G> with_scales(const tensor<F, N>& w, bool powers_of_two, sparq_test::random_source& random) {
  std::vector<float> scales(G::scale_count(w.shape().n, w.shape().k));
  for (float& scale : scales)
    scale = powers_of_two ? std::ldexp(1.0F, random.between(-3, 3)) : random.real(0.01F, 2.0F);
  aligned_buffer values(w.values().size());
  std::memcpy(values.data(), w.values().data(), values.size());
  return tensor<F, N, G>(w.index(), std::move(values), std::move(scales));
}

template <class Format, class W>
auto random_weights(weight_shape shape, sparq_test::random_source& random) {
  using stored = typename tensor<Format, W>::numeric_type;
  mask keep = holds_every_weight_v<Format> && !has_zero_v<W> ? mask(shape, true)
                                                             : sparq_test::random_weight_mask(shape, random);
  sparq_test::fit_mask<Format>::apply(keep, random);
  return sparq_test::random_tensor<Format, stored>(keep, sparq_test::random_style(random), random);
}

template <class Format, class W, class Granularity>
void check_scales() {
  sparq_test::random_source random;
  INFO(Format::name() << " " << W::name << " " << Granularity::name << ", " << random.text());
  workspace scratch;
  auto extents = sparq_test::extents_to_try(random);
  for (const std::size_t k : {320u, 992u, 1023u, 1025u, 2077u}) extents.push_back({14, 33, k});
  for (const auto e : extents) {
    if (random.chance(0.5) && e.m * e.n * e.k < 200000) continue;
    const bool powers_of_two = random.chance(0.5);
    INFO("m " << e.m << ", n " << e.n << ", k " << e.k);
    const auto w = with_scales<Granularity>(random_weights<Format, W>({e.n, e.k}, random), powers_of_two, random);
    const bit_input x(e.m, e.k, random);
    const matrix_view<const std::int8_t> codes(x.codes.data(), e.m, e.k);
    const auto packed = pack<bit_panel_shape>(w);
    const auto view = decltype(packed.view())::from_bytes(packed.block());
    const std::size_t parts = random.chance(0.5) ? 1 : 1 + random.below(12);
    sparq_test::guarded_output<float> y(e.m, e.n, random);
    gemm(x.view, view, y.view(), epilogue<>(), sparq_test::scrambled_executor{parts, &random}, scratch);
    REQUIRE(y.surroundings_intact());
    if (powers_of_two) {
      REQUIRE(sparq_test::first_difference(y.elements(), scaled_reference_gemm(codes, w.view()), e.n, 0) == "");
    } else {
      std::vector<float> want(e.m * e.n);
      gemm(codes, pack<panel_shape<16, 4>>(w), matrix_view<float>(want.data(), e.m, e.n), scratch);
      REQUIRE(y.elements() == want);
    }
  }
}

}  // namespace

TEST_CASE("matrix: bits meet weights whose scales run along k") {
  check_scales<dense, binary, per_group<32>>();
  check_scales<dense, ternary, per_group<64>>();
  check_scales<dense, s2, per_group<128>>();
  check_scales<dense, u2, per_block<4, 96>>();
}

TEST_CASE("matrix: bits meet groups of scales that counters do not hold at once") {
  check_scales<dense, binary, per_group<1024>>();
  check_scales<dense, s2, per_block<3, 352>>();
}

TEST_CASE("matrix: bits meet scales along k in lists, runs and N:M patterns") {
  check_scales<n_m<2, 4>, binary, per_group<32>>();
  check_scales<block<16, 32>, ternary, per_group<64>>();
  check_scales<tile_wise<8>, binary, per_group<32>>();
  check_scales<csr, ternary, per_block<2, 128>>();
}

TEST_CASE("matrix: a convolution of bits scales along k") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (int trial = 0; trial < 30; ++trial) {
    window_parameters w;
    w.kernel_height = w.kernel_width = 1 + random.below(3);
    w.stride_y = 1 + random.below(2);
    w.pad_top = w.pad_left = random.below(w.kernel_height);
    const std::size_t channels = 1 + random.below(70), n = 1 + random.below(40), k = w.taps() * channels;
    const std::size_t height = w.span_height() + random.below(5), width = w.span_width() + random.below(5);
    const auto weights = with_scales<per_group<32>>(random_weights<dense, ternary>({n, k}, random), false, random);
    std::vector<std::byte> image(height * width * storage_bytes<binary>(channels));
    for (auto& byte : image) byte = static_cast<std::byte>(random.below(256));
    const narrow_image_view<const binary> x(image.data(), 1, height, width, channels);
    const std::size_t out_height = w.output_height(height), out_width = w.output_width(width);
    std::vector<float> got(out_height * out_width * n, 99.0F), want(got.size());
    const std::int8_t padding = random.chance(0.5) ? 1 : -1;
    conv2d(x, pack<bit_panel_shape>(weights), image_view<float>(got.data(), 1, out_height, out_width, n), w, padding,
           epilogue<>(), serial, scratch);
    conv2d(x, pack(weights), image_view<float>(want.data(), 1, out_height, out_width, n), w, padding, epilogue<>(),
           serial, scratch);
    INFO("trial " << trial << ", channels " << channels << ", n " << n);
    REQUIRE(got == want);
  }
}
