// SPDX-License-Identifier: MIT
// Layers of NEMO and PULP-NN: a product of codes, an integer batch normalization, a requantization, outputs of 1 to 8 bits.
#include <sparq/format/dense.hpp>
#include <sparq/numeric/nemo.hpp>
#include <sparq/op/gemm.hpp>
#include <sparq/tensor/encode.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

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
