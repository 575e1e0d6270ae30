// SPDX-License-Identifier: MIT
// From a layer of float weights to one that stores a quarter of them in int8: prune, encode, pack, multiply.

#include <sparq/sparq.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

namespace {

/// Values in [-1, 1], the same on every platform.
std::vector<float> random_values(std::size_t count, std::mt19937& random) {
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(random() % 2001) / 1000.0F - 1.0F;
  return values;
}

}  // namespace

int main() {
  constexpr std::size_t m = 20, n = 256, k = 512;
  std::mt19937 random(1);
  const std::vector<float> weights = random_values(n * k, random);
  const std::vector<float> bias = random_values(n, random);
  const std::vector<float> x = random_values(m * k, random);
  std::vector<float> y(m * n);

  //! [layer]
  using format = sparq::tile_wise<64>;  // tiles of 64 output channels, each with its own list of k's
  const sparq::mask keep = sparq::prune<format>(weights, {n, k}, 0.75);
  const auto w = sparq::encode<format, sparq::s8>(weights, {n, k}, keep);  // one scale for each channel
  const auto packed = sparq::pack(w);                                      // once, for all products

  const auto q = sparq::choose_activation_quantization<sparq::u8>(-1.0F, 1.0F);
  std::vector<std::uint8_t> x_codes(x.size());
  sparq::quantize<std::uint8_t>(x, q, x_codes);

  //! [epilogue]
  const sparq::epilogue stages{sparq::subtract_zero_point(q.zero_point), sparq::scale_per_channel(w.scales()),
                               sparq::scale(q.scale), sparq::bias(bias), sparq::relu()};
  //! [epilogue]
  sparq::workspace scratch;  // grows on the first call and is used again
  sparq::gemm(sparq::matrix_view(x_codes.data(), m, k), packed, sparq::matrix_view(y.data(), m, n), stages,
              sparq::serial, scratch);
  //! [layer]

  // The same layer in floats, with the weights that were kept.
  double largest = 0, difference = 0;
  for (std::size_t row = 0; row < m; ++row)
    for (std::size_t channel = 0; channel < n; ++channel) {
      double sum = bias[channel];
      for (std::size_t i = 0; i < k; ++i)
        if (keep(channel, i)) sum += double{weights[channel * k + i]} * double{x[row * k + i]};
      const double expected = (std::max)(sum, 0.0);
      largest = (std::max)(largest, expected);
      difference = (std::max)(difference, std::abs(expected - double{y[row * n + channel]}));
    }
  std::printf("density %.3f: %zu bytes canonical, %zu packed, %zu as dense floats\n", w.density(), w.bytes(),
              packed.bytes(), weights.size() * sizeof(float));
  std::printf("outputs up to %.1f, differing from the float layer by %.2f at most\n", largest, difference);

  //! [explain]
  const sparq::explanation kernel = sparq::explain_gemm<std::uint8_t, float>(m, packed);
  std::fprintf(stderr, "%s\n", to_string(kernel).c_str());
  //! [explain]
  return difference < 0.01 * largest ? 0 : 1;
}
