// SPDX-License-Identifier: MIT
// The matrix test of products in the tiles of AMX: numbers of rows, channels and k's around whole tiles, every format whose
// channels share their k's, panels that lost channels, and what is decoded or looked up before.
#include <sparq/compress/prune.hpp>
#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/tile_n_m.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/numeric/codebook.hpp>
#include <sparq/plan/estimate_rows.hpp>
#include <sparq/tensor/encode.hpp>

#include "tests/support/amx.hpp"
#include "tests/support/patches.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#if SPARQ_HAS_AMX_INT8
using namespace sparq;
using sparq_test::gemm_extents;
using sparq_test::with;

namespace {

std::vector<gemm_extents> extents_around_tiles(sparq_test::random_source& random) {
  static constexpr std::size_t rows[] = {15, 16, 17, 31, 32, 33, 47, 48, 49, 64, 65, 97, 131};
  static constexpr std::size_t channels[] = {1, 15, 16, 17, 31, 32, 33, 48, 65, 130};
  static constexpr std::size_t reductions[] = {57, 60, 61, 63, 64, 65, 68, 100, 124, 127, 128, 129, 131, 192, 257, 300};
  std::vector<gemm_extents> result = {{210, 33, 7001}, {16, 40, 4096}, {200, 16, 640}};  // X is packed in parts
  for (const std::size_t m : rows)
    for (const std::size_t n : channels) result.push_back({m, n, random.pick(reductions)});
  return result;
}

template <class Format, class Combination>
void check_tiles() {
  const sparq_test::amx_in_use tiles;
  sparq_test::random_source random;
  INFO(Format::name() << ", " << random.text());
  workspace scratch;
  for (const gemm_extents e : extents_around_tiles(random)) {
    INFO("m " << e.m << ", n " << e.n << ", k " << e.k);
    REQUIRE(sparq_test::multiplication_problem<Format, Combination>(e, random, scratch) == "");
  }
}

template <class Format, class X, class W>
void check_patches_in_tiles() {
  const sparq_test::amx_in_use tiles;
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (int trial = 0; trial < 60; ++trial)
    sparq_test::check_patches<Format, X, W>(sparq_test::random_convolution<X>(random), random, scratch);
}

/// A product of elements Y has the same bits with tiles and without.
template <class Y, class X, class W, class Epilogue>
void check_same_in_tiles(gemm_extents e, const X& x, const W& w, const Epilogue& stages,
                         sparq_test::random_source& random, workspace& scratch) {
  const auto product = [&] {
    sparq_test::guarded_output<Y> y(e.m, e.n, random);
    gemm(x.view(), w, y.view(), stages, sparq_test::scrambled_executor{1 + random.below(4), &random}, scratch);
    REQUIRE(y.surroundings_intact());
    return y.elements();
  };
  const auto want = product();
  const sparq_test::amx_in_use tiles;
  REQUIRE(product() == want);
}

/// Scales along k: the same bits as without tiles.
template <numeric W, numeric X, class Granularity>
void check_scaled_tiles() {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (int trial = 0; trial < 60; ++trial) {
    const gemm_extents e{16 + random.below(70), 1 + random.below(70), 64 + random.below(500)};
    INFO("m " << e.m << ", n " << e.n << ", k " << e.k);
    const auto w = pack(sparq_test::with_scales<Granularity>(
        sparq_test::random_tensor<dense, W>({e.n, e.k}, sparq_test::random_style(random), random), random));
    const auto x = sparq_test::random_x<X>(e, sparq_test::random_style(random), random);
    const epilogue stages(scale(1.0F), subtract_zero_point(random.chance(0.5) ? 0 : random.between(-100, 100)));
    check_same_in_tiles<float>(e, x, w, stages, random, scratch);
  }
}

/// Random bytes, of which the first begins a line of a cache.
aligned_buffer random_lines(std::size_t count, sparq_test::random_source& random) {
  aligned_buffer lines(count);
  for (std::byte& b : lines.bytes()) b = static_cast<std::byte>(random.below(256));
  return lines;
}

/// What explain says of m rows of X by 48 channels. - `pruned`: every third channel has no weights
template <class Format, numeric W, class Granularity = default_granularity<W>>
explanation explain_rows(std::size_t m, std::size_t k = 128, bool pruned = false) {
  mask keep({48, k}, true);
  for (std::size_t n = 0; n < 48; n += 3)
    for (std::size_t i = 0; pruned && i < k; ++i) keep.set(n, i, false);
  const std::vector<float> ones(48 * k, 1.0F);
  const auto packed = pack(encode<Format, W, Granularity>(ones, weight_shape{48, k}, keep));
  const std::vector<std::uint8_t> x(m * k);
  std::vector<float> y(m * 48);
  return explain_gemm(matrix_view(x.data(), m, k), packed, matrix_view(y.data(), m, std::size_t{48}));
}

}  // namespace

