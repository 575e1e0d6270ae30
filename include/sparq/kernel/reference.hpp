// SPDX-License-Identifier: MIT
#pragma once
// The oracle: slow, plain and trusted. Multiplies straight from the canonical tensor, slot by slot, without panels,
// packing or instructions; every kernel on every instruction set is compared with it.

#include <sparq/tensor/encode.hpp>
#include <sparq/tensor/matrix.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace sparq {

/// The sums X W^T, m x n row-major: int32 for integers (exact while they fit), int64 where X has 16 bits, double for
/// floats.
/// O(m x slots).
template <class X, format F, numeric N, quantization_granularity G>
auto reference_gemm(matrix_view<X> x, const tensor_view<F, N, G>& w) {
  using sum_type =
      std::conditional_t<!N::is_integer, double, std::conditional_t<sizeof(X) == 2, std::int64_t, std::int32_t>>;
  std::vector<sum_type> y(x.rows * w.shape().n);
  detail::for_each_slot(w.index, [&](std::size_t slot, std::size_t n, std::size_t k) {
    const auto weight = static_cast<sum_type>(load_weight(w, slot, n, k));
    for (std::size_t m = 0; m < x.rows; ++m) y[m * w.shape().n + n] += static_cast<sum_type>(x(m, k)) * weight;
  });
  return y;
}

/// The sums X W^T of bf16 times bf16 as panels add them, m x n row-major and bit for bit. The stored weights of a
/// channel go in pairs, in the order of k; of each pair the second product is added first, and the second half of the
/// last pair may be zeros.
/// @pre every channel of a panel has the same number of slots, and they fill whole windows (dense, n_m, tile_wise)
/// O(m x slots).
template <format F>
std::vector<float> reference_gemm_in_pairs(matrix_view<const brain_float> x,
                                           const tensor_view<F, bf16, unquantized>& w) {
  const std::size_t channels = w.shape().n;
  std::vector<std::vector<std::size_t>> slots(channels), ks(channels);
  detail::for_each_slot(w.index, [&](std::size_t slot, std::size_t n, std::size_t k) {
    slots[n].push_back(slot);
    ks[n].push_back(k);
  });
  std::vector<float> y(x.rows * channels);
  for (std::size_t m = 0; m < x.rows; ++m)
    for (std::size_t n = 0; n < channels; ++n)
      for (std::size_t pair = 0; pair < ks[n].size(); pair += 2)
        for (const std::size_t i : {pair + 1, pair}) {
          float& sum = y[m * channels + n];
          sum = i == ks[n].size()
                    ? add_bf16_product(sum, {}, {})
                    : add_bf16_product(sum, x(m, ks[n][i]), load_code<bf16>(w.values.data(), slots[n][i]));
        }
  return y;
}

/// The sums X W^T of real numbers, m x n row-major: every weight times its scale, every x less `zero_point`.
/// In double. O(m x slots).
template <class X, format F, numeric N, quantization_granularity G>
std::vector<double> scaled_reference_gemm(matrix_view<X> x, const tensor_view<F, N, G>& w,
                                          std::int32_t zero_point = 0) {
  static_assert(!std::is_same_v<G, unquantized>, "sparq: an unquantized tensor has no scales; use reference_gemm");
  std::vector<double> y(x.rows * w.shape().n);
  detail::for_each_slot(w.index, [&](std::size_t slot, std::size_t n, std::size_t k) {
    const double weight = static_cast<double>(load_weight(w, slot, n, k)) *
                          static_cast<double>(w.scales[G::scale_index(n, k, w.shape().k)]);
    for (std::size_t m = 0; m < x.rows; ++m)
      y[m * w.shape().n + n] += (static_cast<double>(x(m, k)) - zero_point) * weight;
  });
  return y;
}

}  // namespace sparq
