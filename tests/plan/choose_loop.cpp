// SPDX-License-Identifier: MIT
#include <sparq/compress/prune.hpp>
#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/tile_n_m.hpp>
#include <sparq/plan/choose_loop.hpp>
#include <sparq/tensor/encode.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/operands.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <vector>

using namespace sparq;

namespace {

template <class Format, class N = s8>
loop_costs costs_at(double density, std::size_t m) {
  sparq_test::random_source fixed(1);
  const weight_shape shape{256, 512};
  mask keep(shape, false);
  for (std::size_t i = 0; i < shape.size(); ++i) keep.data()[i] = fixed.chance(density);
  const auto w = sparq_test::random_tensor<Format, N>(keep, sparq_test::value_style::extremes, fixed);
  return estimate_loops(w.view(), m);
}

}  // namespace

TEST_CASE("choose_loop: scattered weights go to columns once they are few, dense weights and large blocks to rows") {
  const loop_kind few = costs_at<csr>(0.05, 128).best();  // or to windows, where one permute reaches 64 bytes
  CHECK((few == loop_kind::columns || (SPARQ_HAS_AVX512VBMI && few == loop_kind::window)));
  CHECK(costs_at<csr>(1.0, 128).best() == loop_kind::rows);
  CHECK(costs_at<dense>(1.0, 128).best() == loop_kind::rows);
  // AVX-512: two strips share what is broadcast; those of 16 channels are alone
  CHECK(costs_at<block<32, 4>>(1.0, 128).best() == loop_kind::rows);
  CHECK(costs_at<block<16, 4>>(1.0, 128).best() == (SPARQ_HAS_AVX512VNNI ? loop_kind::columns : loop_kind::rows));
}

TEST_CASE("choose_loop: positions that a panel shares cost the less, the more channels it has; AVX2 compacts X by them") {
  sparq_test::random_source fixed(3);
  mask keep({256, 512}, false);
  for (std::size_t i = 0; i < keep.shape().size(); ++i) keep.data()[i] = i % 4 < 2;
  const auto costs = [&]<class Format>(std::type_identity<Format>, std::size_t m) {
    return estimate_loops(sparq_test::random_tensor<Format, s8>(keep, sparq_test::value_style::extremes, fixed).view(), m);
  };
  const loop_costs few = costs(std::type_identity<tile_n_m<16, 2, 4>>{}, 128);
  const loop_costs many = costs(std::type_identity<tile_n_m<128, 2, 4>>{}, 128);
  if constexpr (SPARQ_HAS_AVX2 && !SPARQ_HAS_AVX512) {
    CHECK(many.rows < few.rows);
    CHECK(many.best() == loop_kind::rows);
    CHECK(costs(std::type_identity<tile_n_m<32, 2, 4>>{}, 128).best() == loop_kind::rows);
  } else {
    CHECK(many.rows <= few.rows);
  }
}

TEST_CASE("choose_loop: costs fall with the density and rise with the rows") {
  for (const std::size_t m : {1U, 2U, 3U, 16U, 128U}) {
    CHECK(costs_at<csr>(0.1, m).columns < costs_at<csr>(0.5, m).columns);
    CHECK(costs_at<csr>(0.5, m).columns <= costs_at<csr>(0.5, m + 64).columns);
    CHECK(costs_at<csr>(0.5, m).rows <= costs_at<csr>(0.5, m + 64).rows);
  }
}

TEST_CASE("choose_loop: blocks are not expanded for many rows, however small k, and expanding stores sums in less time than rows do") {
  sparq_test::random_source fixed(2);
  for (const std::size_t k : {16U, 64U, 127U, 512U}) {
    mask keep({256, k}, false);
    for (std::size_t i = 0; i < keep.shape().size(); ++i) keep.data()[i] = (i / k / 16 + i % k / 4) % 2 == 0;  // every other block
    const auto w = sparq_test::random_tensor<block<16, 4>, s8>(keep, sparq_test::value_style::extremes, fixed);
    const loop_costs costs = estimate_loops(w.view(), 3136);
    CHECK(costs.expand > costs.rows);
    CHECK(costs.best() != loop_kind::expand);
    if (k >= 256) CHECK(costs.expand > costs.dense);
  }
}

