// SPDX-License-Identifier: MIT
#include <sparq/compress/cluster.hpp>
#include <sparq/compress/prune.hpp>
#include <sparq/format/bitmask.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <vector>

using namespace sparq;

namespace {

std::vector<float> random_weights(std::size_t count, sparq_test::random_source& random) {
  std::vector<float> weights(count);
  for (float& w : weights) {
    w = 0;
    for (int i = 0; i < 6; ++i) w += random.real(-1.0F, 1.0F);  // a bell
  }
  return weights;
}

/// Sum of squared distances of kept weights to their entries.
template <class N>
double error_of(const clusters<N>& found, const std::vector<float>& weights, const mask& keep) {
  double total = 0;
  const weight_shape shape = keep.shape();
  for (std::size_t n = 0, at = 0; n < shape.n; ++n)
    for (std::size_t k = 0; k < shape.k; ++k, ++at)
      if (keep(n, k)) {
        const double distance =
            static_cast<double>(weights[at]) - found.tables[table_start<N>(n, k, shape.k) + found.codes[at]];
        total += distance * distance;
      }
  return total;
}

}  // namespace

TEST_CASE("cluster: clusters that stand apart are found from any start") {
  const std::vector<float> weights = {-5, -4, 8, 9, 0, 1, 1, 9, -4.5F, 100, 101, 99};
  cluster_options options;
  options.preserve_zero = false;
  const mask all({3, 4}, true);
  for (const cluster_start start : {cluster_start::linear, cluster_start::density, cluster_start::spread}) {
    options.start = start;
    bool found_all = false;
    for (options.seed = 0; options.seed < 20 && !found_all; ++options.seed) {
      const auto found = cluster<codebook<2, f32>>(weights, {3, 4}, all, options);
      found_all = found.tables == std::vector<float>{-4.5F, 2.0F / 3, 26.0F / 3, 100};
      if (found_all) CHECK(found.codes == std::vector<std::uint8_t>{0, 0, 2, 2, 1, 1, 1, 2, 0, 3, 3, 3});
    }
    if (start != cluster_start::linear) CHECK(found_all);  // evenly spaced entries end in another optimum
  }
}

TEST_CASE("cluster: each table serves its own weights") {
  const std::vector<float> weights = {1, 1, 2, 2, -3, 7, 7, 7};
  cluster_options options;
  options.preserve_zero = false;
  const auto by_channel = cluster<codebook<1, f32, per_channel>>(weights, {2, 4}, mask({2, 4}, true), options);
  CHECK(by_channel.tables == std::vector<float>{1, 2, -3, 7});
  const auto by_bucket = cluster<codebook<1, f32, per_bucket<3>>>(weights, {2, 4}, mask({2, 4}, true), options);
  CHECK(by_bucket.tables == std::vector<float>{1, 2, -0.5F, 7, 7, 7});  // 1 1 2 | 2 -3 7 | 7 7
}

TEST_CASE("cluster: more iterations never make it worse, and the result is the same every time") {
  sparq_test::random_source random;
  INFO(random.text());
  const std::vector<float> weights = random_weights(40 * 50, random);
  const mask keep = prune<csr>(weights, {40, 50}, 0.5);
  for (const cluster_start start : {cluster_start::linear, cluster_start::density, cluster_start::spread})
    for (const bool preserve_zero : {true, false}) {
      cluster_options options{start, random.below(1000), 0, preserve_zero};
      using sixteen = codebook<4, f32, per_channel>;
      double before = std::numeric_limits<double>::infinity();
      for (options.iterations = 0; options.iterations < 12; ++options.iterations) {
        const double error = error_of<sixteen>(cluster<sixteen>(weights, {40, 50}, keep, options), weights, keep);
        REQUIRE(error <= before * (1 + 1e-5));
        before = error;
      }
      const auto once = cluster<sixteen>(weights, {40, 50}, keep, options);
      const auto twice = cluster<sixteen>(weights, {40, 50}, keep, options);
      CHECK(once.tables == twice.tables);
      CHECK(once.codes == twice.codes);
      for (std::size_t t = 0; t < once.tables.size(); t += 16)
        CHECK(std::is_sorted(once.tables.begin() + static_cast<std::ptrdiff_t>(t),
                             once.tables.begin() + static_cast<std::ptrdiff_t>(t + 16)));
    }
}