TEMPLATE_TEST_CASE("matrix: dense equals the reference in tiles", "", (with<s8, u8>), (with<s8, s8>), (with<u8, u8>),
                   (with<u8, s8>), (with<s4, u8>), (with<binary, s8>)) {
  check_tiles<dense, TestType>();
}

TEST_CASE("matrix: shared k's equal the reference in tiles") {
  check_tiles<tile_wise<32>, with<u8, s8>>();
  check_tiles<tile_wise<100>, with<s8, u8>>();
  check_tiles<tile_wise<100>, with<s4, s8>>();
  check_tiles<tile_n_m<32, 2, 4>, with<s8, s8>>();
}

TEST_CASE("matrix: wide panels that lost channels give the same sums in tiles") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (int trial = 0; trial < 20; ++trial) {
    const gemm_extents e{33 + random.below(60), 150 + random.below(100), 150 + random.below(300)};
    INFO("m " << e.m << ", n " << e.n << ", k " << e.k);
    std::vector<float> weights(e.n * e.k);
    for (std::size_t i = 0; i < weights.size(); ++i)  // channels of small weights are pruned, and lie between others
      weights[i] = static_cast<float>(random.between(1, 100)) * (i / e.k % 3 == 0 ? 0.001F : 1.0F);
    const weight_shape shape{e.n, e.k};
    const auto w = pack(encode<tile_wise<100>, s8>(weights, shape, prune<tile_wise<100>>(weights, shape, 0.6)));
    CHECK(std::ranges::any_of(w.view().panels(), [](const packed_panel& p) { return p.kept > 32 && p.kept < p.channels; }));
    const auto x = sparq_test::random_x<u8>(e, sparq_test::random_style(random), random);
    check_same_in_tiles<std::int32_t>(e, x, w, epilogue<>(), random, scratch);
  }
}

TEST_CASE("matrix: codebooks and longer positions equal the reference in tiles") {
  check_tiles<dense, with<codebook<4, s8, per_channel>, u8>>();
  check_tiles<tile_wise<32>, with<codebook<4, s8, per_tensor>, u8>>();
  check_tiles<tile_n_m<16, 1, 8>, with<s8, u8>>();
}

TEST_CASE("matrix: scales along k give the same bits in tiles") {
  check_scaled_tiles<s4, s8, per_group<64>>();
  check_scaled_tiles<s8, u8, per_group<128>>();
  check_scaled_tiles<u8, u8, per_group<64>>();
  check_scaled_tiles<ternary, u8, per_group<256>>();
}

TEST_CASE("matrix: X is read where it lies in tiles, if its rows begin with lines of a cache") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  const sparq_test::amx_in_use tiles;
  const auto check = [&](std::size_t m, std::size_t k, std::size_t stride, std::size_t shift, bool in_place) {
    INFO("m " << m << ", k " << k << ", stride " << stride << ", shift " << shift);
    const aligned_buffer lines = random_lines(m * stride + shift, random);
    const matrix_view x(reinterpret_cast<const std::uint8_t*>(lines.bytes().data()) + shift, m, k, stride);
    const auto w = sparq_test::random_tensor<dense, s8>({40, k}, sparq_test::random_style(random), random);
    const auto packed = pack(w);
    std::vector<std::int32_t> y(m * 40);
    const matrix_view<std::int32_t> out(y.data(), m, std::size_t{40});
    CHECK((explain_gemm(x, packed, out).x_access == "in place") == in_place);
    gemm(x, packed, out, epilogue<>{}, serial, scratch);
    REQUIRE(y == reference_gemm(x, w.view()));
  };
  check(33, 128, 128, 0, true);
  check(47, 132, 192, 0, true);   // the last k's fill no tile
  check(16, 100, 128, 0, true);
  check(33, 128, 128, 1, false);
  check(33, 128, 130, 0, false);
  check(33, 2048, 2048, 0, false);  // all in one set of the first-level cache
  check(33, 130, 192, 0, false);    // the last k's are no whole group
}

