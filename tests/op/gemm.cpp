// SPDX-License-Identifier: MIT
#include <sparq/compress/prune.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/kernel/reference.hpp>
#include <sparq/op/gemm.hpp>
#include <sparq/tensor/encode.hpp>

#include "tests/support/backwards.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/operands.hpp"
#include "tests/support/random.hpp"

#include <string>
#include <vector>

using namespace sparq;

namespace {

struct operands {
  std::size_t m = 45, n = 70, k = 90;
  std::vector<std::uint8_t> x;
  std::vector<std::int8_t> codes;

  explicit operands(sparq_test::random_source& random) : x(m * k), codes(n * k) {
    for (auto& v : x) v = static_cast<std::uint8_t>(random.between(0, 255));
    for (std::size_t i = 0; i < codes.size(); ++i)
      if (i / k % 3 != 1 && random.chance(0.4)) codes[i] = static_cast<std::int8_t>(random.between(-128, 127));
  }
  matrix_view<const std::uint8_t> rows() const { return {x.data(), m, k}; }
  auto encoded() const { return encode_codes<tile_wise<16>, s8, per_tensor>(codes, {n, k}, {1.0F}); }
};

}  // namespace

TEST_CASE("gemm: no result depends on how the work is cut") {
  sparq_test::random_source random;
  INFO(random.text());
  const operands o(random);
  const auto w = o.encoded();
  const auto packed = pack(w);
  const auto want = reference_gemm(o.rows(), w.view());
  for (const std::size_t parts : {1u, 2u, 3u, 7u, 16u, 100u}) {
    INFO(parts << " parts");
    std::vector<std::int32_t> y(o.m * o.n, 0x7dcdcdcd);
    workspace scratch;
    gemm(o.rows(), packed, matrix_view<std::int32_t>(y.data(), o.m, o.n), epilogue<>(), sparq_test::backwards{parts},
         scratch);
    REQUIRE(y == want);
  }
}

TEST_CASE("gemm: pruned output channels hold epilogue(0), never what was in memory") {
  sparq_test::random_source random;
  INFO(random.text());
  operands o(random);
  const auto packed = pack(o.encoded());
  const std::vector<std::int32_t> biases(o.n, 42);
  std::vector<std::uint8_t> y(o.m * o.n, 0xcd);
  workspace scratch;
  gemm(o.rows(), packed, matrix_view<std::uint8_t>(y.data(), o.m, o.n),
       epilogue(bias(biases), requantize_to_codes<u8>(fp32_nearest_even::parameters{0.5F}, 10)), serial, scratch);
  for (std::size_t i = 0; i < o.m; ++i)
    for (std::size_t j = 1; j < o.n; j += 3) REQUIRE(y[i * o.n + j] == 31);
}

TEST_CASE("gemm: explains what it needs, and a fixed workspace of that size is enough") {
  sparq_test::random_source random;
  const operands o(random);
  const auto packed = pack(o.encoded());
  const explanation told = explain_gemm<std::uint8_t, std::int32_t>(o.m, packed);
  CHECK(told.weights == "list all s8 per_tensor 16x4");
  aligned_buffer block(told.workspace_bytes);
  workspace scratch(block.bytes());
  std::vector<std::int32_t> y(o.m * o.n, 5);
  const matrix_view<std::int32_t> out(y.data(), o.m, o.n);
  CHECK(try_gemm(o.rows(), packed, out, scratch).ok());

  workspace short_of_one(block.bytes().first(told.least_workspace_bytes - 1));
  std::vector<std::int32_t> untouched(o.m * o.n, 5);
  CHECK_FALSE(try_gemm(o.rows(), packed, matrix_view<std::int32_t>(untouched.data(), o.m, o.n), epilogue<>(), serial,
                       short_of_one)
                  .ok());
  CHECK(untouched == std::vector<std::int32_t>(o.m * o.n, 5));
}