TEST_CASE("cluster: a preserved zero is exact and stands for all pruned weights") {
  sparq_test::random_source random;
  INFO(random.text());
  const std::vector<float> weights = random_weights(30 * 40, random);
  const mask keep = prune<csr>(weights, {30, 40}, 0.5);
  const auto found = cluster<codebook<4, s8, per_channel>>(weights, {30, 40}, keep);
  for (std::size_t n = 0; n < 30; ++n) {
    const auto* table = found.tables.data() + n * 16;
    CHECK(std::count(table, table + 16, 0) >= 1);
    CHECK(std::any_of(table, table + 16, [](int e) { return e < 0; }));
    CHECK(std::any_of(table, table + 16, [](int e) { return e > 0; }));
    for (std::size_t k = 0; k < 40; ++k)
      if (!keep(n, k)) REQUIRE(table[found.codes[n * 40 + k]] == 0);
  }
}

TEST_CASE("cluster: weights of few values are kept as they are") {
  sparq_test::random_source random;
  INFO(random.text());
  static constexpr float values[] = {-1.5F, -0.25F, 0.0F, 0.5F, 0.75F, 2.0F};
  std::vector<float> weights(20 * 30);
  for (float& w : weights) w = random.pick(values);
  const mask keep = nonzero_mask(std::span<const float>(weights), {20, 30});
  const auto found = cluster<codebook<4, f32>>(weights, {20, 30}, keep);
  const auto w = encode_codes<csr, codebook<4, f32>>(found.codes, {20, 30}, keep, found.tables, {});
  const auto got = decode(w);
  for (std::size_t i = 0; i < weights.size(); ++i) REQUIRE(got[i] == weights[i]);
}

TEST_CASE("cluster: even steps meet 0 whatever the compiler fuses") {
  const cluster_options options{cluster_start::linear, 0, 0, false};
  const auto three = cluster<codebook<2, f32>>(std::vector<float>{-1, 2}, {1, 2}, mask({1, 2}, true), options);
  CHECK(three.tables == std::vector<float>{-1, 0, 1, 2});
  const auto fifteen = cluster<codebook<4, f32>>(std::vector<float>{-7, 8}, {1, 2}, mask({1, 2}, true), options);
  for (std::size_t i = 0; i < 16; ++i) CHECK(fifteen.tables[i] == static_cast<float>(i) - 7.0F);
}

TEST_CASE("cluster: small weights keep their entries beside huge ones") {
  using four = codebook<2, f32, per_tensor>;
  const std::vector<float> weights = {1.0F, 5.0F, -1e30F, 1.0F, 5.0F};
  cluster_options options;
  options.preserve_zero = false;
  const auto found = cluster<four>(weights, {1, 5}, mask({1, 5}, true), options);
  CHECK(found.tables == std::vector<float>{-1e30F, 1.0F, 5.0F, 5.0F});
}

TEST_CASE("cluster: nothing, zeros and single weights have tables too") {
  CHECK(cluster<codebook<2, f32, per_channel>>({}, {0, 5}, mask({0, 5}, true)).tables.empty());
  CHECK(cluster<codebook<2, f32, per_channel>>({}, {2, 0}, mask({2, 0}, true)).tables == std::vector<float>(8, 0.0F));
  const std::vector<float> zeros(6);
  CHECK(cluster<codebook<2, s8>>(zeros, {2, 3}, mask({2, 3}, true)).tables == std::vector<std::int8_t>(4, 0));
  CHECK(cluster<codebook<2, s8>>(zeros, {2, 3}, mask({2, 3}, false)).codes == std::vector<std::uint8_t>(6, 0));
  const std::vector<float> one = {-3};
  for (const cluster_start start : {cluster_start::linear, cluster_start::density, cluster_start::spread}) {
    const auto found = cluster<codebook<3, f32>>(one, {1, 1}, mask({1, 1}, true), {start, 1, 9, true});
    CHECK(found.tables[found.codes[0]] == -3);
    CHECK(found.tables.back() == 0);
  }
}

TEST_CASE("cluster: refuses weights that are no numbers and sizes that do not match") {
  std::vector<float> weights(6, 1.0F);
  const mask keep({2, 3}, true);
  CHECK_FALSE(try_cluster<codebook<2, f32>>(weights, {2, 4}, mask({2, 4}, true)).ok());
  CHECK_FALSE(try_cluster<codebook<2, f32>>(weights, {2, 3}, mask({2, 4}, true)).ok());
  weights[4] = std::numeric_limits<float>::infinity();
  CHECK(try_cluster<codebook<2, f32>>(weights, {2, 3}, keep).error().message().find("[n=1][k=1]") != std::string::npos);
  CHECK(try_cluster<codebook<2, s8>>(weights, {2, 3}, keep).error().message().find("[n=1][k=1]") != std::string::npos);
}