TEST_CASE("choose_loop: scales along k are for the rows loop, unless X lies by columns") {
  const std::vector<float> weights(16 * 64, 0.5F);
  const auto w = encode<dense, s4, per_group<32>>(weights, {16, 64});
  CHECK(choose_loop(w, 128) == loop_kind::rows);
  CHECK(choose_loop(w, 128, x_layout::k_major) == loop_kind::columns);
}

TEST_CASE("choose_loop: X by columns leaves the columns loop alone, and dense weights run there too") {
  for (const std::size_t m : {1U, 2U, 3U, 16U, 128U}) {
    const auto check = [m](const auto& w) {
      const loop_costs costs = estimate_loops(w.view(), m, x_layout::k_major);
      CHECK(choose_loop(w, m, x_layout::k_major) == loop_kind::columns);
      CHECK(std::isinf(costs.rows));
      CHECK(std::isinf(costs.expand));
      CHECK(std::isfinite(costs.dense));
    };
    const std::vector<float> weights(32 * 64, 0.5F);
    check(encode<dense, s8>(weights, {32, 64}));
    check(encode<csr, f32>(weights, {32, 64}));
    check(encode<block<16, 4>, s4>(weights, {32, 64}));
  }
  sparq_test::random_source fixed(1);
  mask keep({256, 512}, false);
  for (std::size_t i = 0; i < keep.shape().size(); ++i) keep.data()[i] = fixed.chance(0.05);
  const auto few = sparq_test::random_tensor<csr, s8>(keep, sparq_test::value_style::extremes, fixed);
  CHECK_FALSE(estimate_loops(few.view(), 128, x_layout::k_major).dense_is_as_fast());
}

TEST_CASE("choose_loop: a last block of few rows costs what it runs, not a whole one") {
  // 6 + 2 rows of AVX2, 12 of AVX-512: never less for some blocks more, and no row costs more than a block of its own.
  // Two rows more may cost less: 12 in one block multiply while they read, of 6 and 4 only the first
  for (std::size_t m = 1; m < 40; ++m) {
    CAPTURE(m);
    CHECK(costs_at<csr>(0.5, m).rows <= costs_at<csr>(0.5, m + 24).rows);
    CHECK(costs_at<csr>(0.5, m + 1).rows <= costs_at<csr>(0.5, m).rows + costs_at<csr>(0.5, 1).rows);
  }
}

TEST_CASE("choose_loop: rows beyond the first block multiply while nothing is read, so they cost less each") {
  const auto rows = [](std::size_t m) { return costs_at<dense, f32>(1.0, m).rows; };
  const double first = rows(1);
  CHECK(rows(2) - first < first);
  CHECK(rows(128) < 128 * first);
  // once X is more than is packed together, weights pass by again
  const std::vector<float> weights(64 * 4096, 0.5F);
  const auto w = encode<dense, f32>(weights, {64, 4096});
  const auto one = estimate_loops(w.view(), 1).rows, many = estimate_loops(w.view(), 512).rows;
  CHECK(many > one);
  CHECK(estimate_loops(w.view(), 1024).rows > 1.9 * many);
}

TEST_CASE("choose_loop: activations of 16 bits have costs of their own, where bytes have an instruction") {
  sparq_test::random_source fixed(1);
  mask keep({64, 256}, false);
  for (std::size_t i = 0; i < keep.shape().size(); ++i) keep.data()[i] = fixed.chance(0.25);
  const auto w = sparq_test::random_tensor<csr, s8>(keep, sparq_test::value_style::extremes, fixed);
  const loop_costs bytes = estimate_loops(w.view(), 128), shorts = estimate_loops<std::int16_t>(w.view(), 128);
  CHECK((bytes.rows < shorts.rows) == SPARQ_HAS_AVX512VNNI);
  CHECK((bytes.columns < shorts.columns) == SPARQ_HAS_AVX512VNNI);
  CHECK(choose_loop<std::int16_t>(w, 128) == shorts.best());
}

