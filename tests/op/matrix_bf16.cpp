// SPDX-License-Identifier: MIT
// The matrix test of bf16 times bf16: the same bits on every instruction set, in every format.
#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_n_m.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/kernel/reference.hpp>
#include <sparq/op/conv2d.hpp>
#include <sparq/op/gemm.hpp>

#include "tests/support/brain_floats.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/operands.hpp"

#include <algorithm>
#include <string>
#include <vector>

using namespace sparq;
using sparq_test::float_style;

namespace {

/// The definition, carried out one lane after the other.
struct one_lane_atoms {
  template <numeric X, numeric W>
  using list = std::tuple<dot2_bf16_scalar>;
};

/// Weights whose values a style gives, in a format.
template <class Format>
tensor<Format, bf16> random_weights(weight_shape shape, float_style style, sparq_test::random_source& random) {
  const auto w = sparq_test::random_tensor<Format, bf16>(shape, sparq_test::value_style::exact, random);
  aligned_buffer values(w.values().size());
  for (std::size_t slot = 0; slot < w.index().slots(); ++slot)
    store_code<bf16>(values.data(), slot, sparq_test::random_brain_float(style, random));
  return {w.index(), std::move(values), {}};
}

std::vector<brain_float> random_activations(std::size_t count, float_style style, sparq_test::random_source& random) {
  std::vector<brain_float> x(count);
  for (auto& v : x) v = sparq_test::random_brain_float(style, random);
  return x;
}

void require_same(const std::vector<float>& got, const std::vector<float>& want, std::size_t n) {
  REQUIRE(got.size() == want.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    if (!sparq_test::same_float(got[i], want[i]))
      FAIL("Y[" << i / n << "][" << i % n << "] is " << got[i] << ", not " << want[i]);
}

constexpr float_style styles[] = {float_style::plain, float_style::tiny, float_style::special};

/// The kernel of this instruction set equals the definition, and the reference where that says how it pairs.
template <class Format, bool HasReference = false, class Shape = default_panel_shape<bf16>>
void check_products() {
  static constexpr std::size_t rows[] = {1, 2, 3, 5, 6, 7, 12, 13, 25};
  static constexpr std::size_t channels[] = {1, 15, 17, 33, 47, 65, 130};
  static constexpr std::size_t reductions[] = {0, 1, 2, 3, 5, 8, 31, 32, 33, 63, 64, 129, 257};
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (const std::size_t m : rows)
    for (const std::size_t n : channels) {
      const std::size_t k = random.pick(reductions);
      const float_style style = random.pick(styles);
      INFO("m " << m << ", n " << n << ", k " << k << ", style " << static_cast<int>(style));
      const auto w = random_weights<Format>({n, k}, style, random);
      const auto packed = pack<Shape>(w);
      const std::size_t stride = k + random.below(3);
      const auto codes = random_activations(m * stride, style, random);
      const matrix_view<const brain_float> x(codes.data(), m, k, stride);
      std::vector<float> y(m * n, 7.0F), plain(m * n, 7.0F);
      gemm(x, packed, matrix_view<float>(y.data(), m, n), scratch);
      gemm<one_lane_atoms>(x, packed, matrix_view<float>(plain.data(), m, n), scratch);
      require_same(y, plain, n);
      if constexpr (HasReference) {
        // A channel without slots shares the panel of others and is multiplied as zeros, which only finite x's leave 0.
        std::vector<float> want = reference_gemm_in_pairs(x, w.view());
        std::vector<bool> has_slots(n);
        detail::for_each_slot(w.index(),
                              [&](std::size_t, std::size_t channel, std::size_t) { has_slots[channel] = true; });
        for (std::size_t i = 0; i < m * n; ++i)
          if (!has_slots[i % n] && y[i] != y[i]) {
            REQUIRE(std::any_of(&x(i / n, 0), &x(i / n, 0) + k, [](brain_float v) { return !is_finite(float(v)); }));
            want[i] = y[i];
          }
        require_same(y, want, n);
      }
    }
}

}  // namespace

TEST_CASE("matrix: bf16 in dense panels has the bits of the reference") {
  check_products<dense, true>();
  check_products<tile_wise<8>, true>();
}

TEST_CASE("matrix: bf16 in N:M patterns has the bits of the definition, in windows that a pair shares or not") {
  check_products<n_m<2, 4>>();
  check_products<n_m<1, 4>>();
  check_products<n_m<3, 7>>();
  check_products<n_m<1, 32>>();
  check_products<n_m<4, 32>>();
}

TEST_CASE("matrix: bf16 in patterns that channels share, and in runs, has the bits of the definition") {
  check_products<tile_n_m<2, 4, 4>>();
  check_products<tile_n_m<1, 4, 16>>();
  check_products<block<16, 1>>();
  check_products<csr>();
  check_products<csr, false, window_shape<16, 1, 8>>();
}

TEST_CASE("matrix: bf16 pixels of a convolution have the bits of the definition") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  window_parameters window;
  window.kernel_height = window.kernel_width = 3;
  window.pad_top = window.pad_left = window.pad_bottom = window.pad_right = 1;
  for (const std::size_t depth : {1U, 3U, 16U, 17U}) {
    const std::size_t n = 19, side = 7, k = 9 * depth;
    INFO("channels " << depth);
    const float_style style = random.pick(styles);
    const auto w = random_weights<dense>({n, k}, style, random);
    const auto packed = pack(w);
    const auto codes = random_activations(side * side * depth, style, random);
    std::vector<brain_float> patches(side * side * k);
    for (std::size_t i = 0; i < patches.size(); ++i) {
      const std::size_t pixel = i / k, tap = i % k / depth;
      const std::size_t row = pixel / side + tap / 3, column = pixel % side + tap % 3;  // one more than in the image
      if (row >= 1 && row <= side && column >= 1 && column <= side)
        patches[i] = codes[((row - 1) * side + column - 1) * depth + i % depth];
    }
    std::vector<float> y(side * side * n);
    conv2d(image_view<const brain_float>(codes.data(), 1, side, side, depth), packed,
           image_view<float>(y.data(), 1, side, side, n), window, brain_float{}, epilogue<>(), serial,
           scratch);
    require_same(y, reference_gemm_in_pairs({patches.data(), side * side, k}, w.view()), n);
  }
}
