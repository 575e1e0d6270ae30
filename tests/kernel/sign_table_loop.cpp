// SPDX-License-Identifier: MIT
// One row of bytes and weights of -1 and 1: which products take tables of sums, and every size, type of X and cut of the work
// against the reference.
#include <sparq/format/dense.hpp>
#include <sparq/kernel/sign_table_loop.hpp>
#include <sparq/op/conv2d.hpp>

#include "tests/support/bit_input.hpp"
#include "tests/support/matrix.hpp"
#include "tests/support/narrow.hpp"
#include "tests/support/sign_rows.hpp"

using namespace sparq;

namespace {

constexpr bool has_tables_of_sums = native_isa.has(feature::avx2) && !SPARQ_HAS_AVX512;

}  // namespace

TEST_CASE("sign_table_loop: every size equals the reference") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (const std::size_t n : {256u, 257u, 271u, 272u, 273u, 287u, 288u, 300u})
    for (const std::size_t k : {0u, 1u, 3u, 31u, 32u, 33u, 64u, 255u, 256u, 257u, 1000u}) {
      sparq_test::check_row_of_signs<u8>(n, k, random, scratch);
      sparq_test::check_row_of_signs<s8>(n, k, random, scratch);
    }
}

TEST_CASE("sign_table_loop: rows that are unpacked or gathered") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (int trial = 0; trial < 60; ++trial) {
    const std::size_t n = 256 + random.below(70), k = random.below(300);
    const auto w = sparq_test::random_signs(n, k, random);
    const auto packed = pack<panel_shape<16, 4>>(w);
    const sparq_test::narrow_input<u4> x(1, k, 0, sparq_test::random_style(random), random);
    std::vector<std::int32_t> y(n);
    gemm(x.view(), packed, matrix_view<std::int32_t>(y.data(), 1, n), scratch);
    REQUIRE(y == reference_gemm(matrix_view<const std::uint8_t>(x.codes().data(), 1, k), w.view()));
  }
  for (int trial = 0; trial < 30; ++trial) {  // one output pixel
    window_parameters window;
    window.kernel_height = window.kernel_width = 3;
    const std::size_t n = 256 + random.below(70), channels = 1 + random.below(30), k = 9 * channels;
    const auto w = sparq_test::random_signs(n, k, random);
    const auto x = sparq_test::random_x<u8>({1, n, k}, sparq_test::random_style(random), random);
    std::vector<std::int32_t> y(n);
    conv2d(image_view<const std::uint8_t>(x.view().data, 1, 3, 3, channels), pack<panel_shape<16, 4>>(w),
           image_view<std::int32_t>(y.data(), 1, 1, 1, n), window, std::uint8_t{0}, epilogue<>(), serial, scratch);
    REQUIRE(y == reference_gemm(x.view(), w.view()));
  }
}

TEST_CASE("sign_table_loop: takes one row and as many channels as pay for tables") {
  sparq_test::random_source random;
  const auto loop_of = [&](std::size_t m, std::size_t n) {
    const auto packed = pack<panel_shape<16, 4>>(sparq_test::random_signs(n, 70, random));
    return std::string(explain_gemm(matrix_view<const std::uint8_t>(nullptr, m, 70), packed,
                                    matrix_view<std::int32_t>(nullptr, m, n)).loop);
  };
  const std::string other = SPARQ_HAS_AVX512VNNI ? "rows, sums by bits" : "rows";
  CHECK(loop_of(1, 256) == (has_tables_of_sums ? "rows, sums by tables" : other));
  CHECK(loop_of(1, 255) == other);
  CHECK(loop_of(2, 256) == "rows");
}
