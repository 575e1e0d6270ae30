// SPDX-License-Identifier: MIT
#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/tensor/encode.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <limits>
#include <string>
#include <vector>

using namespace sparq;

namespace {
template <class Format, class N>
void round_trip(std::size_t n, std::size_t k, sparq_test::random_source& random) {
  std::vector<typename N::code> codes(n * k);
  for (std::size_t i = 0; i < codes.size(); ++i)
    if (i % 2 == 0 && random.chance(0.7))  // every other k: also fits 2:4
      codes[i] = static_cast<typename N::code>(random.between(N::min_code, N::max_code));
  if (k % 2 != 0)
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 1; j < k; j += 2) codes[i * k + j] = 0;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < k; ++j)
      if (j % 4 >= 2) codes[i * k + j] = 0;
  const auto w = encode_codes<Format, N, per_tensor>(codes, {n, k}, {0.5F});
  CHECK(decode_codes(w) == codes);
  CHECK(decode(w)[0] == 0.5F * static_cast<float>(codes[0]));
}
}  // namespace

TEST_CASE("encode: decode_codes is its exact inverse in every format") {
  sparq_test::random_source random;
  INFO(random.text());
  for (const auto& [n, k] : {std::pair<std::size_t, std::size_t>{1, 1}, {3, 5}, {17, 33}, {32, 64}}) {
    INFO(n << " x " << k);
    round_trip<dense, s8>(n, k, random);
    round_trip<dense, s4>(n, k, random);
    round_trip<csr, s8>(n, k, random);
    round_trip<csr, s4_high_first>(n, k, random);
    round_trip<block<16, 4>, s8>(n, k, random);
    round_trip<n_m<2, 4>, s4>(n, k, random);
  }
}

TEST_CASE("encode: floats are within half a scale, and a kept zero stays a slot") {
  const std::vector<float> weights = {1.0F, -0.3F, 0.0F, 0.25F};
  const auto w = encode<csr, s8>(weights, {2, 2}, mask({2, 2}));
  CHECK(w.index().slots() == 4);
  const auto back = decode(w);
  for (std::size_t i = 0; i < 4; ++i) CHECK(std::abs(back[i] - weights[i]) <= 0.5F * w.scales()[i / 2]);
  CHECK(encode<csr, s8>(weights, {2, 2}).index().slots() == 3);
}

TEST_CASE("encode: what does not fit is refused with its position") {
  const std::vector<float> weights = {1, 2, 3, 4};
  CHECK(try_encode<n_m<2, 4>, s8>(weights, {1, 4}).error().message().find("[n=0][k=2]") != std::string::npos);
  CHECK(try_encode<dense, s8>(weights, {1, 3}).error().message().find("4 values") != std::string::npos);
  const std::vector<float> bad = {1, std::numeric_limits<float>::infinity()};
  CHECK(try_encode<dense, f32>(bad, {1, 2}).error().message().find("[n=0][k=1]") != std::string::npos);
  const std::vector<std::int8_t> codes = {0, 8};
  CHECK(try_encode_codes<dense, s4, per_tensor>(codes, {2, 1}, {1.0F}).error().message().find("code 8") !=
        std::string::npos);
}