TEST_CASE("matrix: a workspace that was measured suffices for an X that lies anywhere, in tiles") {
  sparq_test::random_source random;
  INFO(random.text());
  const sparq_test::amx_in_use tiles;
  constexpr std::size_t m = 33, n = 40, k = 128, stride = 192;
  const auto w = sparq_test::random_tensor<dense, s8>({n, k}, sparq_test::random_style(random), random);
  const auto packed = pack(w);
  const aligned_buffer lines = random_lines(m * stride + 1, random);
  const auto* line = reinterpret_cast<const std::uint8_t*>(lines.bytes().data());
  std::vector<std::int32_t> y(m * n);
  const matrix_view<std::int32_t> out(y.data(), m, n);
  const matrix_view<const std::uint8_t> aligned(line, m, k, stride);
  for (const explanation& said :
       {explain_gemm<std::uint8_t, std::int32_t>(m, packed), explain_gemm(aligned, packed, out)})
    for (const std::size_t shift : {0U, 1U})
      for (const std::size_t bytes : {said.workspace_bytes, said.least_workspace_bytes}) {
        INFO("shift " << shift << ", " << bytes << " bytes");
        aligned_buffer block(bytes);
        workspace scratch(block.bytes());
        const matrix_view<const std::uint8_t> x(line + shift, m, k, stride);
        REQUIRE(try_gemm(x, packed, out, epilogue<>{}, serial, scratch).message() == "");
        REQUIRE(y == reference_gemm(x, w.view()));
      }
}

TEST_CASE("matrix: convolutions equal the plain ones in tiles") {
  check_patches_in_tiles<dense, u8, s8>();
  check_patches_in_tiles<tile_wise<20>, s8, s8>();
}

TEST_CASE("matrix: explain says whether a product runs in tiles") {
  CHECK(explain_rows<dense, s8>(64).atom.find("amx") == std::string::npos);
  const sparq_test::amx_in_use tiles;
  const explanation e = explain_rows<dense, s8>(64);
  CHECK(e.atom == "dot4_u8s8_amx");
  CHECK(e.block_rows == 32);
  CHECK(e.block_channels == 32);
  CHECK(explain_rows<tile_wise<32>, s4>(16).atom == "dot4_u8s8_amx");
  CHECK(explain_rows<tile_wise<32>, s8>(16, 128, true).atom == "dot4_u8s8_amx");
  CHECK(explain_rows<tile_wise<32>, s4>(16, 128, true).atom == "dot4_u8s8_avx512vnni");  // not decoded beforehand
  CHECK(explain_rows<dense, s8>(64, 60).atom == "dot4_u8s8_avx512vnni");  // fill no tile
  CHECK(explain_rows<dense, s8>(64, 61).atom == "dot4_u8s8_amx");
  CHECK(explain_rows<dense, s8>(15).atom == "dot4_u8s8_avx512vnni");
  CHECK(explain_rows<dense, s4, per_group<128>>(64, 300).atom == "dot4_u8s8_amx");
  CHECK(explain_rows<dense, s4, per_group<32>>(64, 300).atom == "dot4_u8s8_avx512vnni");
  CHECK(explain_rows<csr, s8>(64).atom.find("amx") == std::string::npos);
  CHECK(explain_rows<block<16, 4>, s8>(64).atom.find("amx") == std::string::npos);
}

TEST_CASE("matrix: the plan reckons with tiles where products run in them") {
  const std::vector<float> ones(256 * 768, 1.0F);
  const auto cycles = [&]<class Format>(std::type_identity<Format>, std::size_t m) {
    const auto w = encode<Format, s8>(ones, weight_shape{256, 768});
    return machine::rows_estimate<Format, s8, per_channel>(w.view(), m).rows();
  };
  const auto dense_15 = cycles(std::type_identity<dense>{}, 15), dense_128 = cycles(std::type_identity<dense>{}, 128),
             runs_128 = cycles(std::type_identity<block<16, 4>>{}, 128);
  const sparq_test::amx_in_use tiles;
  CHECK(cycles(std::type_identity<dense>{}, 15) == dense_15);
  CHECK(cycles(std::type_identity<dense>{}, 128) < 0.6 * dense_128);
  CHECK(cycles(std::type_identity<block<16, 4>>{}, 128) == runs_128);
}
#else
TEST_CASE("matrix: no tiles on this instruction set") { SUCCEED("needs AMX"); }
#endif
