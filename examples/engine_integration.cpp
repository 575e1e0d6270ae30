// SPDX-License-Identifier: MIT
// What an engine wants to decide itself: who runs the work, where scratch memory comes from, how errors come back. The
// layer has 4-bit weights with one scale for every 32 k's, and activations quantized row by row.

#include <sparq/sparq.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

namespace {

//! [executor]
// Hands the parts of an operation to the engine's own threads; here they run one after another, the last one first.
struct engine_threads {
  static std::size_t concurrency() { return 4; }
  template <class F>
  static void parallel_for(std::size_t parts, F&& f) {
    while (parts != 0) f(--parts);
  }
};
//! [executor]

}  // namespace

int main() {
  constexpr std::size_t m = 40, n = 96, k = 256;
  std::mt19937 random(1);
  const auto random_values = [&](std::size_t count) {
    std::vector<float> values(count);
    for (float& value : values) value = static_cast<float>(random() % 2001) / 1000.0F - 1.0F;
    return values;
  };
  const std::vector<float> weights = random_values(n * k);
  const std::vector<float> x = random_values(m * k);
  std::vector<std::int8_t> codes(m * k);
  std::vector<float> scales(m);
  const sparq::quantized_rows<std::int8_t> x_codes{{codes.data(), m, k}, scales};
  sparq::quantize_rows(sparq::matrix_view(x.data(), m, k), x_codes, engine_threads{});

  //! [groups]
  const auto w = sparq::encode<sparq::dense, sparq::s4, sparq::per_group<32>>(weights, {n, k});
  const auto packed = sparq::pack(w);
  const sparq::epilogue stages{sparq::scale_per_row(scales)};  // the scales of W are applied by the kernel
  //! [groups]

  //! [workspace]
  const sparq::explanation kernel = sparq::explain_gemm<std::int8_t, float>(m, packed, engine_threads::concurrency());
  sparq::aligned_buffer memory(kernel.workspace_bytes);  // any bytes on a boundary of 64
  sparq::workspace scratch(memory.bytes());
  //! [workspace]

  //! [status]
  std::vector<float> y(m * n);
  const sparq::status done = sparq::try_gemm(x_codes.codes, packed, sparq::matrix_view(y.data(), m, n), stages,
                                             engine_threads{}, scratch);
  if (!done.ok()) return std::puts(done.message().c_str()), 1;
  //! [status]

  const std::vector<float> real_weights = sparq::decode(w);
  double difference = 0;
  for (std::size_t row = 0; row < m; ++row)
    for (std::size_t channel = 0; channel < n; ++channel) {
      double sum = 0;
      for (std::size_t i = 0; i < k; ++i)
        sum += static_cast<double>(codes[row * k + i]) * double{real_weights[channel * k + i]};
      difference = (std::max)(difference, std::abs(sum * double{scales[row]} - double{y[row * n + channel]}));
    }
  std::puts(difference < 1e-4 ? "close to the reference" : "not close to the reference");

  //! [refusal]
  const sparq::status refused = sparq::try_gemm(sparq::matrix_view(codes.data(), m, k - 1, k), packed,
                                                sparq::matrix_view(y.data(), m, n), stages, engine_threads{}, scratch);
  std::puts(refused.message().c_str());
  //! [refusal]
  return difference < 1e-4 && !refused.ok() ? 0 : 1;
}
