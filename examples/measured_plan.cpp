// SPDX-License-Identifier: MIT
// The loop that multiplies an unstructured layer fastest on this machine: as the plan estimates it,
// and as it is measured.

#include <sparq/plan/measure_loops.hpp>
#include <sparq/sparq.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

int main() {
  constexpr std::size_t m = 12, n = 192, k = 320;
  std::mt19937 random(1);
  std::vector<float> weights(n * k);
  for (float& weight : weights) weight = static_cast<float>(random() % 2001) / 1000.0F - 1.0F;
  std::vector<std::uint8_t> codes(m * k);
  for (std::uint8_t& code : codes) code = static_cast<std::uint8_t>(random());
  const auto w = sparq::encode<sparq::csr, sparq::s8>(weights, {n, k}, sparq::prune<sparq::csr>(weights, {n, k}, 0.7));
  std::vector<std::int32_t> y(m * n);
  sparq::workspace scratch;

  //! [measure]
  const auto product = [&](const auto& packed) {
    return sparq::try_gemm(sparq::matrix_view<const std::uint8_t>(codes.data(), m, k), packed,
                           sparq::matrix_view(y.data(), m, n), sparq::epilogue<>{}, sparq::serial, scratch);
  };
  const auto packed = sparq::pack_fastest(w, m, product);
  const auto explained = sparq::explain_gemm<std::uint8_t, std::int32_t>(m, packed);
  std::fprintf(stderr, "%s\n", to_string(explained).c_str());  // ...; measured: rows 11.62 us, expand 17.2 us, ...
  //! [measure]

  //! [estimates]
  for (const sparq::loop_time& loop :
       sparq::measure_loops<std::uint8_t, std::int32_t>(w, m, product, {.seconds = 0.002}))
    std::fprintf(stderr, "%s: %.1f us, estimated %.0f cycles\n", std::string(to_string(loop.loop)).c_str(),
                 1e6 * loop.seconds, loop.estimated_cycles);
  //! [estimates]

  product(packed).value();
  const bool same = y == sparq::reference_gemm(sparq::matrix_view<const std::uint8_t>(codes.data(), m, k), w.view());
  std::puts(same ? "the fastest loop gives the sums of the reference" : "wrong sums");
  return same ? 0 : 1;
}
