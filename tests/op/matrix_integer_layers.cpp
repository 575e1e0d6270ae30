// SPDX-License-Identifier: MIT
// Layers of NEMO and PULP-NN: a product of codes, an integer batch normalization, a requantization,
// outputs of 1 to 8 bits.
#include <sparq/format/dense.hpp>
#include <sparq/numeric/nemo.hpp>
#include <sparq/op/conv2d.hpp>
#include <sparq/op/gemm.hpp>
#include <sparq/tensor/encode.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

using namespace sparq;

namespace {

template <class N>
void check_layers() {
  sparq_test::random_source random;
  INFO(N::name << ", " << random.text());
  constexpr std::size_t m = 250, n = 131, k = 61;
  std::vector<std::uint8_t> x(m * k), y(m * n);
  std::vector<std::int8_t> codes(n * k);
  for (auto& v : x) v = static_cast<std::uint8_t>(random.between(0, 255));
  for (auto& v : codes) v = static_cast<std::int8_t>(random.between(N::min_code, N::max_code));
  const auto packed = pack(encode_codes<dense, N, per_tensor>(codes, {n, k}, {1.0F}));
  std::vector<std::int64_t> sums(m * n, 0);
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < n; ++j)
      for (std::size_t l = 0; l < k; ++l) sums[i * n + j] += std::int64_t{x[i * k + l]} * codes[j * k + l];
  workspace scratch;
  int clipped = 0, inside = 0;
  for (int bits = 1; bits <= 8; ++bits)
    for (const bool is_per_channel : {false, true}) {
      std::vector<std::int32_t> kappa(n);
      std::vector<std::int64_t> lambda(n);
      std::vector<floor_shift::parameters> requant(n), folded(n);
      const std::int32_t last = (1 << bits) - 1;
      for (std::size_t j = 0; j < n; ++j) {
        kappa[j] = random.between(-255, 255);
        lambda[j] = random.between(-2000000, 2000000);
        const double out = 40.0 * N::max_code * 255.0 * static_cast<double>(random.real(2.0F, 40.0F)) / last;
        requant[j] = nemo_requantization(1.0, out, bits);
        folded[j] = try_fold_batch_norm(kappa[j], lambda[j], requant[j]).value();
      }
      const matrix_view<std::uint8_t> out(y.data(), m, n);
      const matrix_view<const std::uint8_t> in(x.data(), m, k);
      const std::span<const floor_shift::parameters> all(folded);
      if (is_per_channel)
        gemm(in, packed, out, epilogue(requantize_to_codes<u8>(all, 0, 0, last)), serial, scratch);
      else
        gemm(in, packed, out, epilogue(requantize_to_codes<u8>(folded[0], 0, 0, last)), serial, scratch);
      for (std::size_t i = 0; i < m * n; ++i) {
        const std::size_t c = is_per_channel ? i % n : 0;
        const std::int64_t normalized = kappa[c] * sums[i] + lambda[c];
        const std::int64_t product = normalized * requant[c].kappa, d = std::int64_t{1} << requant[c].shift;
        const std::int64_t floor = product / d - (product % d < 0 ? 1 : 0);
        const std::int64_t want = floor < 0 ? 0 : floor > last ? last : floor;
        clipped += floor != want ? 1 : 0;
        inside += floor == want ? 1 : 0;
        if (y[i] != want) {
          INFO("sum " << sums[i] << ", bits " << bits);
          REQUIRE(y[i] == want);
        }
      }
    }
  CHECK(clipped > 10000);
  CHECK(inside > 10000);
}

}  // namespace

TEST_CASE("integer layers: weights of 8, 4 and 2 bits, outputs of 1 to 8, per tensor and per channel") {
  check_layers<s8>();
  check_layers<s4>();
  check_layers<s2>();
}

namespace {

/// One layer of a net: weights and the multipliers of an integer batch normalization, the steps of both, and the codes
/// of its output.
template <class N>
struct layer {
  std::size_t n, k;
  std::vector<std::int8_t> codes;
  std::vector<std::int32_t> kappa;
  std::vector<std::int64_t> lambda;
  double step_weight, step_kappa, step_out;
  int bits;

  layer(std::size_t n_extent, std::size_t k_extent, int out_bits, double step_in, sparq_test::random_source& random)
      : n(n_extent), k(k_extent), codes(n * k), kappa(n), lambda(n), bits(out_bits) {
    for (auto& c : codes) c = static_cast<std::int8_t>(random.between(N::min_code, N::max_code));
    for (auto& v : kappa) v = random.between(-127, 127);
    for (auto& v : lambda) v = random.between(-200000, 200000);
    step_weight = std::ldexp(1.0, -random.between(5, 9));
    step_kappa = std::ldexp(1.0, -random.between(3, 8));
    step_out = step_in * step_weight * step_kappa * 127 * 127 * static_cast<double>(random.real(3.0F, 30.0F));
  }
  std::int32_t last() const { return (1 << bits) - 1; }
  double step_sum(double step_in) const { return step_in * step_weight * step_kappa; }