TEST_CASE("choose_loop: X of bf16 has costs of its own, where one instruction multiplies pairs") {
  sparq_test::random_source fixed(1);
  mask keep({64, 256}, false);
  for (std::size_t i = 0; i < keep.shape().size(); ++i) keep.data()[i] = fixed.chance(0.25);
  const auto w = sparq_test::random_tensor<csr, bf16>(keep, sparq_test::value_style::any, fixed);
  const loop_costs floats = estimate_loops<float>(w.view(), 128), pairs = estimate_loops<brain_float>(w.view(), 128);
  CHECK((floats.rows < pairs.rows) == SPARQ_HAS_AVX512BF16);
  CHECK((floats.dense != pairs.dense) == SPARQ_HAS_AVX512BF16);
  CHECK(estimate_loops(w.view(), 128).rows == floats.rows);
}

TEST_CASE("choose_loop: windows are for few rows and few weights, and for formats whose k's are scattered") {
  const loop_costs half = costs_at<csr>(0.5, 1), few = costs_at<csr>(0.1, 1);
  CHECK(few.window < half.window);
  CHECK(few.window < costs_at<csr>(0.1, 8).window);
  CHECK(std::isinf(costs_at<block<16, 4>>(0.1, 1).window));
#if SPARQ_HAS_AVX2 && !SPARQ_HAS_AVX512
  CHECK(few.best() == loop_kind::window);
  CHECK(costs_at<csr>(0.1, 128).best() == loop_kind::columns);
#endif
}

TEST_CASE("choose_loop: few floats meet few rows in windows, many rows in columns") {
  CHECK(costs_at<csr, f32>(0.25, 1).window < costs_at<csr, f32>(0.25, 4).window);
  CHECK(std::isinf(costs_at<block<16, 4>, f32>(0.25, 1).window));
#if SPARQ_HAS_AVX2
  CHECK(costs_at<csr, f32>(0.25, 1).best() == loop_kind::window);
  CHECK(costs_at<csr, f32>(0.25, 2).best() == loop_kind::window);
#endif
#if SPARQ_HAS_AVX2 && !SPARQ_HAS_AVX512
  CHECK(costs_at<csr, f32>(0.25, 4).best() == loop_kind::window);
  CHECK(costs_at<csr, f32>(0.25, 5).best() == loop_kind::window);
#endif
  CHECK(costs_at<csr, f32>(0.25, 128).best() == loop_kind::columns);
}

TEST_CASE("choose_loop: scales along k of few weights anywhere are for windows") {
  std::vector<float> weights(64 * 512);
  sparq_test::random_source fixed(1);
  for (float& w : weights) w = fixed.chance(0.1) ? fixed.real(0.5F, 1.0F) : 0.0F;
  const auto w = encode<csr, s8, per_group<128>>(weights, {64, 512});
  CHECK(choose_loop(w, 1) == loop_kind::window);
  CHECK(choose_loop(w, 1, x_layout::k_major) == loop_kind::columns);
  for (float& value : weights) value = 1.0F;
  const loop_kind full = choose_loop(encode<csr, s8, per_group<128>>(weights, {64, 512}), 1);
  // or a bitmask expanded in registers, which takes as long there
  CHECK((full == loop_kind::rows || (SPARQ_HAS_AVX512VBMI2 && SPARQ_HAS_AVX512VNNI && full == loop_kind::expand)));
}

#if SPARQ_HAS_AVX2 && !SPARQ_HAS_AVX512
TEST_CASE("choose_loop: blocks of floats stay in the rows loop, whose sums wait for no loads") {
  std::vector<float> weights(256 * 512);
  sparq_test::random_source fixed(1);
  for (float& w : weights) w = fixed.real(-1.0F, 1.0F);
  const weight_shape shape{256, 512};
  const auto w = encode<block<16, 4>, f32>(weights, shape, prune<block<16, 4>>(weights, shape, 0.5));
  for (const std::size_t m : {std::size_t{12}, std::size_t{128}, std::size_t{512}}) CHECK(choose_loop(w, m) == loop_kind::rows);
}
#endif