TEST_CASE("gemm: fewer bytes of scratch than wanted take fewer rows at a time, to the same sums") {
  sparq_test::random_source random;
  INFO(random.text());
  const operands o(random);
  const auto check = [&](const auto& packed) {
    std::vector<std::int32_t> y(o.m * o.n), want(o.m * o.n);
    const matrix_view<std::int32_t> out(y.data(), o.m, o.n);
    workspace scratch;
    gemm(o.rows(), packed, matrix_view<std::int32_t>(want.data(), o.m, o.n), scratch);
    for (const std::size_t parts : {1U, 3U}) {
      const explanation told = explain_gemm<std::uint8_t, std::int32_t>(o.m, packed, parts);
      aligned_buffer block(told.workspace_bytes);
      REQUIRE(told.least_workspace_bytes <= told.workspace_bytes);
      for (std::size_t bytes = told.least_workspace_bytes; bytes < told.workspace_bytes;
           bytes += 1 + random.below(3000)) {
        INFO(bytes << " bytes of " << told.workspace_bytes << ", " << parts << " parts, loop " << told.loop);
        workspace few(block.bytes().first(bytes));
        y.assign(y.size(), 0x7dcdcdcd);
        REQUIRE(try_gemm(o.rows(), packed, out, epilogue<>(), sparq_test::backwards{parts}, few).ok());
        REQUIRE(y == want);
      }
    }
  };
  const auto w = o.encoded();
  check(pack(w));
  check(pack<column_shape<4, 4>>(w));
  check(pack<bitmask_shape<16, 4>>(w));
  check(pack(encode_codes<csr, s8, per_tensor>(o.codes, {o.n, o.k}, {1.0F})));
  check(pack(encode_codes<dense, s8, per_tensor>(o.codes, {o.n, o.k}, {1.0F})));
}

TEMPLATE_TEST_CASE("gemm: rows that take several passes, the last one shorter", "", s8, codebook<4>) {
  sparq_test::random_source random;
  INFO(random.text());
  const std::size_t m = 311, n = 19, k = 1501;
  const auto w = sparq_test::random_tensor<dense, TestType>({n, k}, sparq_test::value_style::extremes, random);
  std::vector<std::uint8_t> x(m * k);
  for (auto& v : x) v = static_cast<std::uint8_t>(random.between(0, 255));
  const matrix_view<const std::uint8_t> rows(x.data(), m, k);
  const auto packed = pack<default_panel_shape<s8>>(w);
  std::vector<std::int32_t> y(m * n);
  workspace scratch;
  gemm(rows, packed, matrix_view(y.data(), m, n), scratch);
  CHECK(y == reference_gemm(rows, w.view()));
  if constexpr (SPARQ_HAS_AVX2 && !SPARQ_HAS_AVX512)
    CHECK(explain_gemm<std::uint8_t, std::int32_t>(m, packed).cached_rows < m);
}

TEST_CASE("gemm: extents that do not match are named") {
  sparq_test::random_source random;
  const operands o(random);
  const auto packed = pack(o.encoded());
  std::vector<std::int32_t> y(o.m * o.n);
  workspace scratch;
  const status narrow = try_gemm(matrix_view<const std::uint8_t>(o.x.data(), o.m, o.k - 1), packed,
                                 matrix_view<std::int32_t>(y.data(), o.m, o.n), epilogue<>(), serial, scratch);
  CHECK(narrow.message() == "gemm: X is 45 x 89, W is 70 x 90; X needs 90 columns");
  const status short_y = try_gemm(o.rows(), packed, matrix_view<std::int32_t>(y.data(), o.m - 1, o.n), epilogue<>(),
                                  serial, scratch);
  CHECK(short_y.message() == "gemm: Y is 44 x 70, it needs to be 45 x 70");
}

TEST_CASE("gemm: a stride that is too short is refused, by rows and by columns") {
  const auto w = pack(encode_codes<csr, s8, per_tensor>(std::vector<std::int8_t>(5 * 7, 1), {5, 7}, {1.0F}));
  const std::vector<std::uint8_t> x(100, 1);
  std::vector<std::int32_t> y(100, -1);
  workspace scratch;
  const auto message = [&](auto from, auto to) {
    return try_gemm(from, w, to, epilogue<>(), serial, scratch).message();
  };
  const auto x_rows = [&](std::size_t stride) { return matrix_view<const std::uint8_t>(x.data(), 9, 7, stride); };
  const auto x_columns = [&](std::size_t stride) { return k_major_view<const std::uint8_t>(x.data(), 9, 7, stride); };
  const auto y_rows = [&](std::size_t stride) { return matrix_view<std::int32_t>(y.data(), 9, 5, stride); };
  const auto y_columns = [&](std::size_t stride) { return k_major_view<std::int32_t>(y.data(), 9, 5, stride); };
  CHECK(message(x_rows(6), y_rows(5)) == "gemm: X has a stride of 6; at least 7 are needed");
  CHECK(message(x_columns(8), y_rows(5)) == "gemm: X has a stride of 8; at least 9 are needed");
  CHECK(message(x_rows(7), y_rows(4)) == "gemm: Y has a stride of 4; at least 5 are needed");
  CHECK(message(x_rows(7), y_columns(8)) == "gemm: Y has a stride of 8; at least 9 are needed");
  CHECK(y == std::vector<std::int32_t>(100, -1));
  CHECK(message(x_columns(9), y_columns(9)).empty());
  CHECK(message(x_rows(7), y_rows(5)).empty());
  CHECK(y[0] == 7);
}