  /// Integers alone, by a kernel: codes of X in, codes of Y out.
  /// `image` is height and width of the output of a convolution.
  std::vector<std::uint8_t> integers(const std::vector<std::uint8_t>& x, std::size_t side, double step_in) const {
    std::vector<floor_shift::parameters> p;
    for (std::size_t c = 0; c < n; ++c)
      p.push_back(
          try_fold_batch_norm(kappa[c], lambda[c], nemo_requantization(step_sum(step_in), step_out, bits)).value());
    const std::span<const floor_shift::parameters> all(p);
    const auto packed = pack(encode_codes<dense, N, per_tensor>(codes, {n, k}, {1.0F}));
    const epilogue stages(requantize_to_codes<u8>(all, 0, 0, last()));
    workspace scratch;
    if (side == 0) {
      std::vector<std::uint8_t> y(n);
      gemm(matrix_view<const std::uint8_t>(x.data(), 1, k), packed, matrix_view<std::uint8_t>(y.data(), 1, n), stages,
           serial, scratch);
      return y;
    }
    window_parameters window;
    window.kernel_height = window.kernel_width = 3;
    window.pad_top = window.pad_left = window.pad_bottom = window.pad_right = 1;
    std::vector<std::uint8_t> y(side * side * n);
    conv2d(image_view<const std::uint8_t>(x.data(), 1, side, side, k / 9), packed,
           image_view<std::uint8_t>(y.data(), 1, side, side, n), window, std::uint8_t{0}, stages, serial, scratch);
    return y;
  }

  /// Real numbers, each a multiple of its step: floor(t / step of the sum * m / D) steps of the output.
  std::vector<double> reals(const std::vector<double>& x, std::size_t side, double step_in) const {
    const auto requant = nemo_requantization(step_sum(step_in), step_out, bits);
    const std::size_t channels = side == 0 ? k : k / 9, pixels = side == 0 ? 1 : side * side;
    std::vector<double> y;
    for (std::size_t pixel = 0; pixel < pixels; ++pixel)
      for (std::size_t c = 0; c < n; ++c) {
        double t = 0;
        for (std::size_t q = 0; q < k; ++q) {
          std::size_t at = q;
          if (side != 0) {
            // one too many
            const std::size_t row = pixel / side + q / channels / 3, column = pixel % side + q / channels % 3;
            if (row < 1 || row > side || column < 1 || column > side) continue;
            at = ((row - 1) * side + column - 1) * channels + q % channels;
          }
          t += step_weight * codes[c * k + q] * x[at];
        }
        t = step_kappa * kappa[c] * t + step_sum(step_in) * static_cast<double>(lambda[c]);
        const double sum = std::round(t / step_sum(step_in));  // an integer but for roundings of double
        REQUIRE(std::fabs(t / step_sum(step_in) - sum) < 0.01);
        const double steps = std::floor(sum * requant.kappa / std::ldexp(1.0, requant.shift));
        y.push_back(step_out * std::fmin(std::fmax(steps, 0), last()));
      }
    return y;
  }
};

}  // namespace

TEST_CASE("integer layers: a net of three layers by kernels agrees with the same net in real numbers") {
  sparq_test::random_source random;
  INFO(random.text());
  for (int turn = 0; turn < 40; ++turn) {
    constexpr std::size_t side = 6, channels = 5;
    const double step = 1.0 / 255;
    const layer<s8> first(19, 9 * channels, 8, step, random);
    const layer<s4> second(11, 9 * first.n, 4, first.step_out, random);
    const layer<s2> third(23, side * side * second.n, 8, second.step_out, random);
    std::vector<std::uint8_t> codes(side * side * channels);
    std::vector<double> reals;
    for (auto& c : codes) reals.push_back(step * (c = static_cast<std::uint8_t>(random.between(0, 255))));

    std::size_t inside = 0;
    const auto run = [&](const auto& one, std::size_t image_side, double step_in) {
      codes = one.integers(codes, image_side, step_in);
      reals = one.reals(reals, image_side, step_in);
      REQUIRE(codes.size() == reals.size());
      for (std::size_t i = 0; i < codes.size(); ++i) {
        REQUIRE(std::round(reals[i] / one.step_out) == codes[i]);
        inside += codes[i] != 0 && codes[i] != one.last();
      }
    };
    run(first, side, step);
    run(second, side, first.step_out);
    run(third, 0, second.step_out);
    CHECK(inside > 50);
  }
}