TEST_CASE("choose_loop: a bitmask is read in the time of its bytes, whatever its zeros") {
  const loop_costs half = costs_at<csr>(0.5, 1), few = costs_at<csr>(0.05, 1);
  CHECK(few.expand <= half.expand);
  CHECK((std::min)(few.columns, few.window) < few.expand);
  CHECK(half.dense == few.dense);
}

TEST_CASE("choose_loop: few rows read codebooks of many zeros in windows") {
  sparq_test::random_source fixed(1);
  mask keep({256, 1024}, false);
  for (std::size_t i = 0; i < 256 * 1024; ++i) keep.data()[i] = fixed.chance(0.1);
  const auto w = sparq_test::random_tensor<csr, codebook<4, s8, per_channel>>(keep, sparq_test::value_style::any, fixed);
  const loop_costs costs = estimate_loops(w.view(), 1);
  CHECK(costs.window < costs.rows);
  if (SPARQ_HAS_AVX2) CHECK(costs.best() == loop_kind::window);
}

TEST_CASE("choose_loop: codebooks pay for each lookup: floats in windows, larger tables of bytes in columns") {
  sparq_test::random_source fixed(1);
  mask keep({256, 1024}, false);
  for (std::size_t i = 0; i < 256 * 1024; ++i) keep.data()[i] = fixed.chance(0.1);
  const auto floats = sparq_test::random_tensor<csr, codebook<4, f32>>(keep, sparq_test::value_style::any, fixed);
  const loop_costs few = estimate_loops(floats.view(), 2);
  CHECK(few.window < few.rows);
  if (SPARQ_HAS_AVX2 && !SPARQ_HAS_AVX512) CHECK(few.window < few.columns);
  const auto bytes = sparq_test::random_tensor<csr, codebook<6>>(keep, sparq_test::value_style::any, fixed);
  CHECK(choose_loop(bytes, 2) == loop_kind::columns);
  const auto small = sparq_test::random_tensor<csr, codebook<4>>(keep, sparq_test::value_style::any, fixed);
  CHECK(estimate_loops(small.view(), 2).rows < estimate_loops(bytes.view(), 2).rows);
}

TEST_CASE("choose_loop: bytes of Y cost the columns loop less than sums") {
  const std::vector<float> weights(64 * 64, 0.5F);
  const auto w = encode<csr, s8>(weights, {64, 64});
  const loop_costs sums = estimate_loops(w.view(), 784), bytes = estimate_loops<std::uint8_t, std::uint8_t>(w.view(), 784);
  CHECK(bytes.columns < sums.columns);
  CHECK(bytes.rows == sums.rows);
  CHECK(choose_loop<std::uint8_t, std::uint8_t>(w, 784) == bytes.best());
}

TEST_CASE("choose_loop: many rows meet few weights with scales along k in columns") {
  std::vector<float> weights(64 * 1024);
  sparq_test::random_source fixed(1);
  for (float& w : weights) w = fixed.chance(0.05) ? fixed.real(0.5F, 1.0F) : 0.0F;
  const auto w = encode<csr, s8, per_group<512>>(weights, {64, 1024});
  CHECK(estimate_loops(w.view(), 512).columns < estimate_loops(w.view(), 512).rows);
}

TEST_CASE("choose_loop: matrices without weights have finite costs") {
  const auto check = [](const auto& w) {
    for (const std::size_t m : {0u, 1u, 3u, 100u}) {
      INFO(to_string(w.shape()) << ", " << m << " rows");
      CHECK(std::isfinite(estimate_loops(w.view(), m).columns));
      CHECK(std::isfinite(estimate_loops(w.view(), m).rows));
    }
  };
  for (const weight_shape shape : {weight_shape{0, 0}, weight_shape{5, 0}, weight_shape{0, 64}}) {
    const std::vector<float> none;
    check(encode<csr, s8, per_channel>(none, shape));
    check(encode<csr, s8, per_group<32>>(none, shape));
    check(encode<dense, s8, per_group<32>>(none, shape));
    check(encode<csr, f32>(none, shape));
  }
}
