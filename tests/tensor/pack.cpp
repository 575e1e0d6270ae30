// SPDX-License-Identifier: MIT
#include <sparq/compress/prune.hpp>
#include <sparq/format/bitmask.hpp>
#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_n_m.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/format/tile_wise_n_m.hpp>
#include <sparq/numeric/power.hpp>
#include <sparq/tensor/encode.hpp>
#include <sparq/tensor/pack.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/operands.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

using namespace sparq;

TEST_CASE("pack: says its bytes beforehand and writes them where it is told") {
  const std::vector<std::int8_t> codes(20 * 30, 1);
  const auto w = encode_codes<dense, s8, per_tensor>(codes, {20, 30}, {1.0F});
  const std::size_t bytes = packed_bytes(w);
  aligned_buffer block(bytes);
  CHECK(try_pack_into(w, block.bytes()).ok());
  const auto own = pack(w);
  CHECK(own.bytes() == bytes);
  CHECK(std::equal(own.block().begin(), own.block().end(), block.bytes().begin()));
  aligned_buffer small(bytes - 1);
  CHECK_FALSE(try_pack_into(w, small.bytes()).ok());
  CHECK(std::all_of(small.bytes().begin(), small.bytes().end(), [](std::byte b) { return b == std::byte{}; }));
}

TEST_CASE("pack: 768 x 3072 weights take the bytes that README.md and docs/formats say") {
  sparq_test::random_source random(1);
  constexpr weight_shape shape{768, 3072};
  std::vector<float> weights(shape.size());
  for (float& weight : weights) weight = random.real(1.0F, 2.0F);
  const auto bytes = [&]<class F>(F, const mask& keep) { return packed_bytes(encode<F, s8>(weights, shape, keep)); };
  CHECK(bytes(dense{}, mask(shape)) == 2365888);
  CHECK(bytes(block<16, 4>{}, prune<block<16, 4>>(weights, shape, 0.75)) == 636288);
  CHECK(bytes(tile_n_m<32, 2, 4>{}, prune<tile_n_m<32, 2, 4>>(weights, shape)) == 1224576);
  CHECK(bytes(n_m<2, 4>{}, prune<n_m<2, 4>>(weights, shape)) == 1481152);
  const auto w = encode<csr, s8>(weights, shape, prune<csr>(weights, shape, 0.9));  // at random: nearly the same
  const auto bits = [&](std::size_t of) { return 8.0 * static_cast<double>(of) / static_cast<double>(shape.size()); };
  CHECK(std::abs(bits(packed_bytes(w)) - 2.39) < 0.01);
  CHECK(std::abs(bits(packed_bytes(w, for_rows{1})) - 2.26) < 0.01);
}

namespace {

/// Weights of N, and the same codes as the type that kernels hold for them, packed.
template <class Format, numeric N, class Shape>
void check_same_bytes(sparq_test::random_source& random) {
  using packed_type = packed_numeric_t<N>;
  INFO(Format::name() << " of " << N::name << " and of " << packed_type::name);
  const auto w = sparq_test::random_tensor<Format, N>({37, 77}, sparq_test::value_style::any, random);
  const auto as = tensor<Format, packed_type>(
      w.index(),
      [&] {
        aligned_buffer values(storage_bytes<packed_type>(w.index().slots()));
        for (std::size_t slot = 0; slot < w.index().slots(); ++slot)
          store_code<packed_type>(values.data(), slot, load_code<N>(w.values().data(), slot));
        return values;
      }(),
      {w.scales().begin(), w.scales().end()});
  const auto got = pack<Shape>(w), want = pack<Shape>(as);
  REQUIRE(std::ranges::equal(got.block(), want.block()));
}

template <class Format, numeric... N>
void check_same_bytes(sparq_test::random_source& random) {
  (check_same_bytes<Format, N, panel_shape<16, 4>>(random), ...);
  (check_same_bytes<Format, N, column_shape<4, 4>>(random), ...);
}

}  // namespace

TEMPLATE_TEST_CASE("pack: types that kernels hold as another pack to its bytes, in every format", "", dense, csr,
                   bitmask, (block<16, 4>), (n_m<2, 4>), tile_wise<8>, (tile_n_m<32, 2, 4>),
                   (tile_wise<8, n_m<2, 4>>)) {
  sparq_test::random_source random;
  INFO(random.text());
  for (int trial = 0; trial < 5; ++trial)
    check_same_bytes<TestType, s3, u3, s6, s4_high_first, pow2<4>, ternary_dense5>(random);
}
