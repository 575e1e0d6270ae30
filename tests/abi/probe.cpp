// SPDX-License-Identifier: MIT
// Compiled several times with different instruction-set flags and linked into one program: each object has to bring its
// own copy of every function whose instructions depend on the flags.
#include <sparq/sparq.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace {

using namespace sparq;

constexpr std::size_t n = 33, k = 70;

template <class T>
std::size_t total(const std::vector<T>& y) {
  std::size_t sum = 0;
  for (const T value : y) sum = sum * 3 + static_cast<std::size_t>(static_cast<std::int64_t>(value));
  return sum;
}

template <class X>
std::vector<X> counting(std::size_t count) {
  std::vector<X> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<X>(i % 7);
  return values;
}

// Small whole numbers: sums of floats are the same in every order.
template <format F, numeric N>
auto weights() {
  std::vector<float> values(n * k);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 3) - 1.0F;
  return encode<F, N>(values, {n, k}, prune<F>(values, {n, k}, 0.5));
}

template <class X, class Y, class Packed, class... Stages>
std::size_t product(const Packed& w, const epilogue<Stages...>& stages) {
  constexpr std::size_t m = 5;
  const std::vector<X> x = counting<X>(m * k);
  std::vector<Y> y(m * n);
  workspace scratch;
  gemm(matrix_view(x.data(), m, k), w, matrix_view(y.data(), m, n), stages, serial, scratch);
  return total(y);
}

std::size_t convolution() {
  constexpr std::size_t side = 6, channels = 7, outputs = 9;
  const auto w = encode_codes<dense, s8>(counting<std::int8_t>(outputs * 9 * channels), {outputs, 9 * channels},
                                         std::vector<float>(outputs, 1.0F));
  const std::vector<std::uint8_t> x = counting<std::uint8_t>(side * side * channels);
  std::vector<std::int32_t> y(side * side * outputs);
  window_parameters window;
  window.kernel_height = window.kernel_width = 3;
  window.pad_top = window.pad_bottom = window.pad_left = window.pad_right = 1;
  workspace scratch;
  conv2d(image_view<const std::uint8_t>(x.data(), 1, side, side, channels), pack(w),
         image_view(y.data(), 1, side, side, outputs), window, std::uint8_t{0}, epilogue<>{}, serial, scratch);
  return total(y);
}

}  // namespace

/// Uses kernels of every kind and returns a number that is the same on every instruction set.
std::size_t SPARQ_ABI_PROBE() {
  const std::vector halves(n, tflite_double::from_real(0.5));
  const epilogue requantized{requantize_to_codes<s8>(std::span(halves), 3)};
  std::size_t sum = product<std::uint8_t, std::int32_t>(pack_for(weights<csr, s8>(), 5), epilogue<>{});  // every loop
  sum = sum * 3 + product<std::uint8_t, std::int32_t>(pack(weights<tile_wise<16>, s4>()), epilogue<>{});
  sum = sum * 3 + product<std::int8_t, std::int32_t>(pack(weights<n_m<2, 4>, ternary>()), epilogue<>{});
  sum = sum * 3 + product<std::int16_t, std::int64_t>(pack(weights<dense, s8>()), epilogue<>{});
  sum = sum * 3 + product<float, float>(pack(weights<csr, f32>()), epilogue<>{});
  sum = sum * 3 + product<std::uint8_t, std::int8_t>(pack(weights<dense, s8>()), requantized);
  return sum * 3 + convolution();
}