TEST_CASE("gemm: extents that do not match are named, by columns too") {
  const auto w = pack(encode_codes<csr, s8, per_tensor>(std::vector<std::int8_t>(5 * 7, 1), {5, 7}, {1.0F}));
  const std::vector<std::uint8_t> x(100, 1);
  std::vector<std::int32_t> y(100);
  workspace scratch;
  const k_major_view<const std::uint8_t> narrow(x.data(), 9, 6), right(x.data(), 9, 7);
  const k_major_view<std::int32_t> out(y.data(), 9, 5), short_out(y.data(), 8, 5);
  CHECK(try_gemm(narrow, w, out, epilogue<>(), serial, scratch).message() ==
        "gemm: X is 9 x 6, W is 5 x 7; X needs 7 columns");
  CHECK(try_gemm(right, w, short_out, epilogue<>(), serial, scratch).message() ==
        "gemm: Y is 8 x 5, it needs to be 9 x 5");
}

TEST_CASE("gemm: explains the columns loop, and which X it copies or turns") {
  const auto w = pack(encode_codes<csr, s8, per_tensor>(std::vector<std::int8_t>(5 * 7, 1), {5, 7}, {1.0F}));
  const auto rows = explain_gemm<std::uint8_t, std::int32_t>(40, w);
  CHECK(rows.loop == "columns");
  CHECK(rows.weights == "columns s8 per_tensor 4x4");
  CHECK(rows.x_access.substr(0, 10) == "transposed");
  CHECK(explain_gemm<std::uint8_t, std::int32_t>(1, w).loop == "columns, gathering");
  const auto columns = explain_gemm(k_major_view<const std::uint8_t>(nullptr, 40, 7), w,
                                    k_major_view<std::int32_t>(nullptr, 40, 5));
  CHECK(columns.x_access.substr(0, 6) == "copied");

  aligned_buffer block(columns.workspace_bytes);
  workspace enough(block.bytes()), short_of_one(block.bytes().first(columns.least_workspace_bytes - 1));
  const std::vector<std::uint8_t> x(40 * 7, 1);
  std::vector<std::int32_t> y(40 * 5, -1);
  const k_major_view<const std::uint8_t> in(x.data(), 40, 7);
  const k_major_view<std::int32_t> out(y.data(), 40, 5);
  CHECK_FALSE(try_gemm(in, w, out, epilogue<>(), serial, short_of_one).ok());
  CHECK(y == std::vector<std::int32_t>(40 * 5, -1));
  CHECK(try_gemm(in, w, out, epilogue<>(), serial, enough).ok());
  CHECK(y == std::vector<std::int32_t>(40 * 5, 7));
}

TEST_CASE("gemm: scales along k are exact sums of scaled groups") {
  sparq_test::random_source random;
  INFO(random.text());
  constexpr std::size_t m = 13, n = 35, k = 100;
  std::vector<std::int8_t> x(m * k), codes(n * k);
  for (auto& v : x) v = static_cast<std::int8_t>(random.between(-128, 127));
  for (auto& v : codes) v = static_cast<std::int8_t>(random.between(-128, 127));
  std::vector<float> scales(n * 4);
  for (auto& s : scales) s = 0.25F * static_cast<float>(1 + random.below(8));  // sums stay exact in binary32
  const auto w = encode_codes<dense, s8, per_group<32>>(codes, {n, k}, scales);
  std::vector<float> y(m * n);
  workspace scratch;
  gemm(matrix_view<const std::int8_t>(x.data(), m, k), pack(w), matrix_view<float>(y.data(), m, n), scratch);
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      float want = 0;
      for (std::size_t g = 0; g < 4; ++g) {
        std::int32_t sum = 0;
        for (std::size_t q = g * 32; q < (std::min)(k, g * 32 + 32); ++q) sum += x[i * k + q] * codes[j * k + q];
        want += static_cast<float>(sum) * scales[j * 4 + g];
      }
      REQUIRE(y[i * n + j] == want);
    }
}
