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

TEST_CASE("encode: a shape whose size wraps is refused before anything is allocated") {
  constexpr std::size_t half = std::size_t{1} << 32;
  CHECK(try_encode<dense, s8>(std::span<const float>(), {half, half}).error().message() ==
        "encode: a matrix of 4294967296 x 4294967296 has an extent above 4294967295");
  const weight_shape many{std::size_t{1} << 63, 2};
  CHECK_FALSE(try_encode<csr, s8>(std::span<const float>(), many, mask_view{nullptr, many}).ok());
  CHECK_FALSE(try_encode_codes<dense, s8>(std::span<const std::int8_t>(), many, {}).ok());
}

TEST_CASE("encode: codes of every width come back") {
  sparq_test::random_source random;
  INFO(random.text());
  round_trip<csr, s3>(17, 33, random);
  round_trip<block<16, 4>, s5>(17, 33, random);
  round_trip<dense, s6>(3, 5, random);
  round_trip<n_m<2, 4>, u7>(17, 33, random);
  round_trip<csr, ternary_dense5>(17, 33, random);
}

TEST_CASE("encode: binary is the sign and the mean magnitude of what is kept") {
  const std::vector<float> weights = {1.0F, -0.5F, 0.0F, -0.0F, -3.0F, 1.5F, 0.0F, -1.5F};
  const auto all = encode<dense, binary>(weights, {2, 4});
  CHECK(decode_codes(all) == std::vector<std::int8_t>{1, -1, 1, 1, -1, 1, 1, -1});
  CHECK(all.scales()[0] == 0.375F);
  CHECK(all.scales()[1] == 1.5F);
  CHECK(all.bytes() == 1 + 2 * sizeof(float));
  const auto kept = encode<csr, binary>(weights, {2, 4});
  CHECK(decode_codes(kept) == std::vector<std::int8_t>{1, -1, 0, 0, -1, 1, 0, -1});
  CHECK(kept.scales()[0] == 0.75F);
  CHECK(kept.scales()[1] == 2.0F);
  CHECK(decode(kept) == std::vector<float>{0.75F, -0.75F, 0, 0, -2, 2, 0, -2});
  CHECK(encode<dense, binary, per_tensor>(weights, {2, 4}).scales()[0] == 0.9375F);
  CHECK(encode<csr, binary>(std::vector<float>(3), {1, 3}).scales()[0] == 1.0F);
}

TEST_CASE("encode: a pruned weight that is stored needs a code for 0") {
  const std::vector<float> weights = {1, 2, 3, 4};
  mask keep({1, 4}, true);
  keep.set(0, 2, false);
  CHECK(try_encode<dense, binary>(weights, {1, 4}, keep).error().message() ==
        "encode: [n=0][k=2] is pruned, but dense stores it and binary has no code for 0; keep it, or use ternary");
  CHECK(try_encode<csr, binary>(weights, {1, 4}, keep).ok());
  const std::vector<std::int8_t> codes = {1, -1, -1, 0};
  CHECK(try_encode_codes<dense, binary>(codes, {1, 4}, {1.0F}).error().message().find("[n=0][k=3] is pruned") !=
        std::string::npos);
  CHECK(decode_codes(encode_codes<csr, binary>(codes, {1, 4}, {1.0F})) == codes);
  CHECK(try_encode_codes<csr, pow2<4>>(std::vector<std::int8_t>{4, 3}, {1, 2}, {1.0F}).error().message() ==
        "encode: code 3 at [n=0][k=1] is outside pow2<4>");
  CHECK(try_encode_codes<csr, s8_up_to_64>(std::vector<std::int8_t>{64, -65}, {2, 1}, {1.0F, 1.0F}).error().message() ==
        "encode: code -65 at [n=1][k=0] is outside s8_up_to_64");
  CHECK(try_encode_codes<csr, f32>(std::vector<float>{1, std::numeric_limits<float>::quiet_NaN()}, {1, 2}, {})
            .error()
            .message() == "encode: code nan at [n=0][k=1] is outside f32");
  CHECK(try_encode<dense, binary>(std::vector<float>{1, std::numeric_limits<float>::infinity()}, {1, 2})
            .error()
            .message() == "choose_scales: weight [n=0][k=1] is inf");
}

TEST_CASE("encode: powers of two are the nearest to w / scale, and the largest is the largest weight") {
  const std::vector<float> weights = {6.4F, -0.1F, 0.04F, 0.06F, -0.5F, 3.3F, 1.1F, 0.0F};
  const auto w = encode<dense, pow2<4>>(weights, {1, 8});
  CHECK(w.scales()[0] == 0.1F);
  CHECK(decode_codes(w) == std::vector<std::int8_t>{64, -1, 0, 1, -4, 32, 8, 0});
}

TEST_CASE("encode: f16 refuses what is beyond its largest number") {
  CHECK(decode(encode<dense, f16>(std::vector<float>{65504.0F, -1e-7F, 0.333333F}, {1, 3})) ==
        std::vector<float>{65504.0F, -1.1920929e-7F, 0.33325195F});
  CHECK(try_encode<csr, f16>(std::vector<float>{1.0F, 65520.0F}, {1, 2}).error().message() ==
        "encode: weight [n=0][k=1] is 65520, too large for f16");
}