namespace {

/// A pruned, clustered, quantized tensor: exact zeros, few distinct values, and its bytes.
template <class Format, class N>
std::size_t check_clustered(double sparsity, sparq_test::random_source& random) {
  const weight_shape shape{256, 512};
  const std::vector<float> weights = random_weights(shape.size(), random);
  mask keep(shape, true);
  if constexpr (std::is_same_v<Format, n_m<2, 4>>)
    keep = prune<Format>(weights, shape);
  else if constexpr (std::is_same_v<Format, bitmask>)
    keep = prune<csr>(weights, shape, sparsity);
  else
    keep = prune<Format>(weights, shape, sparsity);
  //! [clusters]
  const auto found = cluster<N>(weights, shape, keep);
  const auto w = encode_codes<Format, N>(found.codes, shape, keep, found.tables, found.scales);
  //! [clusters]
  const auto entries = decode_codes(w);
  for (std::size_t n = 0; n < shape.n; ++n) {
    std::set<int> distinct;
    for (std::size_t k = 0; k < shape.k; ++k) {
      const int entry = entries[n * shape.k + k];
      if (!keep(n, k)) REQUIRE(entry == 0);
      if (entry != 0) distinct.insert(entry);
    }
    REQUIRE(distinct.size() < N::entries);  // the zero is one of them
    REQUIRE((distinct.empty() || distinct.size() > N::entries / 2));  // a channel may be pruned
  }
  // Each weight is off by half of the widest gap between entries at most: about a sixteenth of the range.
  const auto values = decode(w);
  double error = 0, power = 0;
  for (std::size_t n = 0, at = 0; n < shape.n; ++n)
    for (std::size_t k = 0; k < shape.k; ++k, ++at)
      if (keep(n, k)) {
        error += (values[at] - weights[at]) * (values[at] - weights[at]);
        power += weights[at] * weights[at];
      }
  REQUIRE(error < 0.02 * power);
  return w.bytes();
}

}  // namespace

TEST_CASE("cluster: half of the weights pruned, 16 or 32 values: no larger than int8 in csr and int4 in dense") {
  sparq_test::random_source random;
  INFO(random.text());
  constexpr std::size_t size = 256 * 512, scale_bytes = 256 * 4;
  constexpr std::size_t csr_s8 = size / 2 * (1 + sizeof(index_t)) + 257 * 4 + scale_bytes;
  constexpr std::size_t dense_s4 = size / 2 + scale_bytes;
  constexpr std::size_t least = (std::min)(csr_s8, dense_s4);
  using sixteen = codebook<4, s8, per_channel>;
  using thirty_two = codebook<5, s8, per_tensor>;
  CHECK(check_clustered<tile_wise<32>, sixteen>(0.5, random) <= least);
  CHECK(check_clustered<bitmask, sixteen>(0.5, random) <= least);
  CHECK(check_clustered<tile_wise<32>, thirty_two>(0.5, random) <= least);
  CHECK(check_clustered<bitmask, thirty_two>(0.5, random) <= least);
  // positions of 8 bits, or k's of 32, for each kept weight are more than 4 bits for every weight,
  // whatever its code takes
  CHECK(check_clustered<n_m<2, 4>, sixteen>(0.5, random) < csr_s8 / 3);
  CHECK(check_clustered<n_m<2, 4>, thirty_two>(0.5, random) < csr_s8 / 3);
  CHECK(check_clustered<csr, sixteen>(0.5, random) < csr_s8);
  CHECK(check_clustered<csr, sixteen>(0.9, random) < dense_s4);
}

TEST_CASE("cluster: pruned tensors are smaller than dense int8 from a stated sparsity on") {
  sparq_test::random_source random;
  INFO(random.text());
  const weight_shape shape{256, 512};
  const std::vector<float> weights = random_weights(shape.size(), random);
  constexpr std::size_t dense_s8 = 256 * 512 + 256 * 4;
  std::size_t csr_before = dense_s8 * 4;
  for (const double sparsity : {0.5, 0.75, 0.9, 0.95}) {
    const mask keep = prune<csr>(weights, shape, sparsity);
    const std::size_t in_csr = encode<csr, s8>(weights, shape, keep).bytes();
    CHECK((in_csr < dense_s8) == (sparsity > 0.8));  // 5 bytes for each kept weight
    CHECK(in_csr < csr_before);
    csr_before = in_csr;
    const std::size_t in_bitmask = encode<bitmask, s8>(weights, shape, keep).bytes();
    CHECK(in_bitmask < dense_s8);  // from 1/8 on
    // a zipped TFLite file of such a layer is 0.59 of its bytes at 50 %;
    // without a coder of entropy a third more is near
    if (sparsity == 0.5) CHECK(static_cast<double>(in_bitmask) < 1.35 * 0.59 * static_cast<double>(dense_s8));
    CHECK(encode<tile_wise<32>, s8>(weights, shape, prune<tile_wise<32>>(weights, shape, sparsity)).bytes() < dense_s8);
  }
}
